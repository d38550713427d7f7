"""From a trained network to a file for a runtime, whose logits are compared with eager's before the file is kept."""

from pytorchvideo_autox3d.export.exporter import export_model, load_exported, read_metadata
from pytorchvideo_autox3d.export.fuse import fuse_for_inference
from pytorchvideo_autox3d.export.lowering import lower_to_4d
from pytorchvideo_autox3d.export.report import ExportReport
from pytorchvideo_autox3d.export.targets import TARGETS

__all__ = [
    "TARGETS",
    "ExportReport",
    "export_model",
    "fuse_for_inference",
    "load_exported",
    "lower_to_4d",
    "read_metadata",
]
