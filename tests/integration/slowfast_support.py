"""What the tests against the real PySlowFast share: small settings, and two processes that believe in two GPUs."""

import importlib.util
import json
import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from pytorchvideo_autox3d.config import config_path

needs_slowfast = pytest.mark.skipif(
    importlib.util.find_spec("slowfast") is None,
    reason="PySlowFast is not importable: put the path of its checkout on PYTHONPATH",
)

# Small enough for a CPU; PySlowFast's top-5 needs five classes.
SMALL = {
    "NUM_GPUS": 0,
    "TRAIN.BATCH_SIZE": 4,
    "TEST.BATCH_SIZE": 4,
    "TEST.NUM_ENSEMBLE_VIEWS": 2,
    "TEST.NUM_SPATIAL_CROPS": 3,
    "DATA.NUM_FRAMES": 4,
    "DATA.SAMPLING_RATE": 2,
    "DATA.TRAIN_JITTER_SCALES": [36, 40],
    "DATA.TRAIN_CROP_SIZE": 32,
    "DATA.TEST_CROP_SIZE": 32,
    "DATA_LOADER.NUM_WORKERS": 0,
    "DATA_LOADER.PIN_MEMORY": False,
    "MODEL.NUM_CLASSES": 8,
    "BN.NUM_BATCHES_PRECISE": 2,
    "SOLVER.MAX_EPOCH": 1,
    "SOLVER.WARMUP_EPOCHS": 0.0,
    "SOLVER.BASE_LR": 0.005,
    "LOG_MODEL_INFO": False,
    "LOG_PERIOD": 1,
}
# Every group of Table 2 at its smallest: the same network code, a fraction of the time.
SMALLEST_GROUPS = [
    [[3, 3], channels, 1.5, "glore" if number == 5 else "none"]
    for number, channels in enumerate((12, 12, 24, 24, 48, 48, 48, 48, 96, 96, 96))
]


def small_opts(**settings):
    """KEY VALUE pairs; a dot of a key is written as two underscores, and None leaves a key as the file has it."""
    # An X3D, or another network that is named, does not read the groups.
    named = not settings.get("MODEL__MODEL_NAME", "AutoX3D").startswith("AutoX")
    other = named or "X3D__DEPTH_FACTOR" in settings or "RESNET__TRANS_FUNC" in settings
    changed = SMALL | ({} if other else {"AUTOX3D.GROUPS": SMALLEST_GROUPS})
    changed |= {key.replace("__", "."): value for key, value in settings.items()}
    return [text for key, value in changed.items() if value is not None for text in (key, str(value))]


def load_small(name="autox3d/S.yaml", **settings):
    """PySlowFast's config of a shipped yaml at the small settings; needs `register()` first."""
    from pytorchvideo_autox3d.slowfast.configuration import load_cfg

    return load_cfg(config_path(name), small_opts(**settings))


def stats_of(output, kind):
    """PySlowFast's json_stats lines of a kind; all of them for ""."""
    lines = [line.split("json_stats: ")[1] for line in Path(output, "stdout.log").read_text().splitlines()
             if "json_stats: " in line]  # fmt: skip
    return [stats for stats in map(json.loads, lines) if kind in ("", stats.get("_type"), stats.get("split"))]


def scores_of(path):
    """What TEST.SAVE_RESULTS_PATH of PySlowFast holds: sums of scores over the views, and labels."""
    with open(path, "rb") as file:
        scores, labels = pickle.load(file)
    return scores, labels


def pretend_gpus(rank, count):
    """Let PySlowFast's several-GPU code run on a CPU: tensors stay where they are, DDP takes no device."""

    def stay(self, *args, **kwargs):
        return self

    ddp = nn.parallel.DistributedDataParallel
    torch.cuda.is_available = lambda: True
    torch.cuda.device_count = lambda: count
    torch.cuda.current_device = lambda: rank
    for name in ("set_device", "synchronize", "empty_cache"):
        setattr(torch.cuda, name, lambda *args: None)
    torch.cuda.max_memory_allocated = lambda *args: 0
    torch.Tensor.cuda = nn.Module.cuda = stay
    nn.parallel.DistributedDataParallel = lambda module, device_ids, output_device, **options: ddp(module, **options)


def run_job(rank, job, cfg, address):
    """One process of PySlowFast's launcher, on pretended GPUs."""
    torch.set_num_threads(1)
    from pytorchvideo_autox3d.slowfast import register

    register()
    from slowfast.utils.multiprocessing import run

    pretend_gpus(rank, cfg.NUM_GPUS)
    run(rank, cfg.NUM_GPUS, job, address, 0, 1, "gloo", cfg)
    torch.distributed.destroy_process_group()
