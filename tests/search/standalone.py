"""A space of 64 networks whose trainings cost nothing, for methods that train them."""

import itertools

from pytorchvideo_autox3d.search import Problem, run_method
from pytorchvideo_autox3d.space import Architecture, space_from_dict

GROUP = {"kernels": [[1, 3], [3, 3]], "expansions": [1.5, 3.0], "attentions": ["none"], "blocks": 1, "stride": 2}
SPACE = space_from_dict(
    {
        "name": "tiny", "stem": {"channels": 8}, "head": {"channels": 16, "hidden": 16},
        "groups": [{**GROUP, "channels": [8, 16]}, {**GROUP, "channels": [16, 24]}],
    }
)  # fmt: skip
SIZES = [range(len(decision.candidates)) for decision in SPACE.decisions]
NETWORKS = [Architecture.from_indices(SPACE, row) for row in itertools.product(*SIZES)]
PROBLEM = Problem(SPACE, NETWORKS, epochs=(1, 2, 4), clip=(4, 16, 16), num_classes=4)


class Counting:
    """Accuracy is the network's number, halved before the last epoch; an epoch costs 10 multiply-adds and a second."""

    def __init__(self):
        self.asked = []

    def cost(self, architecture, first, last):
        return 10.0 * (last - first), float(last - first)

    def validate(self, architecture, epoch):
        self.asked.append((NETWORKS.index(architecture), epoch))
        return NETWORKS.index(architecture) / (1 if epoch == 4 else 2)


def run(name, most_macs=1e9, seed=0, problem=PROBLEM):
    trainer = Counting()
    return run_method(name, problem, trainer, most_macs=most_macs, seed=seed), trainer.asked
