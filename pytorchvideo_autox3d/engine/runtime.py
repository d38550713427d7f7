"""Where and how a network runs: four settings that every pass over clips needs together."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from pytorchvideo_autox3d.engine.precision import Precision
from pytorchvideo_autox3d.engine.protocols import Preprocess
from pytorchvideo_autox3d.errors import ConfigError


def usable_device(name: str | torch.device | None, option: str = "device") -> torch.device:
    """The device of this name, by default a GPU where there is one.

    Args:
        name: as torch has it, such as "cuda:1"; None takes the default.
        option: that named it, for the message.

    Raises:
        ConfigError: there is no such device, or it can't be used here.
    """
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(1, device=device).cpu()
    except (RuntimeError, NotImplementedError, AssertionError) as error:
        raise ConfigError(f"{option} {name}: can't be used here: {str(error).splitlines()[0]}") from None
    return device


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """The device, preprocessing, number format and memory format of a network's passes.

    Attributes:
        device: of the network and of the clips that it is given.
        preprocess: turns uint8 clips on the device into normalised floats.
        precision: number format of the forward pass.
        channels_last: whether clips and weights have their channels last in memory.
    """

    device: torch.device
    preprocess: Preprocess
    precision: Precision = field(default_factory=Precision)
    channels_last: bool = True

    def place(self, model: nn.Module) -> nn.Module:
        """Move the model to the device, in the memory format; in place."""
        model.to(self.device)
        return model.to(memory_format=torch.channels_last_3d) if self.channels_last else model

    def prepare(self, clip_BCTHW: Tensor) -> Tensor:
        """Move a clip to the device (as uint8, a quarter of the bytes), then make floats of it in the memory format."""
        clip_BCTHW = self.preprocess(clip_BCTHW.to(self.device, non_blocking=True))
        return clip_BCTHW.contiguous(memory_format=torch.channels_last_3d) if self.channels_last else clip_BCTHW

    def autocast(self) -> torch.autocast:
        """The context of a forward pass."""
        return self.precision.autocast(self.device)

    def scaler(self) -> torch.amp.GradScaler:
        """A gradient scaler, which is enabled for fp16 only."""
        return self.precision.scaler(self.device)
