"""`ExportReport`: what was written, and how its logits and its speed compare with eager's."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pytorchvideo_autox3d.export.parity import Parity


@dataclass(frozen=True)
class ExportReport:
    """One exported file, and what its own runtime made of it.

    Attributes:
        path: the file (of OpenVINO the .xml, beside which the .bin lies).
        format: onnx, openvino, torch_export, executorch, litert or coreml.
        runtime: what ran it, with its version; of a format that is only converted here, what converted it.
        clip: (B, C, T, H, W) that it was run on.
        lower: "4d" where the network was lowered, and then takes frames (B * T, C, H, W).
        parity: how its logits compare with eager's; None where it can't be run here.
        milliseconds: the median of warm runs of one clip batch; None where it can't be run here.
        eager_milliseconds: of the given network in the same rounds.
        bytes: size on disk of all of its files.
        threads: that both ran with.
        random_clips, real_clips: how many were compared.
        int8: whether weights and activations are quantised to 8 bits.
    """

    path: Path
    format: str
    runtime: str
    clip: tuple[int, ...]
    lower: str | None
    parity: Parity | None
    milliseconds: float | None
    eager_milliseconds: float
    bytes: int
    threads: int
    random_clips: int
    real_clips: int = 0
    int8: bool = False

    @property
    def max_difference(self) -> float | None:
        """The largest |exported - eager| over the logits of all clips; None where it can't be run here."""
        return self.parity.max_difference if self.parity else None

    @property
    def relative_difference(self) -> float | None:
        """The same, of every clip relative to its largest logit where that exceeds 1: in float32 at most 1e-4.

        Where it is more, eager is about as far from float64 as the file is; see `Parity`.
        """
        return self.parity.relative_difference if self.parity else None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        plain = {**asdict(self), "path": str(self.path), "clip": list(self.clip)}
        parity = plain.pop("parity") or dict.fromkeys(Parity.__dataclass_fields__)
        return {**plain, **parity}

    def __str__(self) -> str:
        shape = "x".join(map(str, self.clip))
        lowered = (", 8 bits" if self.int8 else "") + (f", lowered to {self.lower}" if self.lower else "")
        size = f"{self.bytes / 1e6:.2f} MB"
        if self.parity is None or self.milliseconds is None:
            converted = f"converted by {self.runtime}, not run here"
            return f"{self.path}: {self.format} of a clip {shape}{lowered}, {size}; {converted}"
        clips = f"{self.random_clips} random" + (f" and {self.real_clips} real" if self.real_clips else "")
        inexact = ""
        if self.parity.eager_error is not None:
            inexact = (
                f" (relative to the largest, from float64: eager {self.parity.eager_error:.1e}, "
                f"the file {self.parity.exported_error:.1e})"
            )
        return (
            f"{self.path}: {self.format} of a clip {shape}{lowered}, {size}; {self.runtime}: max difference from eager "
            f"{self.parity.max_difference:.1e} over {clips} clips{inexact}, {self.milliseconds:.1f} ms (eager "
            f"{self.eager_milliseconds:.1f} ms, {self.threads} threads)"
        )
