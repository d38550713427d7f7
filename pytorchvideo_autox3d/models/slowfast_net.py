"""pytorchvideo's SlowFast, fed with one clip as every model here is."""

from __future__ import annotations

import torch
from pytorchvideo.models.slowfast import create_slowfast
from torch import nn

from pytorchvideo_autox3d.models.baselines import DEPTHS
from pytorchvideo_autox3d.models.net import ClipNet, CommonArguments, check_depth, check_positive
from pytorchvideo_autox3d.registry import MODEL_REGISTRY


class SlowFastNet(ClipNet):
    """pytorchvideo's SlowFast fed with one clip: the Fast pathway sees all frames, the Slow one every alpha-th."""

    alpha: int

    def _prepare(self, clip_BCTHW: torch.Tensor) -> list[torch.Tensor]:
        frames = clip_BCTHW.shape[2]
        # As many frames as the fusion convolutions of stride alpha give; at equal distances, as PySlowFast packs them.
        index = torch.linspace(0, frames - 1, -(-frames // self.alpha), device=clip_BCTHW.device).long()
        return [clip_BCTHW.index_select(2, index), clip_BCTHW]


@MODEL_REGISTRY.register(name="SlowFast")
def create_slowfast_baseline(
    *,
    model_num_class: int = 400,
    input_clip_length: int = 32,
    input_crop_size: int = 224,
    dropout_rate: float = 0.5,
    model_depth: int = 50,
    alpha: int = 8,
    beta_inv: int = 8,
    fusion_ratio: int = 2,
    fusion_kernel: int = 5,
) -> SlowFastNet:
    """SlowFast (Feichtenhofer et al., ICCV 2019). 4x16 is alpha 8, fusion kernel 5; 8x8 is alpha 4, kernel 7.

    The map before the head is already pooled.

    Args:
        model_num_class, input_crop_size, dropout_rate: see `CommonArguments`.
        input_clip_length: frames of the Fast pathway.
        model_depth: 50, 101 or 152.
        alpha: the Fast pathway has `alpha` times the Slow one's frames.
        beta_inv: the Slow pathway has `beta_inv` times the Fast one's channels.
        fusion_ratio: channels of the lateral connections over those of the Fast pathway.
        fusion_kernel: length in frames of the lateral connections.
    Raises:
        ModelError: an argument is out of range; names it.
    """
    arguments = CommonArguments(model_num_class, input_clip_length, input_crop_size, dropout_rate)
    check_depth(model_depth, DEPTHS)
    check_positive(alpha=alpha, beta_inv=beta_inv, fusion_ratio=fusion_ratio, fusion_kernel=fusion_kernel)
    net = create_slowfast(
        slowfast_channel_reduction_ratio=(beta_inv,),
        slowfast_conv_channel_fusion_ratio=fusion_ratio,
        slowfast_fusion_conv_kernel_size=(fusion_kernel, 1, 1),
        slowfast_fusion_conv_stride=(alpha, 1, 1),
        stem_dim_outs=(64, 64 // beta_inv),
        model_depth=model_depth,
        model_num_class=model_num_class,
        dropout_rate=dropout_rate,
        head_pool=nn.AdaptiveAvgPool3d,
        # One output size a pathway.
        head_output_size=((1, 1, 1), (1, 1, 1)),
    )
    features = net.blocks[-1].proj.in_features
    model = SlowFastNet(
        net.blocks,
        num_features=features,
        input_clip_length=arguments.input_clip_length,
        input_crop_size=arguments.input_crop_size,
    )
    model.alpha = alpha
    return model
