"""Names that `torch.hub`, the benchmarks and the command line know: name -> network, clip sizes, measured figures.

No weights are published for any of them; `pretrained=True` is an error that says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pytorchvideo_autox3d.errors import ModelError
from pytorchvideo_autox3d.models import REFERENCE_MODELS, ClipNet, load_package, shipped_packages
from pytorchvideo_autox3d.registry import MODEL_REGISTRY


@dataclass(frozen=True)
class HubEntry:
    """One network of the hub.

    Args:
        name: in lower case, as `torch.hub` loads it.
        model: its name in the MODEL registry.
        clip_length: frames of a clip.
        sampling_rate: one frame in so many is taken, at 30 frames a second.
        train_crop: height and width of a training clip, in pixels.
        test_crop: height and width of a test clip, in pixels.
        train_macs: multiply-adds of a training clip (convolutions, linear layers, matrix products), as `count_module`
            counts them.
        test_macs: the same of a test clip.
        params: parameters with 400 classes.
        options: further arguments of the model.
    """

    name: str
    model: str
    clip_length: int
    sampling_rate: int
    train_crop: int
    test_crop: int
    train_macs: int
    test_macs: int
    params: int
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", MappingProxyType(dict(self.options)))

    @property
    def clip(self) -> tuple[int, int, int]:
        """(T, S, S) of a training clip."""
        return self.clip_length, self.train_crop, self.train_crop

    def build(self, *, num_classes: int = 400, **overrides: Any) -> ClipNet:
        """A freshly initialised network.

        Args:
            num_classes: number of classes.
            overrides: arguments of the model that take the place of this entry's.
        Raises:
            ModelError: an argument is out of range.
        """
        arguments: dict[str, Any] = {
            "model_num_class": num_classes,
            "input_clip_length": self.clip_length,
            "input_crop_size": self.train_crop,
            **self.options,
            **overrides,
        }
        return MODEL_REGISTRY.get(self.model)(**arguments)


def _reference(name: str, train_macs: int, test_macs: int, params: int) -> HubEntry:
    model = REFERENCE_MODELS[name]
    return HubEntry(
        f"autox3d_{name.lower()}", "AutoX3D", model.clip_length, model.sampling_rate, model.train_crop,
        model.test_crop, train_macs, test_macs, params, {"depth_factor": model.depth_factor},
    )  # fmt: skip


# Figures: `autox3d bench model`, which counts them anew; tests/models/test_hub.py holds these to it.
_ENTRIES = (
    _reference("S", 2168003422, 2948986924, 3555082),
    _reference("M", 5225467600, 6824141680, 3555082),
    _reference("L", 20296679168, 27360968416, 6103564),
    HubEntry("x3d_xs", "X3D", 4, 12, 160, 182, 605256512, 838807664, 3794274),
    HubEntry("x3d_s", "X3D", 13, 6, 160, 182, 1962892112, 2721933356, 3794274),
    HubEntry("x3d_m", "X3D", 16, 5, 224, 256, 4732468736, 6180613376, 3794274),
    HubEntry("x3d_l", "X3D", 16, 5, 312, 356, 18367710176, 24764017280, 6153384, {"depth_factor": 5.0}),
    HubEntry(
        "x3d_xl", "X3D", 16, 5, 312, 356, 35837627616, 48406849600, 11095840,
        {"width_factor": 2.9, "depth_factor": 5.0},
    ),
    HubEntry("c3d", "C3D", 16, 2, 112, 112, 38548602880, 38548602880, 79634576),
    HubEntry("i3d", "I3D_Inception", 64, 1, 224, 224, 111150686208, 111150686208, 12697264),
    HubEntry("i3d_two_stream", "I3D_TwoStream", 64, 1, 224, 224, 213489664000, 213489664000, 25372176),
    HubEntry("r2plus1d_34", "R2Plus1D_Basic", 32, 2, 112, 112, 150401259520, 150401259520, 61831661),
    HubEntry(
        "r2plus1d_34_two_stream", "R2Plus1D_TwoStream", 32, 2, 112, 112, 300581242880, 300581242880, 123660717,
    ),
    HubEntry("s3d_g", "S3D_G", 64, 1, 224, 224, 71914619392, 71914619392, 9085744),
    HubEntry("mfnet", "MFNet", 16, 2, 224, 224, 11045449728, 11045449728, 7996368),
    HubEntry("ip_csn_50", "IP_CSN", 8, 8, 224, 224, 11913630208, 11913630208, 14396176),
    HubEntry("ip_csn_101", "IP_CSN", 8, 8, 224, 224, 15890278912, 15890278912, 24601616, {"model_depth": 101}),
    HubEntry("tsm_r50", "TSM_ResNet", 8, 8, 224, 224, 32697909248, 32697909248, 24327632),
    HubEntry("tsm_mobilenetv2", "TSM_MobileNetV2", 16, 4, 224, 224, 4792420352, 4792420352, 2736272),
    HubEntry("stm_r50", "STM_ResNet", 8, 8, 224, 224, 33014500992, 33014500992, 24498268),
    HubEntry("gst_r50", "GST_ResNet", 8, 8, 224, 224, 28998533120, 28998533120, 21498320),
    HubEntry("smallbignet_r50", "SmallBigNet", 8, 8, 224, 224, 51297550336, 51297550336, 24342736),
    HubEntry("vov3d_m", "VoV3D_M", 16, 5, 224, 224, 4406153216, 4406153216, 3859536),
    HubEntry("vov3d_l", "VoV3D_L", 16, 5, 224, 224, 9239356416, 9239356416, 6293524),
    HubEntry("mobilenetv2_3d", "MobileNetV2_3D_Fitted", 16, 5, 224, 256, 5019612928, 6555520768, 4400088),
    HubEntry("slowfast_4x16_r50", "SlowFast", 32, 2, 224, 256, 27638665216, 36099198976, 34480216),
    HubEntry(
        "slowfast_8x8_r101", "SlowFast", 32, 2, 224, 256, 96711348224, 126316580864, 62913240,
        {"model_depth": 101, "alpha": 4, "fusion_kernel": 7},
    ),
)  # fmt: skip
HUB: Mapping[str, HubEntry] = MappingProxyType({entry.name: entry for entry in _ENTRIES})


def load(name: str, *, pretrained: bool = False, num_classes: int | None = None) -> ClipNet:
    """Build a network of the hub, freshly initialised; or load a package with its weights.

    Args:
        name: a name of the hub, or a package's folder or name.
        pretrained: must be False for a name of the hub, as no weights are published; a package has its weights anyway.
        num_classes: by default 400, or the package's own; another number makes a package's classifier afresh.
    Raises:
        ModelError: the name is unknown, a package is damaged, or weights are asked for of which none are published.
    """
    if name not in HUB:
        if name not in shipped_packages() and not os.path.exists(name):
            known = ", ".join([*HUB, *shipped_packages()])
            raise ModelError(f"the hub has no model {name!r}, and there is no such package; it has {known}")
        return load_package(name, num_classes=num_classes)
    if pretrained:
        raise ModelError(f"{name}: no weights are published for it; use pretrained=False and train it")
    return HUB[name].build(num_classes=400 if num_classes is None else num_classes)


def package(path_or_name: str = "demo", num_classes: int | None = None) -> ClipNet:
    """Load a package's network with its weights; the arguments are those of `load_package`.

    Raises:
        ModelError: there is no such package, or it is damaged.
    """
    return load_package(path_or_name, num_classes=num_classes)


def _entry_point(name: str) -> Callable[..., ClipNet]:
    def build(pretrained: bool = False, num_classes: int = 400) -> ClipNet:
        return load(name, pretrained=pretrained, num_classes=num_classes)

    build.__name__ = build.__qualname__ = name
    build.__doc__ = f"{name}, freshly initialised. No weights are published: pretrained=True is an error."
    return build


ENTRY_POINTS: Mapping[str, Callable[..., ClipNet]] = MappingProxyType({name: _entry_point(name) for name in HUB})
