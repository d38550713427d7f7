"""Compat patches for what PySlowFast's main branch imports and a current stack of packages lacks.

A patch changes nothing where the real part is there. It changes this process alone, and is named in the log.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import torch

from pytorchvideo_autox3d.errors import AutoX3DError
from pytorchvideo_autox3d.slowfast import parts

logger = logging.getLogger(__name__)

HOW_TO_GET = (
    "git clone https://github.com/facebookresearch/SlowFast, put the checkout's path on PYTHONPATH, "
    "and pip install 'pytorchvideo_autox3d[slowfast]'"
)
DISTRIBUTED = (
    "cat_all_gather", "get_local_process_group", "get_local_rank", "get_local_size", "init_distributed_training",
)  # fmt: skip
SYNC_NORMS = ("NaiveSyncBatchNorm1d", "NaiveSyncBatchNorm2d", "NaiveSyncBatchNorm3d")

_applied: list[str] = []


def find_slowfast() -> Path:
    """The root folder of the PySlowFast checkout that `import slowfast` finds.

    Raises:
        AutoX3DError: there is none, it is the release of 2020, or its tools/ or ava_evaluation/ folder is missing.
    """
    spec = importlib.util.find_spec("slowfast")
    if spec is None or not spec.submodule_search_locations:
        raise AutoX3DError(f"PySlowFast is not importable: {HOW_TO_GET}")
    package = Path(next(iter(spec.submodule_search_locations)))
    if (package / "slowfast" / "models").is_dir():
        raise AutoX3DError(f"PYTHONPATH has the folder above the PySlowFast checkout: put {package} itself on it")
    models = package / "models" / "build.py"
    if not models.is_file() or "MODEL_REGISTRY" not in models.read_text(encoding="utf8"):
        raise AutoX3DError(
            f"the PySlowFast in {package} has no MODEL_REGISTRY (PyPI's slowfast 1.0 of 2020 has none): {HOW_TO_GET}"
        )
    for folder in ("tools", "ava_evaluation"):
        if not (package.parent / folder).is_dir():
            raise AutoX3DError(f"the PySlowFast in {package} comes without its {folder}/ folder: {HOW_TO_GET}")
    return package.parent


def apply_compat_patches() -> tuple[str, ...]:
    """Apply every patch that is needed; return the names of all that were applied in this process so far.

    Raises:
        AutoX3DError: PySlowFast is absent or too old; see `find_slowfast`.
    """
    root = find_slowfast()
    patches: dict[str, Callable[[], bool]] = {
        f"vision.fair.slowfast is the checkout {root}": lambda: _alias_checkout(root),
        "detectron2.layers.ROIAlign is torchvision.ops.RoIAlign(aligned=True)": _stand_in_for_detectron2,
        "pytorchvideo.losses.soft_target_cross_entropy is ours": _add_losses,
        "pytorchvideo.layers.distributed gets what its release lacks": _add_collectives,
        "pytorchvideo.layers.batch_norm synchronises by torch.nn.SyncBatchNorm": _replace_sync_norms,
        "torchvision.transforms.functional_tensor is its new, private name": _alias_functional_tensor,
        "torch.cuda.synchronize does nothing, as there is no GPU": _disarm_synchronize,
    }
    for name, patch in patches.items():
        if patch():
            _applied.append(name)
            logger.info("compat patch: %s", name)
    return tuple(_applied)


def is_importable(name: str) -> bool:
    """Whether a module is loaded or can be found. Its parents are imported for that, it itself is not."""
    if name in sys.modules:
        return True
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _add_module(name: str, *, path: list[str] | None = None, **attributes: object) -> ModuleType:
    """Make a module and set it as an attribute of its parent, as the import system would."""
    module = ModuleType(name, doc="Made by pytorchvideo_autox3d.slowfast.compat.")
    module.__spec__ = importlib.machinery.ModuleSpec(name, loader=None, is_package=path is not None)
    if path is not None:
        module.__path__ = module.__spec__.submodule_search_locations = path
    for key, value in attributes.items():
        setattr(module, key, value)
    sys.modules[name] = module
    parent, _, leaf = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], leaf, module)
    return module


def _alias_checkout(root: Path) -> bool:
    """Meta's internal name of the repository, by which tools/ and ava_evaluation/ import each other."""
    if is_importable("vision.fair.slowfast"):
        return False
    for parent in ("vision", "vision.fair"):
        if is_importable(parent):
            importlib.import_module(parent)
        else:
            _add_module(parent, path=[])
    _add_module("vision.fair.slowfast", path=[str(root)])
    return True


def _stand_in_for_detectron2() -> bool:
    if is_importable("detectron2"):
        return False
    _add_module("detectron2", path=[])
    _add_module("detectron2.layers", ROIAlign=parts.ROIAlign)
    return True


def _add_losses() -> bool:
    name = "pytorchvideo.losses.soft_target_cross_entropy"
    if is_importable(name):
        return False
    importlib.import_module("pytorchvideo")
    if not is_importable("pytorchvideo.losses"):
        _add_module("pytorchvideo.losses", path=[])
    _add_module(name, SoftTargetCrossEntropyLoss=parts.SoftTargetCrossEntropyLoss)
    return True


def _add_collectives() -> bool:
    module = importlib.import_module("pytorchvideo.layers.distributed")
    if all(hasattr(module, name) for name in DISTRIBUTED):
        return False
    # All or none: they share the machine's process group.
    for name in DISTRIBUTED:
        setattr(module, name, getattr(parts, name))
    return True


def _replace_sync_norms() -> bool:
    """Replace the classes of PyPI's release, which don't take the number of processes that PySlowFast always gives."""
    module = importlib.import_module("pytorchvideo.layers.batch_norm")
    try:
        module.NaiveSyncBatchNorm3d(num_features=1, num_sync_devices=None, global_sync=True)
    except TypeError:
        for name in SYNC_NORMS:
            setattr(module, name, getattr(parts, name))
        return True
    return False


def _alias_functional_tensor() -> bool:
    """pytorchvideo.transforms imports it, and PySlowFast's PyTorchVideo data sets import those."""
    name = "torchvision.transforms.functional_tensor"
    if is_importable(name) or not is_importable("torchvision.transforms._functional_tensor"):
        return False
    sys.modules[name] = importlib.import_module("torchvision.transforms._functional_tensor")
    return True


def _disarm_synchronize() -> bool:
    if torch.cuda.is_available() or torch.cuda.synchronize is _do_nothing:
        return False
    torch.cuda.synchronize = _do_nothing
    return True


def _do_nothing(device: object = None) -> None:
    """Wait for no device."""
