"""One call that seeds every generator a run draws from."""

from __future__ import annotations

import random

import numpy as np
import torch

from pytorchvideo_autox3d.distributed.collectives import rank


def seed_all(seed: int, *, per_process: bool = True) -> torch.Generator:
    """Seed Python, NumPy and torch (all devices), and return a CPU generator seeded alike.

    With `per_process`, each process gets `seed + rank`, so that dropout differs between processes; without it all
    draw the same, which is what building a model wants.
    """
    own = seed + (rank() if per_process else 0)
    random.seed(own)
    np.random.seed(own % 2**32)
    torch.manual_seed(own)
    return torch.Generator().manual_seed(own)
