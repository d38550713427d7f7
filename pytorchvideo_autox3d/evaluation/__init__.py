"""Multi-view scores keyed by (video, view), and the metrics made of them."""

from pytorchvideo_autox3d.evaluation.fusion import TestScores, fuse, read_scores
from pytorchvideo_autox3d.evaluation.metrics import confusion_matrix, per_class_accuracy, topk_accuracy
from pytorchvideo_autox3d.evaluation.multiview import MultiViewResult, MultiViewScores

__all__ = [
    "MultiViewResult",
    "MultiViewScores",
    "TestScores",
    "confusion_matrix",
    "fuse",
    "per_class_accuracy",
    "read_scores",
    "topk_accuracy",
]
