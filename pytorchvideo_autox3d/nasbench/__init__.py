"""A table of trained 3-D networks: every network of a space trained from scratch, to test a search on in seconds."""

from pytorchvideo_autox3d.nasbench.bench import NasBench, Trained, load
from pytorchvideo_autox3d.nasbench.trainer import TableTrainer, candidates

__all__ = ["NasBench", "TableTrainer", "Trained", "candidates", "load"]
