"""From a trained network to a file that a runtime takes; the runtime's logits are compared with eager's on the way."""

from pytorchvideo_autox3d.export.fuse import fuse_for_inference
from pytorchvideo_autox3d.export.lowering import lower_to_4d

__all__ = ["fuse_for_inference", "lower_to_4d"]
