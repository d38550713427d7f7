"""AutoX3D for the PyTorchVideo / PySlowFast ecosystem: search, train, test and export efficient video models."""

__version__ = "0.1.0"
