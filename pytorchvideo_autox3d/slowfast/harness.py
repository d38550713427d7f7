"""`--harness slowfast`: PySlowFast's own train() and test() under its own launcher, and our search as one more job."""

from __future__ import annotations

import contextlib
import importlib
import logging
import re
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from fvcore.common.config import CfgNode
from torch.multiprocessing.spawn import ProcessRaisedException

from pytorchvideo_autox3d import errors
from pytorchvideo_autox3d.config import import_modules
from pytorchvideo_autox3d.distributed import ProcessInfo
from pytorchvideo_autox3d.engine import setup_logging
from pytorchvideo_autox3d.errors import AutoX3DError, ConfigError, TrainingError
from pytorchvideo_autox3d.kernels import set_batch_norm_kernels, set_depthwise_kernels, set_recompute_activations
from pytorchvideo_autox3d.slowfast.compat import apply_compat_patches

if TYPE_CHECKING:  # its import needs PySlowFast
    from pytorchvideo_autox3d.slowfast.preflight import Checked

logger = logging.getLogger(__name__)

TOOLS = "vision.fair.slowfast.tools"  # PySlowFast's own name of its tools/ folder
ALL_VIEWS = (1, 3, 5, 7, 10)  # what PySlowFast tests with for TEST.NUM_ENSEMBLE_VIEWS -1
# The last line of a traceback; our errors have written its line breaks out.
_RAISED = re.compile(r"(?:^|\n|\\n)(?P<module>pytorchvideo_autox3d[\w.]*)\.(?P<name>\w+): ")


def register() -> tuple[str, ...]:
    """Register our config nodes, models and data sets in PySlowFast, in this process; a second call changes nothing.

    Returns:
        The compat patches that were needed.

    Raises:
        AutoX3DError: PySlowFast can't be imported, or is too old.
    """
    patched = apply_compat_patches()
    # These import PySlowFast, which the patches make possible.
    from pytorchvideo_autox3d.slowfast.configuration import add_config_nodes
    from pytorchvideo_autox3d.slowfast.datasets import register_datasets
    from pytorchvideo_autox3d.slowfast.meters import install_meters
    from pytorchvideo_autox3d.slowfast.models import register_models

    with _missing_packages_in_one_line():
        add_config_nodes()
        added = register_models() + register_datasets()
        install_meters()
    if added:
        logger.info("registered in PySlowFast: %s", ", ".join(added))
    return patched


def run(paths: Sequence[str | Path], opts: Sequence[Any] = (), *, init_method: str | None = None) -> None:
    """Search, or train and test, as yaml files say.

    Args:
        paths: of the yaml files; a later one overrides an earlier.
        opts: KEY VALUE KEY VALUE ..., which override the files.
        init_method: tcp://HOST:PORT of machine 0; by default a free port of this machine.


    Raises:
        AutoX3DError: PySlowFast is absent, or the config is wrong.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    register()
    with _missing_packages_in_one_line():
        launch_job = importlib.import_module("slowfast.utils.misc").launch_job
        for name in ("train_net", "test_net"):
            importlib.import_module(f"{TOOLS}.{name}")
    from pytorchvideo_autox3d.slowfast import preflight
    from pytorchvideo_autox3d.slowfast.configuration import load_cfg

    cfg = load_cfg(paths, opts)
    _check_machines(cfg, init_method)
    checked = preflight.check(cfg)
    _make_output(cfg.OUTPUT_DIR)
    checked.classes.write(cfg.OUTPUT_DIR)  # PySlowFast's checkpoints have no place for them
    for job in jobs_of(cfg):
        # A port is not free again at once, so each job gets its own.
        try:
            launch_job(cfg=cfg, init_method=init_method or _free_address(), func=partial(job, checked=checked))
        except (AutoX3DError, RuntimeError, ProcessRaisedException) as error:
            known = _in_one_line(error)
            if known is None:
                raise
            raise known from error


def jobs_of(cfg: CfgNode) -> list[Callable[..., Any]]:
    """The jobs that a config asks for, in order, as functions of this module, which started processes can import.

    Each takes the config and, where there is one, the result of `preflight.check`.
    """
    if cfg.SEARCH.ENABLE:
        return [search_job]
    jobs: list[Callable[..., Any]] = []
    if cfg.TRAIN.ENABLE:
        jobs.append(train_job)
    if cfg.TEST.ENABLE:
        jobs.append(test_job)
    return jobs


def train_job(cfg: CfgNode, checked: Checked | None = None) -> Any:
    """Run PySlowFast's train() in this process; `checked` is the result of `preflight.check`."""
    _prepare(cfg)
    from pytorchvideo_autox3d.slowfast.datasets import parsed_lists

    with parsed_lists(checked.lists if checked else {}):
        return importlib.import_module(f"{TOOLS}.train_net").train(cfg)


def test_job(cfg: CfgNode, checked: Checked | None = None) -> Any:  # noqa: PT028  # not a test
    """Run PySlowFast's test() in this process; `checked` is the result of `preflight.check`."""
    _prepare(cfg)
    from pytorchvideo_autox3d.slowfast.datasets import parsed_lists

    if cfg.TEST.NUM_ENSEMBLE_VIEWS == -1:
        cfg.TEST.NUM_TEMPORAL_CLIPS = list(ALL_VIEWS)
    with parsed_lists(checked.lists if checked else {}):
        return importlib.import_module(f"{TOOLS}.test_net").test(cfg)


test_job.__test__ = False  # type: ignore[attr-defined]  # not a test, whatever pytest thinks of its name


def search_job(cfg: CfgNode, checked: Checked | None = None) -> Any:
    """Run our search in this process, which PySlowFast started; `checked` is the result of `preflight.check`."""
    _prepare(cfg)
    from pytorchvideo_autox3d.jobs import SearchJob
    from pytorchvideo_autox3d.slowfast.configuration import native_cfg

    setup_logging(cfg.OUTPUT_DIR)
    search = checked.search if checked else None
    return (search or SearchJob.from_config(native_cfg(cfg))).run(_process_info(cfg))


def _process_info(cfg: CfgNode) -> ProcessInfo:
    """This process, as PySlowFast's launcher numbers them: NUM_GPUS on each of NUM_SHARDS machines."""
    device = torch.device("cuda", torch.cuda.current_device()) if cfg.NUM_GPUS else torch.device("cpu")
    if not dist.is_initialized():
        return ProcessInfo(0, 1, 0, 1, device)
    return ProcessInfo(dist.get_rank(), dist.get_world_size(), dist.get_rank() % cfg.NUM_GPUS, cfg.NUM_GPUS, device)


def _prepare(cfg: CfgNode) -> None:
    register()
    import_modules(cfg.AUTOX3D.IMPORTS)
    set_depthwise_kernels(cfg.AUTOX3D.DEPTHWISE_KERNELS)
    set_batch_norm_kernels(cfg.AUTOX3D.BATCH_NORM_KERNELS)
    set_recompute_activations(cfg.AUTOX3D.RECOMPUTE_ACTIVATIONS)
    if cfg.NUM_GPUS > 1:
        # PySlowFast silences all processes but the first by replacing print, which numba's import looks up by name.
        importlib.import_module("numba")


def _check_machines(cfg: CfgNode, init_method: str | None) -> None:
    if cfg.NUM_SHARDS > 1 and cfg.NUM_GPUS <= 1:
        raise ConfigError(
            f"NUM_SHARDS {cfg.NUM_SHARDS} with NUM_GPUS {cfg.NUM_GPUS}: PySlowFast would run {cfg.NUM_SHARDS} separate "
            "jobs; use --harness native, which makes them one"
        )
    if cfg.NUM_SHARDS > 1 and not init_method:
        raise ConfigError(f"NUM_SHARDS {cfg.NUM_SHARDS} needs --init_method tcp://HOST:PORT of machine 0")


def _make_output(folder: str) -> None:
    """Make the folder of the run; PySlowFast would only fail at the first checkpoint (`ConfigError`)."""
    try:
        Path(folder, "checkpoints").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"OUTPUT_DIR: can't write to {folder}: {error.strerror}") from error


@contextlib.contextmanager
def _missing_packages_in_one_line() -> Iterator[None]:
    """Turn a missing package into one line: PySlowFast imports more packages than it declares.

    Raises:
        AutoX3DError: in place of a ModuleNotFoundError for a package that is neither PySlowFast's nor ours.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("slowfast", "vision", "pytorchvideo_autox3d"):
            raise
        raise AutoX3DError(
            f"PySlowFast needs {error.name}, which is not installed: pip install 'pytorchvideo_autox3d[slowfast]'"
        ) from error


def _in_one_line(error: Exception) -> AutoX3DError | None:
    """An error of our family whose line ends the traceback of a data worker or a process; None for any other error."""
    text = str(error).strip()
    if "ERROR: Got NaN losses" in text[text.rfind("\n") + 1 :]:
        return TrainingError("the loss is not a number: lower SOLVER.BASE_LR, or set SOLVER.CLIP_GRAD_L2NORM")
    found = list(_RAISED.finditer(text))
    message = text[found[-1].end() :] if found else ""
    if not message or "\n" in message:
        return None
    raised = getattr(sys.modules.get(found[-1]["module"]), found[-1]["name"], None)
    family = [one for one in getattr(raised, "__mro__", ()) if one.__module__ == errors.__name__]
    return family[0](message) if family else None


def _free_address() -> str:
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return f"tcp://localhost:{listener.getsockname()[1]}"
