"""`ClipNet`: the contract that every model here keeps on top of pytorchvideo's `Net`.

Shapes: B clips, C channels, T frames, H and W pixels, K classes.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from pytorchvideo.models.net import Net
from torch import nn

from pytorchvideo_autox3d.errors import ModelError

_LARGEST_NORMALISED = 20.0  # 1 over the smallest std of any recipe is below 5


class ClipNet(Net):
    """A pytorchvideo `Net` (`.blocks`, the head last) that maps one clip tensor to logits, in train and in eval.

    Construction initialises the weights as pytorchvideo does: He for convolutions, BN weight 1, and 0 where a module
    marked its last BN as `block_final_bn`.

    Args:
        blocks: the stages in order; the last is a head with a linear layer `proj`.
        num_features: channels of the map that the head receives.
        input_clip_length: T of the clips it is meant for; any T runs.
        input_crop_size: H and W of the clips it is meant for; any size runs.
        in_channels: C of a clip.

    Attributes:
        card: the `ModelCard` (classes, clip, normalisation) of a network that came with its weights; else None.
    """

    card: Any = None

    def __init__(
        self,
        blocks: Iterable[nn.Module],
        *,
        num_features: int,
        input_clip_length: int,
        input_crop_size: int,
        in_channels: int = 3,
    ) -> None:
        super().__init__(blocks=nn.ModuleList(blocks))
        self.num_features = num_features
        self.input_clip_length = input_clip_length
        self.input_crop_size = input_crop_size
        self.in_channels = in_channels
        self._values_seen = False

    def forward(self, clip: torch.Tensor | Sequence[torch.Tensor]) -> torch.Tensor:
        """Logits (B, K) of a clip.

        Args:
            clip: normalised floats (B, C, T, H, W), or a list holding just that.
        Raises:
            ModelError: the input is not one float clip of five dimensions with C channels; names the shape.
        """
        return self.blocks[-1](self.forward_features(clip))

    def forward_features(self, clip: torch.Tensor | Sequence[torch.Tensor]) -> torch.Tensor:
        """What the head receives: for single-pathway models the map (B, num_features, T', H', W').

        Args:
            clip: as in `forward`.
        Raises:
            ModelError: the input is not one float clip of five dimensions with C channels; names the shape.
        """
        features: Any = self._prepare(self._checked(clip))
        for block in self.blocks[:-1]:
            features = block(features)
        return features

    def backbone(self) -> nn.Sequential:
        """The blocks before the head as one module, sharing their weights: clip -> map.

        It is the `model` of pytorchvideo's `DetectionBBoxNetwork`, beside any of its ROI heads.
        """
        return nn.Sequential(*self.blocks[:-1])

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the last linear layer by a freshly initialised one.

        Args:
            num_classes: of the new layer. 0 takes the layer away, as in timm: the model then gives what the layer
                received, (B, its `in_features`), until it is given a classifier again.
        Raises:
            ModelError: `num_classes` is negative.
        """
        features = self.blocks[-1].proj.in_features
        if num_classes == 0:
            self.blocks[-1].proj = _NoClassifier(features)
            return
        check_positive(num_classes=num_classes)
        other = next(self.parameters())
        new = nn.Linear(features, num_classes, device=other.device, dtype=other.dtype)
        # As pytorchvideo initialises every classifier.
        nn.init.normal_(new.weight, std=0.01)
        nn.init.zeros_(new.bias)
        self.blocks[-1].proj = new

    def _prepare(self, clip_BCTHW: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """What the first block takes; models of several pathways split the clip here."""
        return clip_BCTHW

    def _checked(self, clip: torch.Tensor | Sequence[torch.Tensor]) -> torch.Tensor:
        """The clip as a tensor; `ModelError` where it is not one float clip with this network's channels."""
        if isinstance(clip, list | tuple):
            if len(clip) != 1:
                raise ModelError(f"expected one clip (B, C, T, H, W) or a list of one, got a list of {len(clip)}")
            clip = clip[0]
        if not isinstance(clip, torch.Tensor):
            raise ModelError(f"expected a clip tensor (B, C, T, H, W), got {type(clip).__name__}")
        # A tracer records comparisons of sizes as if they were computations.
        if torch.jit.is_tracing():
            return clip
        if clip.ndim != 5 or clip.shape[1] != self.in_channels or min(clip.shape[2:]) < 1:
            raise ModelError(f"expected a clip of shape (B, {self.in_channels}, T, H, W), got {tuple(clip.shape)}")
        if not clip.is_floating_point():
            raise ModelError(f"expected a normalised float clip, got {clip.dtype} of shape {tuple(clip.shape)}")
        # Once, as it waits for the device; a compiler's stand-ins for tensors have no values.
        if not self._values_seen and type(clip) is torch.Tensor and not torch.compiler.is_compiling():
            self._values_seen = True
            _warn_of_raw_values(clip)
        return clip


class _NoClassifier(nn.Identity):
    """Stands where a classifier for `in_features` was."""

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.in_features = in_features


def _warn_of_raw_values(clip_BCTHW: torch.Tensor) -> None:
    """Warn of values too large to be normalised: pixels of 0..255 run as well, but are recognised as nothing."""
    if clip_BCTHW.is_meta or clip_BCTHW.numel() == 0:
        return
    largest = float(clip_BCTHW.detach().abs().amax())
    if largest > _LARGEST_NORMALISED:
        warnings.warn(
            f"the clip has values up to {largest:.0f}: expected normalised ones, as pytorchvideo_autox3d.data."
            "ClipNormalize makes of 0..255: (clip / 255 - mean) / std",
            stacklevel=4,
        )


@dataclass(frozen=True)
class CommonArguments:
    """The arguments that every network of clips takes, checked.

    Attributes:
        model_num_class: number of classes.
        input_clip_length, input_crop_size: frames, and height and width, of the clips that the network is meant for.
        dropout_rate: before the classifier.
        in_channels: channels of a clip.
    Raises:
        ModelError: one of them is out of range; names it.
    """

    model_num_class: int
    input_clip_length: int
    input_crop_size: int
    dropout_rate: float
    in_channels: int = 3

    def __post_init__(self) -> None:
        check_positive(
            model_num_class=self.model_num_class,
            input_clip_length=self.input_clip_length,
            input_crop_size=self.input_crop_size,
            in_channels=self.in_channels,
        )
        check_dropout(self.dropout_rate)


def check_positive(**sizes: int) -> None:
    """Check that every argument, given by its name, is a whole number of at least one.

    Raises:
        ModelError: one is not; names the first.
    """
    for name, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ModelError(f"{name} must be a whole number >= 1, got {value!r}")


def check_dropout(dropout_rate: float) -> None:
    """Check that the rate lies in [0, 1).

    Raises:
        ModelError: it does not.
    """
    if not 0 <= dropout_rate < 1:
        raise ModelError(f"dropout_rate must lie in [0, 1), got {dropout_rate!r}")


def check_depth(model_depth: int, known: Iterable[int]) -> None:
    """Check that the depth is one of `known`.

    Raises:
        ModelError: it is not; lists those that are known.
    """
    known = tuple(known)
    if model_depth not in known:
        raise ModelError(f"model_depth {model_depth!r} is not one of {', '.join(map(str, known))}")
