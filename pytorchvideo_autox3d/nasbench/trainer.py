"""The table as a trainer: what a search method asks for was trained before, and is charged what that training cost."""

from __future__ import annotations

from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.nasbench.bench import NasBench
from pytorchvideo_autox3d.space import Architecture

# The forward pass, and two of its size for the gradients of the inputs and of the weights.
PASSES_OF_A_STEP = 3


class TableTrainer:
    """Answers a method's requests by the trainings of one seed.

    Args:
        bench: the table.
        seed: of the trainings whose validation accuracies a method sees.
    """

    def __init__(self, bench: NasBench, seed: int) -> None:
        self.bench = bench
        self.seed = seed

    def cost(self, architecture: Architecture, first_epoch: int, last_epoch: int) -> tuple[float, float]:
        """Multiply-adds and CPU seconds of training from the end of one epoch (0: from scratch) to that of another."""
        trained = self.bench.query(architecture, seed=self.seed)
        epochs = last_epoch - first_epoch
        clips = self.bench.table.card["videos"]["train"] * epochs
        return float(PASSES_OF_A_STEP * trained.macs * clips), trained.seconds * epochs / self.bench.epochs[-1]

    def validate(self, architecture: Architecture, epoch: int) -> float:
        """Validation accuracy after `epoch` epochs, in percent."""
        return self.bench.query(architecture, seed=self.seed, epoch=epoch).val_accuracy


def candidates(bench: NasBench, seed: int, most_macs: float) -> list[Architecture]:
    """The networks trained from `seed` that have at most `most_macs` multiply-adds for a clip.

    Raises:
        SearchError: there are none, or no such seed.
    """
    column = bench.column(seed)
    trained = [net for net in bench.architectures if bench.table.trained_NS[bench.index(net), column]]
    within = [net for net in trained if bench.table.macs_N[bench.index(net)] <= most_macs]
    if not within:
        cheapest = bench.table.macs_N.min() / 1e6
        raise SearchError(
            f"nasbench: no network trained from seed {seed} is within {most_macs / 1e6:g} M multiply-adds; "
            f"the table's cheapest has {cheapest:.4g} M"
        )
    return within
