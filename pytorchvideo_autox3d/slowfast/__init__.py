"""PySlowFast as a second harness: this package registered in an unmodified checkout of it.

PySlowFast's conventions (list inputs, softmax in eval, five-value items, its meters' index arithmetic, its
checkpoint keys) live here and nowhere else. Importing this package imports nothing of PySlowFast.
"""

from pytorchvideo_autox3d.slowfast.harness import register, run

__all__ = ["register", "run"]
