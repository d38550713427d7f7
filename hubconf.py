"""`torch.hub.load("<this repository>", "autox3d_s")`: AutoX3D references and X3D, untrained; and packages."""

dependencies = ["torch", "torchvision", "pytorchvideo", "fvcore", "iopath", "simplejson", "yaml", "safetensors"]

from pytorchvideo_autox3d.models.hub import (  # noqa: E402, F401
    autox3d_l,
    autox3d_m,
    autox3d_s,
    package,
    x3d_l,
    x3d_m,
    x3d_s,
    x3d_xl,
    x3d_xs,
)
