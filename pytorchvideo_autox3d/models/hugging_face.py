"""Packages with the methods of the Hugging Face hub's models; needs huggingface_hub (the extra `hub`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import ModelHubMixin
from torch import Tensor, nn

from pytorchvideo_autox3d.models.card import ModelCard
from pytorchvideo_autox3d.models.net import ClipNet
from pytorchvideo_autox3d.models.package import Release, download_package, read_package, write_package


class HubModel(nn.Module, ModelHubMixin):
    """A network with `from_pretrained`, `save_pretrained` and `push_to_hub`, whose files are a package's.

    Args:
        network: maps a normalised clip to logits.
        card: its classes and how its input is made.
        release: what the package says besides.
    """

    def __init__(self, network: ClipNet, card: ModelCard, release: Release) -> None:
        super().__init__()
        self.network, self.card, self.release = network, card, release

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        """Logits (B, K) of a normalised clip (B, C, T, H, W)."""
        logits_BK: Tensor = self.network(clip_BCTHW)
        return logits_BK

    def _save_pretrained(self, save_directory: Path) -> None:
        write_package(save_directory, self.network, self.card, self.release)

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **options: Any) -> HubModel:
        known = ("revision", "cache_dir", "force_download", "local_files_only", "token")
        chosen = {name: options[name] for name in known if name in options}
        folder = model_id if Path(model_id).is_dir() else download_package(model_id, **chosen)
        package = read_package(folder)
        return cls(package.load(), package.card, package.release)
