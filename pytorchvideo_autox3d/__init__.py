"""AutoX3D for the PyTorchVideo / PySlowFast ecosystem: search, train, test and export efficient video models."""

import warnings

# pytorchvideo scripts its Swish when it is imported; users can do nothing about it, so they need not read about it.
warnings.filterwarnings("ignore", message=r".torch\.jit\.script. is deprecated", category=FutureWarning)

__version__ = "0.1.0"
