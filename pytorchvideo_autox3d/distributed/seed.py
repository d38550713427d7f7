"""One call that seeds every generator a run draws from."""

from __future__ import annotations

import random

import numpy as np
import torch

from pytorchvideo_autox3d.distributed.collectives import rank


def seed_all(seed: int, *, per_process: bool = True) -> torch.Generator:
    """Seed Python, NumPy and torch (all devices).

    Args:
        seed: 0 or more.
        per_process: give each process `seed + rank`, so that dropout differs between processes. Without it all draw
            the same, as is needed where each builds the same model.

    Returns:
        A CPU generator with the same seed.
    """
    own = seed + (rank() if per_process else 0)
    random.seed(own)
    np.random.seed(own % 2**32)
    torch.manual_seed(own)
    return torch.Generator().manual_seed(own)
