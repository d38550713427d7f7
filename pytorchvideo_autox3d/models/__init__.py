"""Architectures as networks, reference architectures, heads and baselines; importing this registers them all."""

from pytorchvideo_autox3d.layers.glore import NODE_RATIO
from pytorchvideo_autox3d.layers.mbconv import SE_RATIO
from pytorchvideo_autox3d.models import systems
from pytorchvideo_autox3d.models.activations import checkpoint_activations
from pytorchvideo_autox3d.models.autox3d import (
    AutoX3DNet,
    check_attentions,
    create_autox3d,
    find_architecture,
    read_architecture,
    stem_temporal_kernel,
)
from pytorchvideo_autox3d.models.baselines import (
    create_c2d,
    create_i3d_resnet,
    create_ir_csn,
    create_r2plus1d_bottleneck,
    create_slow,
    create_x3d_baseline,
)
from pytorchvideo_autox3d.models.card import CARD_KEY, Calibration, ModelCard, Preprocessing
from pytorchvideo_autox3d.models.mobilenet import create_mobilenet_v2_3d, create_mobilenet_v2_3d_fitted
from pytorchvideo_autox3d.models.net import ClipNet
from pytorchvideo_autox3d.models.package import (
    Package,
    Release,
    file_hash,
    load_package,
    read_package,
    shipped_packages,
    write_package,
)
from pytorchvideo_autox3d.models.reference import (
    REFERENCE_MODELS,
    ReferenceModel,
    reference_architecture,
    reference_model,
)
from pytorchvideo_autox3d.models.slowfast_net import SlowFastNet, create_slowfast_baseline

__all__ = [
    "CARD_KEY",
    "NODE_RATIO",
    "REFERENCE_MODELS",
    "SE_RATIO",
    "AutoX3DNet",
    "Calibration",
    "ClipNet",
    "ModelCard",
    "Package",
    "Preprocessing",
    "ReferenceModel",
    "Release",
    "SlowFastNet",
    "check_attentions",
    "checkpoint_activations",
    "create_autox3d",
    "create_c2d",
    "create_i3d_resnet",
    "create_ir_csn",
    "create_mobilenet_v2_3d",
    "create_mobilenet_v2_3d_fitted",
    "create_r2plus1d_bottleneck",
    "create_slow",
    "create_slowfast_baseline",
    "create_x3d_baseline",
    "file_hash",
    "find_architecture",
    "load_package",
    "read_architecture",
    "read_package",
    "reference_architecture",
    "reference_model",
    "shipped_packages",
    "stem_temporal_kernel",
    "systems",
    "write_package",
]
