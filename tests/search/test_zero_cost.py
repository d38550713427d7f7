import math

import pytest
import torch

from pytorchvideo_autox3d.models import create_autox3d
from pytorchvideo_autox3d.search import SCORES, Problem, run_method
from pytorchvideo_autox3d.space import Architecture, space_from_dict

SPACE = space_from_dict(
    {
        "name": "tiny", "stem": {"channels": 8}, "head": {"channels": 16, "hidden": 16},
        "groups": [
            {"channels": [8, 16], "kernels": [[1, 3], [3, 3]], "expansions": [2.0, 4.0],
             "attentions": ["none", "glore"], "blocks": 2, "stride": 2},
        ],
    }
)  # fmt: skip
PROBLEM = Problem(SPACE, [], epochs=(1, 2), clip=(4, 16, 16), num_classes=4)


def network(kernel=0, channels=0, expansion=0, attention=0):
    return Architecture.from_indices(SPACE, [kernel, channels, expansion, attention])


def score(name, architecture, seed=0):
    return SCORES[name](architecture, PROBLEM, torch.Generator().manual_seed(seed))


def test_parameters_are_those_of_the_module():
    net = create_autox3d(network(1, 1, 1, 1), model_num_class=4)
    assert score("zero_cost_params", network(1, 1, 1, 1)) == (sum(p.numel() for p in net.parameters()), 0.0)


def test_stentr_by_hand():
    # Clip 4 x 16^2; the stem halves to 8^2, the group to 4^2. Two blocks, 8 -> 16 wide, expansion 2, kernel 3 x 3^2: a
    # cube over the map (4, 4, 4), whose direction is the same, so that the distance is at its floor.
    volume = 27 * -math.log(1e-3)
    expected = 0.5 * math.log(8 * 16 * volume) + 0.5 * math.log(16 * 32 * volume) + math.log(16)
    assert score("zero_cost_stentr", network(1, 1, 0))[0] == pytest.approx(expected)
    # Kernel 1 x 3^2: cos = 28 / (sqrt(19) sqrt(48)).
    volume = 9 * -math.log(1 - 28 / math.sqrt(19 * 48))
    expected = 0.5 * math.log(8 * 16 * volume) + 0.5 * math.log(8 * 16 * volume) + math.log(8)
    assert score("zero_cost_stentr", network(0, 0, 0))[0] == pytest.approx(expected)


def test_zen_grows_with_width_and_not_with_attention():
    plain = score("zero_cost_zen", network())[0]
    assert math.isfinite(plain)
    assert score("zero_cost_zen", network())[0] == plain
    assert score("zero_cost_zen", network(expansion=1, channels=1))[0] > plain
    assert score("zero_cost_zen", network(attention=1))[0] == pytest.approx(plain, rel=0.05)
    # Two passes of every repeat's clips are counted.
    assert score("zero_cost_zen", network())[1] == 2 * 4 * 8 * score("zero_cost_macs", network())[0]


def test_the_best_score_is_trained_first():
    class Recording:
        def __init__(self):
            self.asked = []

        def cost(self, architecture, first, last):
            return 1.0, 1.0

        def validate(self, architecture, epoch):
            self.asked.append((architecture, epoch))
            return 50.0

    networks = [network(*row) for row in ((0, 0, 0, 0), (0, 1, 1, 0), (0, 1, 0, 0))]
    problem = Problem(SPACE, networks, epochs=(1, 2), clip=(4, 16, 16), num_classes=4)
    trainer = Recording()
    found = run_method("zero_cost_macs", problem, trainer, most_macs=2.0, seed=0)
    assert trainer.asked == [(networks[1], 2), (networks[2], 2)]
    assert found.spent.macs == 2.0
    zen = run_method("zero_cost_zen", problem, trainer, most_macs=1e12, seed=0)
    assert zen.trials[0].spent.macs > 1e6  # the score's own cost comes before the first training
