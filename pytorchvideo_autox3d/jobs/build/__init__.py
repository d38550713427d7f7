"""From config keys to the arguments of the parts: nothing else in the package reads a config to build something."""

from pytorchvideo_autox3d.jobs.build.data import (
    build_dataset,
    build_fault_policy,
    build_loader,
    build_mix,
    build_preprocess,
    build_views,
    fault_hook,
)
from pytorchvideo_autox3d.jobs.build.lists import read_lists, spare_classes
from pytorchvideo_autox3d.jobs.build.model import (
    build_architecture,
    build_card,
    build_model,
    build_seeded_model,
    build_space,
)
from pytorchvideo_autox3d.jobs.build.naming import naming
from pytorchvideo_autox3d.jobs.build.optimisation import (
    AUTOCAST,
    build_loss,
    build_optimizer,
    build_runtime,
    build_schedule,
    build_test_settings,
    build_train_settings,
    precision_of,
)
from pytorchvideo_autox3d.jobs.build.retraining import retrain_changes, retrain_config
from pytorchvideo_autox3d.jobs.build.search import (
    build_average,
    build_budgets,
    build_evolution,
    build_latency,
    build_search_loaders,
    build_search_settings,
    build_supernet,
    check_part,
    derivation,
    search_method,
    split_training_list,
)

__all__ = [
    "AUTOCAST",
    "build_architecture",
    "build_average",
    "build_budgets",
    "build_card",
    "build_dataset",
    "build_evolution",
    "build_fault_policy",
    "build_latency",
    "build_loader",
    "build_loss",
    "build_mix",
    "build_model",
    "build_optimizer",
    "build_preprocess",
    "build_runtime",
    "build_schedule",
    "build_search_loaders",
    "build_search_settings",
    "build_seeded_model",
    "build_space",
    "build_supernet",
    "build_test_settings",
    "build_train_settings",
    "build_views",
    "check_part",
    "derivation",
    "fault_hook",
    "naming",
    "precision_of",
    "read_lists",
    "retrain_changes",
    "retrain_config",
    "search_method",
    "spare_classes",
    "split_training_list",
]
