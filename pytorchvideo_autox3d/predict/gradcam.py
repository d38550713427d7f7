"""Where and when a network looked: Grad-CAM (Selvaraju et al., 2017) over a clip, computed by the package grad-cam."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pytorchvideo_autox3d.errors import ConfigError
from pytorchvideo_autox3d.models import ClipNet
from pytorchvideo_autox3d.predict.recognizer import Recognizer

_FEWEST = 4  # a map with fewer positions on a side does not say where the network looked


@dataclass(frozen=True, eq=False)
class Attention:
    """Where the network looked in one clip.

    Attributes:
        clip_CTHW: uint8, as the network saw it.
        heat_THW: from 0 (did not look there) to 1, of the clip's own size.
        label, score: the class that was asked about, and its score.
        layer: the place in `network.blocks` of the layer whose map was taken.
    """

    clip_CTHW: Tensor
    heat_THW: NDArray[np.float32]
    label: str
    score: float
    layer: int

    def overlay(self, *, strength: float = 0.5) -> Tensor:
        """uint8 clip_CTHW with the heat over it: blue where the network did not look, red where it did.

        Args:
            strength: the heat's share of the mixture, from 0 to 1.
        """
        colours_THWC = matplotlib.colormaps["turbo"](self.heat_THW)[..., :3]
        clip_THWC = self.clip_CTHW.permute(1, 2, 3, 0).numpy()
        mixed_THWC = (1 - strength) * clip_THWC + strength * 255 * colours_THWC
        return torch.from_numpy(mixed_THWC.round().astype(np.uint8)).permute(3, 0, 1, 2)


def look(recognizer: Recognizer, clip_CTHW: Tensor, *, label: str | None = None, layer: int | None = None) -> Attention:
    """Grad-CAM of one uint8 clip.

    Args:
        recognizer: whose network is asked.
        clip_CTHW: of the size that the network takes.
        label: the class that is asked about; by default the one of highest score.
        layer: the place in `network.blocks`; by default the last one before the head whose map is at least 4 x 4.
    Raises:
        ConfigError: grad-cam is not installed, there is no such class or layer, or the network is an exported one or
            one of several pathways.
    """
    try:
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    except ImportError:
        raise ConfigError("gradcam: needs grad-cam: pip install 'pytorchvideo_autox3d[gradcam]'") from None
    network = recognizer.network
    if not isinstance(network, ClipNet):
        raise ConfigError("gradcam: an exported network has no gradients: name the checkpoint or the package")
    if label is not None and label not in recognizer.labels:
        raise ConfigError(f"gradcam: there is no class {label!r}: it is one of {', '.join(recognizer.labels)}")
    input_BCTHW = recognizer.prepared(clip_CTHW[None]).requires_grad_()  # frozen weights need no gradient
    chosen = _layer(network, input_BCTHW, layer)
    score_K = recognizer.scores(clip_CTHW[None])[0]
    number = int(score_K.argmax()) if label is None else recognizer.labels.index(label)
    with GradCAM(model=network, target_layers=[network.blocks[chosen]]) as cam:
        (heat_THW,) = cam(input_tensor=input_BCTHW, targets=[ClassifierOutputTarget(number)])
    heat_THW = np.clip(heat_THW, 0, 1)  # the spline that enlarges it overshoots
    return Attention(clip_CTHW, heat_THW, recognizer.labels[number], float(score_K[number]), chosen)


def _layer(network: ClipNet, input_BCTHW: Tensor, asked: int | None) -> int:
    """The place of the layer to take, from the sizes of every block's map; `asked` is checked.

    Raises:
        ConfigError: the network has several pathways, or there is no such layer.
    """
    maps: list[object] = []
    handles = [
        block.register_forward_hook(lambda module, inputs, output: maps.append(output)) for block in network.blocks[:-1]
    ]
    try:
        with torch.no_grad():
            network(input_BCTHW)
    finally:
        for handle in handles:
            handle.remove()
    if not all(isinstance(one, Tensor) for one in maps):
        raise ConfigError("gradcam: the network has several pathways, and no single map to look at")
    sides = [min(one.shape[-2:]) for one in maps if isinstance(one, Tensor)]
    if asked is None:
        large = [place for place, side in enumerate(sides) if side >= _FEWEST]
        return large[-1] if large else int(np.argmax(sides))
    if not 0 <= asked < len(sides):
        raise ConfigError(f"gradcam: layer {asked}, expected 0 to {len(sides) - 1}, a block before the head")
    return asked
