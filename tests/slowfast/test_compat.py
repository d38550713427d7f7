"""Compat patches against absent and present modules; a made-up checkout stands for PySlowFast."""

import importlib
import logging
import sys
from pathlib import Path

import pytest
import pytorchvideo.layers.batch_norm
import pytorchvideo.layers.distributed
import torch

from pytorchvideo_autox3d.errors import AutoX3DError
from pytorchvideo_autox3d.slowfast import compat, parts

PATCHED = {
    pytorchvideo.layers.distributed: compat.DISTRIBUTED,
    pytorchvideo.layers.batch_norm: compat.SYNC_NORMS,
    torch.cuda: ("synchronize",),
    pytorchvideo: ("losses",),
}
TOUCHED = ("vision", "detectron2", "slowfast", "pytorchvideo.losses", "torchvision.transforms.functional_tensor")


def _touched():
    return {name for name in sys.modules if any(name == one or name.startswith(f"{one}.") for one in TOUCHED)}


@pytest.fixture(autouse=True)
def _restored(monkeypatch):
    """Leave the process as it was: the patches change modules for good."""
    modules = {name: sys.modules.pop(name) for name in _touched()}
    saved = [
        (module, name, getattr(module, name))
        for module, names in PATCHED.items()
        for name in names
        if hasattr(module, name)
    ]
    monkeypatch.setattr(compat, "_applied", [])
    # Tests against the real PySlowFast may have patched this process already.
    for name in compat.DISTRIBUTED:
        if getattr(pytorchvideo.layers.distributed, name, None) is getattr(parts, name):
            delattr(pytorchvideo.layers.distributed, name)
    torch.cuda.synchronize = lambda device=None: None
    yield
    for name in _touched():
        del sys.modules[name]
    sys.modules.update(modules)
    for module, names in PATCHED.items():
        for name in names:
            module.__dict__.pop(name, None)
    for module, name, value in saved:
        setattr(module, name, value)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """The least that looks like PySlowFast's main branch."""
    files = {
        "slowfast/__init__.py": "",
        "slowfast/models/__init__.py": "",
        "slowfast/models/build.py": "MODEL_REGISTRY = {}\n",
        "tools/train_net.py": "NAME = 'train'\n",
        "ava_evaluation/standard_fields.py": "NAME = 'fields'\n",
    }
    for name, text in files.items():
        path = tmp_path / "SlowFast" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path / "SlowFast"))
    return tmp_path / "SlowFast"


def hide(monkeypatch, *names):
    """Make modules impossible to find, whatever is installed."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *args: None if name in names else find(name, *args))


def test_everything_absent_is_patched_and_named(checkout, monkeypatch, caplog):
    hide(monkeypatch, "vision", "vision.fair", "vision.fair.slowfast", "detectron2", "pytorchvideo.losses",
         "pytorchvideo.losses.soft_target_cross_entropy")  # fmt: skip
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with caplog.at_level(logging.INFO):
        applied = compat.apply_compat_patches()
    logged = [record.message for record in caplog.records]
    assert logged == [f"compat patch: {name}" for name in applied]
    for part in ("vision.fair.slowfast", "detectron2", "losses", "synchronize"):
        assert any(part in name for name in applied), part

    from detectron2.layers import ROIAlign
    from pytorchvideo.losses.soft_target_cross_entropy import SoftTargetCrossEntropyLoss
    from vision.fair.slowfast.ava_evaluation import standard_fields
    from vision.fair.slowfast.tools.train_net import NAME

    assert (NAME, standard_fields.NAME) == ("train", "fields")
    assert ROIAlign is parts.ROIAlign
    assert SoftTargetCrossEntropyLoss is parts.SoftTargetCrossEntropyLoss
    assert torch.cuda.synchronize() is None


def test_a_second_call_changes_nothing(checkout):
    first = compat.apply_compat_patches()
    modules = dict(sys.modules)
    assert compat.apply_compat_patches() == first
    assert dict(sys.modules) == modules


def test_real_parts_are_used(checkout, tmp_path, monkeypatch):
    for name, text in {
        "vision/fair/slowfast/__init__.py": "REAL = True\n",
        "detectron2/__init__.py": "",
        "detectron2/layers.py": "REAL = True\n",
    }.items():
        (tmp_path / "real" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "real" / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path / "real"))
    real = {name: object() for name in compat.DISTRIBUTED}
    for name, value in real.items():
        setattr(pytorchvideo.layers.distributed, name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    synchronize = torch.cuda.synchronize

    applied = compat.apply_compat_patches()
    assert not any(part in name for name in applied for part in ("vision.fair", "detectron2", "distributed", "cuda"))
    assert importlib.import_module("vision.fair.slowfast").REAL
    assert importlib.import_module("detectron2.layers").REAL
    assert {name: getattr(pytorchvideo.layers.distributed, name) for name in real} == real
    assert torch.cuda.synchronize is synchronize


def test_another_package_named_vision_keeps_its_contents(checkout, tmp_path, monkeypatch):
    (tmp_path / "other" / "vision").mkdir(parents=True)
    (tmp_path / "other" / "vision" / "__init__.py").write_text("ALSO = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path / "other"))
    compat.apply_compat_patches()
    assert importlib.import_module("vision").ALSO == 1
    assert importlib.import_module("vision.fair.slowfast.tools.train_net").NAME == "train"


def test_functional_tensor_is_found_under_its_old_name(checkout):
    compat.apply_compat_patches()
    old = importlib.import_module("torchvision.transforms.functional_tensor")
    assert hasattr(old, "adjust_brightness")


def test_sync_norms_take_what_slowfast_gives(checkout):
    compat.apply_compat_patches()
    norm = pytorchvideo.layers.batch_norm.NaiveSyncBatchNorm3d(
        num_features=2, eps=1e-5, momentum=0.1, num_sync_devices=None, global_sync=True
    )
    clip = torch.randn(2, 2, 1, 2, 2)
    torch.testing.assert_close(norm(clip), torch.nn.BatchNorm3d(2)(clip))
    norm = pytorchvideo.layers.batch_norm.NaiveSyncBatchNorm1d(num_features=2, num_sync_devices=1, global_sync=False)
    assert norm(torch.randn(4, 2)).shape == (4, 2)
    with pytest.raises(ValueError, match="num_sync_devices=2"):
        pytorchvideo.layers.batch_norm.NaiveSyncBatchNorm3d(num_features=2, num_sync_devices=2, global_sync=True)


def test_absent(monkeypatch):
    hide(monkeypatch, "slowfast")
    with pytest.raises(AutoX3DError, match=r"git clone https://github\.com/facebookresearch/SlowFast") as raised:
        compat.apply_compat_patches()
    assert "\n" not in str(raised.value)


def test_the_release_of_2020_is_refused(checkout):
    (checkout / "slowfast" / "models" / "build.py").unlink()
    (checkout / "slowfast" / "models" / "model_builder.py").write_text("_MODEL_TYPES = {}\n")
    with pytest.raises(AutoX3DError, match=r"no MODEL_REGISTRY \(PyPI's slowfast 1\.0 of 2020"):
        compat.find_slowfast()


def test_an_installation_without_tools_is_refused(checkout):
    (checkout / "tools" / "train_net.py").unlink()
    (checkout / "tools").rmdir()
    with pytest.raises(AutoX3DError, match="without its tools/ folder"):
        compat.find_slowfast()


def test_the_folder_above_the_checkout_is_recognised(checkout, monkeypatch):
    (checkout.parent / "slowfast").symlink_to(checkout)
    others = [one for one in sys.path if not Path(one, "slowfast").is_dir()]
    monkeypatch.setattr(sys, "path", [str(checkout.parent), *others])
    importlib.invalidate_caches()
    with pytest.raises(AutoX3DError, match=r"PYTHONPATH has the folder above the PySlowFast checkout: put .*slowfast"):
        compat.find_slowfast()
