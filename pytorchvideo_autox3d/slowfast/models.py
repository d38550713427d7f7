"""Our models in PySlowFast's MODEL_REGISTRY, by its conventions: built from a cfg, scores instead of logits in eval."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch
from fvcore.common.config import CfgNode
from torch import Tensor, nn

from pytorchvideo_autox3d.errors import ConfigError, ModelError
from pytorchvideo_autox3d.jobs import build
from pytorchvideo_autox3d.models.detection import ROIClassifier
from pytorchvideo_autox3d.registry import MODEL_REGISTRY
from pytorchvideo_autox3d.search import AutoX3DSearchNet, Policy
from pytorchvideo_autox3d.slowfast import parts
from pytorchvideo_autox3d.slowfast.compat import is_importable
from pytorchvideo_autox3d.slowfast.configuration import native_cfg
from pytorchvideo_autox3d.slowfast.norms import apply_norm
from pytorchvideo_autox3d.slowfast.rules import DETECTION_MODEL

Activation = Callable[[Tensor], Tensor]
SEARCH_MODEL = "AutoX3DSearch"
DETECTION_BACKBONES = {"autox3d": "AutoX3D", "x3d": "X3D"}


def register_models() -> tuple[str, ...]:
    """Register every model of ours whose name PySlowFast does not have; return the names."""
    from slowfast.models import MODEL_REGISTRY as THEIRS

    builders = dict.fromkeys(MODEL_REGISTRY.names(), build_classifier) | {DETECTION_MODEL: build_detection}
    added = tuple(name for name in builders if name not in THEIRS)
    for name in added:
        THEIRS.register(_builder(name, builders[name]))
    return added


def is_ours(name: str) -> bool:
    """Whether PySlowFast's model of that name is one that we registered."""
    from slowfast.models import MODEL_REGISTRY as THEIRS

    return name in THEIRS and THEIRS.get(name).__module__ == __name__


def build_classifier(cfg: CfgNode) -> nn.Module:
    """Our model that MODEL.MODEL_NAME names; it returns logits in training, and MODEL.HEAD_ACT of them in eval.

    Its state dict has the same keys as in our harness, so that each harness reads the other's checkpoints.

    Raises:
        AutoX3DError: a key is wrong; names it.
    """
    model = apply_norm(_build(cfg), cfg)
    # Hooks, not a wrapper, which would put its name before every key.
    model.register_forward_pre_hook(_only_pathway)
    model.register_forward_hook(_ScoresInEval(head_activation(cfg.MODEL.HEAD_ACT)))
    return model


def build_detection(cfg: CfgNode) -> ROIClassifier:
    """AutoX3D or X3D (MODEL.ARCH) under an ROI head: `model([clip], boxes)` gives scores, as PySlowFast's heads do.

    Raises:
        ConfigError: another MODEL.ARCH, or a DETECTION.SPATIAL_SCALE_FACTOR that the backbone can't give.
    """
    if cfg.MODEL.ARCH not in DETECTION_BACKBONES:
        raise ConfigError(f"MODEL.ARCH {cfg.MODEL.ARCH!r}: {DETECTION_MODEL} takes {', '.join(DETECTION_BACKBONES)}")
    backbone = _build(cfg, name=DETECTION_BACKBONES[cfg.MODEL.ARCH])
    model = ROIClassifier(
        backbone,
        num_classes=cfg.MODEL.NUM_CLASSES,
        scale_factor=cfg.DETECTION.SPATIAL_SCALE_FACTOR,
        resolution=cfg.DETECTION.ROI_XFORM_RESOLUTION,
        dropout_rate=cfg.MODEL.DROPOUT_RATE,
        activation=head_activation(cfg.MODEL.HEAD_ACT),
        roi_align=find_roi_align(),
        aligned=cfg.DETECTION.ALIGNED,
    )
    apply_norm(model, cfg)
    return model


def find_roi_align() -> Callable[..., nn.Module]:
    """detectron2's ROIAlign where it is installed, torchvision's otherwise."""
    if is_importable("detectron2.layers"):
        return importlib.import_module("detectron2.layers").ROIAlign
    return parts.ROIAlign


def head_activation(name: str) -> Activation:
    """The function that turns logits (B, K) into scores.

    Args:
        name: "softmax", over the classes, or "sigmoid".

    Raises:
        ConfigError: another name.
    """
    activations: dict[str, Activation] = {"softmax": lambda logits_BK: logits_BK.softmax(1), "sigmoid": torch.sigmoid}
    if name not in activations:
        raise ConfigError(f"MODEL.HEAD_ACT {name!r}: known are {', '.join(activations)}")
    return activations[name]


def _only_pathway(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """A forward pre-hook that takes the clip out of PySlowFast's list of pathways.

    Raises:
        ModelError: there is not exactly one pathway.
    """
    pathways, *rest = inputs
    if isinstance(pathways, list | tuple):
        if len(pathways) != 1:
            raise ModelError(f"{type(module).__name__} takes one pathway, got {len(pathways)}: check MODEL.ARCH")
        pathways = pathways[0]
    return (pathways, *rest)


class _ScoresInEval:
    """A forward hook that returns logits in training and scores in eval, as PySlowFast's losses and meters expect."""

    def __init__(self, activation: Activation) -> None:
        self.activation = activation

    def __call__(self, module: nn.Module, inputs: Any, logits: Tensor) -> Tensor:
        return logits if module.training else self.activation(logits)


def _build(cfg: CfgNode, name: str | None = None) -> Any:
    """The model of PySlowFast's config, built as in our own harness; `name` replaces MODEL.MODEL_NAME."""
    ours = native_cfg(cfg)
    ours.MODEL.MODEL_NAME = name or cfg.MODEL.MODEL_NAME
    if ours.MODEL.MODEL_NAME == SEARCH_MODEL:
        supernet = build.build_supernet(ours)
        return AutoX3DSearchNet(supernet, Policy(space=supernet.space))
    return build.build_model(ours)


def _builder(name: str, build_from_cfg: Callable[[CfgNode], nn.Module]) -> Callable[[CfgNode], nn.Module]:
    """`build_from_cfg` as a function called `name`, as PySlowFast's registry takes the name from the function."""

    def builder(cfg: CfgNode) -> nn.Module:
        return build_from_cfg(cfg)

    builder.__name__ = builder.__qualname__ = name
    return builder
