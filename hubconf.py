"""`torch.hub.load("<this repository>", "autox3d_s")`: every network of the hub, untrained; and packages."""

dependencies = ["torch", "torchvision", "pytorchvideo", "fvcore", "iopath", "simplejson", "yaml", "safetensors"]

from pytorchvideo_autox3d.models.hub import ENTRY_POINTS, package  # noqa: E402, F401

# torch.hub looks for callables by name in this module.
globals().update(ENTRY_POINTS)
