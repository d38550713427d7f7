"""For each operator of an exported network, what it does on maps held as `Frames`.

Importing this fills the table `RULES`; what isn't in it can't be lowered.
"""

from pytorchvideo_autox3d.export.rules import maps, pooling  # noqa: F401  (they register their rules)
from pytorchvideo_autox3d.export.rules.convolution import Kernel, conv3d
from pytorchvideo_autox3d.export.rules.positions import view_as_map
from pytorchvideo_autox3d.export.rules.table import RULES, NoRule, aten

__all__ = ["RULES", "Kernel", "NoRule", "aten", "conv3d", "view_as_map"]
