"""Number formats of the forward pass: fp32, or bf16 / fp16 under autocast."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pytorchvideo_autox3d.errors import ConfigError

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Precision:
    """The number format of the forward pass; weights and their updates are always in fp32.

    Args:
        name: "fp32", "bf16" or "fp16".

    Raises:
        ConfigError: another name.
    """

    name: str = "fp32"

    def __post_init__(self) -> None:
        if self.name not in _DTYPES:
            raise ConfigError(f"precision {self.name!r} is none of {', '.join(_DTYPES)}")

    def autocast(self, device: torch.device) -> torch.autocast:
        """The autocast context for a forward pass on `device`."""
        enabled = self.name != "fp32"
        # A disabled autocast still checks its dtype, and CUDA's refuses fp32.
        return torch.autocast(device.type, dtype=_DTYPES[self.name] if enabled else torch.bfloat16, enabled=enabled)

    def scaler(self, device: torch.device) -> torch.amp.GradScaler:
        """A gradient scaler, which is enabled for fp16 only: bf16 has fp32's range and needs none."""
        return torch.amp.GradScaler(device.type, enabled=self.name == "fp16")

    def is_slow_on(self, device: torch.device) -> bool:
        """Whether `device` is a CPU without instructions for bfloat16, where products in it cost more than in fp32."""
        if device.type != "cpu" or self.name != "bf16":
            return False
        found = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}  # not in older torch
        return not any(found.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
