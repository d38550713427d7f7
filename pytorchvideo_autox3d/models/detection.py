"""Action detection on boxes, in the manner of PySlowFast's AVA models: a video backbone, ROIAlign, scores for each box.

Shapes: B clips, C channels, T frames, H and W pixels, R boxes, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops import RoIAlign

from pytorchvideo_autox3d.errors import ConfigError, ModelError

_PROBE_SIZE = 64  # pixels; every backbone here has a stride that divides it


class ROIHead(nn.Module):
    """Average over time, ROIAlign, maximum over the region, dropout, linear layer (Feichtenhofer et al., ICCV 2019, 5).

    ::

        map (B, C, T, H, W) -> (B, C, H, W) -> regions (R, C, r, r) -> (R, C) -> logits (R, K)

    Args:
        num_features: C of the map.
        num_classes: K.
        roi: from a map (B, C, H, W) and boxes to regions.
        dropout_rate: before the linear layer.
    """

    def __init__(self, num_features: int, num_classes: int, *, roi: nn.Module, dropout_rate: float) -> None:
        super().__init__()
        self.roi = roi
        self.dropout = nn.Dropout(dropout_rate)
        self.proj = nn.Linear(num_features, num_classes)
        nn.init.normal_(self.proj.weight, std=0.01)
        nn.init.zeros_(self.proj.bias)

    def forward(self, map_BCTHW: Tensor, boxes_R5: Tensor) -> Tensor:
        """Logits (R, K) of boxes (number of the clip, x1, y1, x2, y2 in pixels of the clip)."""
        regions_RCHW = self.roi(map_BCTHW.mean(2), boxes_R5)
        return self.proj(self.dropout(regions_RCHW.amax((2, 3))))


class ROIClassifier(nn.Module):
    """`model([clip], boxes)` -> scores (R, K), in training too: PySlowFast's detection losses take scores.

    The blocks keep the keys that they have in the classifier, so its checkpoint loads into them.

    Args:
        backbone: a model with `.blocks`, the head last, and `num_features`.
        num_classes: K.
        scale_factor: how many pixels of the clip, along a side, make one of the map. A backbone of twice that gets its
            last stride removed, as PySlowFast's ResNets do for AVA.
        resolution: height and width of a pooled region.
        dropout_rate: before the linear layer.
        activation: logits -> scores.
        roi_align: torchvision's RoIAlign or one with its arguments, as detectron2's.
        aligned: whether regions are shifted by half a pixel, RoIAlign's argument of that name.
    Raises:
        ConfigError: the backbone's stride is neither `scale_factor` nor twice that.
    """

    def __init__(
        self,
        backbone: Any,
        *,
        num_classes: int,
        scale_factor: int,
        resolution: int = 7,
        dropout_rate: float = 0.5,
        activation: Callable[[Tensor], Tensor] = torch.sigmoid,
        roi_align: Callable[..., nn.Module] = RoIAlign,
        aligned: bool = True,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(list(backbone.blocks)[:-1])
        self.activation = activation
        stride = self._stride()
        if stride == 2 * scale_factor:
            _remove_last_stride(self.blocks)
        elif stride != scale_factor:
            raise ConfigError(
                f"DETECTION.SPATIAL_SCALE_FACTOR {scale_factor}: this backbone can give {stride} or {stride // 2}"
            )
        roi = roi_align(
            (resolution, resolution), spatial_scale=1 / scale_factor, sampling_ratio=0, aligned=aligned
        )  # fmt: skip
        self.head = ROIHead(backbone.num_features, num_classes, roi=roi, dropout_rate=dropout_rate)

    def forward(self, inputs: Tensor | Sequence[Tensor], bboxes: Tensor) -> Tensor:
        """Scores (R, K) of boxes in a clip.

        Args:
            inputs: the clip (B, C, T, H, W), or a list holding just that.
            bboxes: (R, 5): the number of the clip, then x1, y1, x2, y2 in pixels of the clip.
        Raises:
            ModelError: there is more than one pathway, or the boxes are of another shape.
        """
        if isinstance(inputs, list | tuple):
            if len(inputs) != 1:
                raise ModelError(f"expected one pathway, got {len(inputs)}")
            inputs = inputs[0]
        assert isinstance(inputs, Tensor)
        if bboxes.ndim != 2 or bboxes.shape[1] != 5:
            raise ModelError(f"expected boxes (R, 5): clip, x1, y1, x2, y2; got {tuple(bboxes.shape)}")
        return self.activation(self.head(self._map(inputs), bboxes))

    def _map(self, clip_BCTHW: Tensor) -> Tensor:
        for block in self.blocks:
            clip_BCTHW = block(clip_BCTHW)
        return clip_BCTHW

    @torch.no_grad()
    def _stride(self) -> int:
        training = self.training
        self.eval()
        stride = _PROBE_SIZE // self._map(torch.zeros(1, 3, 1, _PROBE_SIZE, _PROBE_SIZE)).shape[-1]
        self.train(training)
        return stride


def _remove_last_stride(blocks: nn.ModuleList) -> None:
    """Let the last block that halves the map keep its size."""
    for block in reversed(blocks):
        strided = [module for module in block.modules() if isinstance(module, nn.Conv3d) and module.stride[2] > 1]
        for module in strided:
            module.stride = (module.stride[0], 1, 1)
        if strided:
            return
