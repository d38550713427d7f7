"""Configuration: PySlowFast's key names plus AUTOX3D, GLORE and SEARCH, read from safe yaml; typos are errors."""

from pytorchvideo_autox3d.config.imports import import_modules
from pytorchvideo_autox3d.config.keys import changed_keys, leaves, value_at
from pytorchvideo_autox3d.config.loading import config_path, import_named_modules, load_cfg, merge_into
from pytorchvideo_autox3d.config.nodes import add_autox3d_config, add_model_nodes
from pytorchvideo_autox3d.config.rules import check_values
from pytorchvideo_autox3d.config.schema import get_cfg
from pytorchvideo_autox3d.config.unread import check_read, idle_keys

__all__ = [
    "add_autox3d_config",
    "add_model_nodes",
    "changed_keys",
    "check_read",
    "check_values",
    "config_path",
    "get_cfg",
    "idle_keys",
    "import_modules",
    "import_named_modules",
    "leaves",
    "load_cfg",
    "merge_into",
    "value_at",
]
