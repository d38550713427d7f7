"""Training and testing from plain arguments; the engine knows no architecture and no data format."""

from pytorchvideo_autox3d.checkpoint_files import checkpoint_model_state, read_checkpoint
from pytorchvideo_autox3d.engine.checkpoint import Checkpointer
from pytorchvideo_autox3d.engine.checkpoint_folder import Keeping, checkpoint_path, last_checkpoint
from pytorchvideo_autox3d.engine.hooks import (
    CheckpointHook,
    CounterHook,
    DataTimeHook,
    EvalHook,
    HistoryHook,
    LogHook,
    LRHook,
    MetricHook,
    PeriodicHook,
    TensorBoardHook,
    is_due,
)
from pytorchvideo_autox3d.engine.logs import log_json_stats, setup_logging
from pytorchvideo_autox3d.engine.losses import CrossEntropy
from pytorchvideo_autox3d.engine.optimizer import build_optimizer, clip_gradients, parameter_groups, set_lr
from pytorchvideo_autox3d.engine.precise_bn import average_bn_stats, recalibrate_bn
from pytorchvideo_autox3d.engine.precision import Precision
from pytorchvideo_autox3d.engine.progress import ProgressBar
from pytorchvideo_autox3d.engine.runtime import Runtime, usable_device
from pytorchvideo_autox3d.engine.schedules import Schedule, make_schedule
from pytorchvideo_autox3d.engine.supervised import SupervisedStep
from pytorchvideo_autox3d.engine.tester import EvalSettings, EvalViews, ResumableTest, multiview_scores, run_test
from pytorchvideo_autox3d.engine.train_loop import Hook, TrainLoop
from pytorchvideo_autox3d.engine.trainer import (
    TrainSettings,
    Validation,
    distribute,
    standard_hooks,
    start_from,
    train,
)
from pytorchvideo_autox3d.engine.weights import (
    LoadSummary,
    check_fits,
    load_model_state,
    load_weights,
    unwrapped,
)

__all__ = [
    "CheckpointHook",
    "Checkpointer",
    "CounterHook",
    "CrossEntropy",
    "DataTimeHook",
    "EvalHook",
    "EvalSettings",
    "EvalViews",
    "HistoryHook",
    "Hook",
    "Keeping",
    "LRHook",
    "LoadSummary",
    "LogHook",
    "MetricHook",
    "PeriodicHook",
    "Precision",
    "ProgressBar",
    "ResumableTest",
    "Runtime",
    "Schedule",
    "SupervisedStep",
    "TensorBoardHook",
    "TrainLoop",
    "TrainSettings",
    "Validation",
    "average_bn_stats",
    "build_optimizer",
    "check_fits",
    "checkpoint_model_state",
    "checkpoint_path",
    "clip_gradients",
    "distribute",
    "is_due",
    "last_checkpoint",
    "load_model_state",
    "load_weights",
    "log_json_stats",
    "make_schedule",
    "multiview_scores",
    "parameter_groups",
    "read_checkpoint",
    "recalibrate_bn",
    "run_test",
    "set_lr",
    "setup_logging",
    "standard_hooks",
    "start_from",
    "train",
    "unwrapped",
    "usable_device",
]
