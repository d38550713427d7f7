"""How good features are: nearest neighbours and a linear classifier on them, by scikit-learn.

Shapes: N videos, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytorchvideo_autox3d.errors import ConfigError, DataError
from pytorchvideo_autox3d.predict.features import read_features, read_index


@dataclass(frozen=True)
class ProbeResult:
    """Accuracies in percent on the test features, and what they were measured on.

    Attributes:
        knn_acc: of the vote of the nearest neighbours.
        linear_acc: of the linear classifier.
        neighbours: how many vote.
        train_videos, test_videos: how many videos were learnt from and tested on.
    """

    knn_acc: float
    linear_acc: float
    neighbours: int
    train_videos: int
    test_videos: int


def read_folder(folder: str | Path) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Read a folder that `extract-features` wrote.

    Returns:
        features_NC, the mean of each video's views, and label_N, names or numbers.
    Raises:
        DataError: there is no index, no label in it, or the features are maps.
    """
    rows = read_index(folder)["videos"]
    if not rows or any("label" not in row for row in rows):
        raise DataError(f"{folder}: a probe needs labels: extract the features of a list that has them")
    features = [read_features(Path(folder, row["file"])) for row in rows]
    if features[0].ndim != 2:
        raise DataError(f"{folder}: holds maps, a probe needs pooled features (--kind pooled)")
    return np.stack([one.mean(axis=0) for one in features]), np.array([row["label"] for row in rows])


def probe(train: str | Path, test: str | Path, *, neighbours: int = 5, regularisation: float = 1.0) -> ProbeResult:
    """Fit both classifiers on the features of one folder and measure them on those of another.

    Features are standardised by the training's mean and deviation. Neighbours are the nearest by the cosine of the
    angle; the linear classifier is a logistic regression with an L2 penalty of strength 1 / `regularisation`.

    Args:
        train: the folder to learn from.
        test: the folder to measure on.
        neighbours: how many vote.
        regularisation: a positive number.
    Raises:
        ConfigError: scikit-learn is not installed, or an argument is out of range.
        DataError: a folder holds no labelled pooled features, the training's are all of one class, or the two are of
            different networks or name their classes differently.
    """
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.neighbors import KNeighborsClassifier
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    except ImportError:
        raise ConfigError("probe: needs scikit-learn: pip install 'pytorchvideo_autox3d[probe]'") from None
    (train_NC, train_N), (test_NC, test_N) = read_folder(train), read_folder(test)
    if train_NC.shape[1] != test_NC.shape[1]:
        raise DataError(f"{test}: features of {test_NC.shape[1]} channels, those of {train} have {train_NC.shape[1]}")
    if train_N.dtype.kind != test_N.dtype.kind:
        kinds = ["names" if labels_N.dtype.kind == "U" else "numbers" for labels_N in (test_N, train_N)]
        raise DataError(f"{test}: classes are {kinds[0]}, those of {train} are {kinds[1]}")
    if len(np.unique(train_N)) < 2:
        raise DataError(f"{train}: all videos are of one class")
    if not 1 <= neighbours <= len(train_N):
        raise ConfigError(f"neighbours: {neighbours}, expected 1 to {len(train_N)}, the videos to learn from")
    if not regularisation > 0:
        raise ConfigError(f"regularisation: {regularisation:g} is no positive number")
    knn = KNeighborsClassifier(neighbours, metric="cosine")
    linear = LogisticRegression(C=regularisation, max_iter=2000)
    knn_acc, linear_acc = (
        100 * float(make_pipeline(StandardScaler(), model).fit(train_NC, train_N).score(test_NC, test_N))
        for model in (knn, linear)
    )
    return ProbeResult(knn_acc, linear_acc, neighbours, len(train_N), len(test_N))
