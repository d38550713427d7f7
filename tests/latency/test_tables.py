"""Tables of pieces: they add up to whole networks, and a table's agreement with networks is measured, not assumed."""

import numpy as np
import pytest
import torch

from pytorchvideo_autox3d.analysis import LatencyTable, count_parameters
from pytorchvideo_autox3d.latency import Measured, Setting, make_table, pieces_to_measure
from pytorchvideo_autox3d.latency.pieces import Grid, network_key, random_networks
from pytorchvideo_autox3d.latency.tables import FITTED, TESTED
from pytorchvideo_autox3d.layers.mbconv import MBConv3D
from pytorchvideo_autox3d.models import create_autox3d
from pytorchvideo_autox3d.space.plan import BlockPlan
from tests.latency.helpers import CLIP, small_space

SETTING = Setting("small", CLIP, 1, "eager", 1, "a machine")


@pytest.fixture(scope="module")
def pieces():
    return pieces_to_measure(small_space(), CLIP, "eager")


@pytest.fixture(scope="module")
def parameters(pieces):
    """In place of milliseconds a quantity that does add up: a whole network has the parameters of its pieces."""
    return {key: float(count_parameters(piece.build())) for key, piece in pieces.items()}


def as_measured(values):
    return {key: Measured(1.1 * value, value, 1.2 * value) for key, value in values.items()}


def test_pieces_add_up_to_networks(parameters, tmp_path):
    space = small_space()
    table, agreement = make_table(space, SETTING, as_measured(parameters))
    for architecture in random_networks(space, 5):
        expected = count_parameters(create_autox3d(architecture, input_crop_size=16))
        assert table.cost.total(np.array([architecture.indices]))[0] == pytest.approx(expected)
    assert agreement.error == pytest.approx(0, abs=1e-9)
    assert agreement.tau == pytest.approx(1)
    assert agreement.spread == pytest.approx(0.2 / 1.1)
    table.to_json(tmp_path / "table.json")
    again = LatencyTable.from_json(tmp_path / "table.json")
    again.check(space, CLIP, machine="a machine")
    assert (again.backend, again.threads, again.machine) == ("eager", 1, "a machine")


def test_what_a_network_adds_to_its_pieces_is_fitted(parameters):
    whole = {key: 2 * value + 500 if key.startswith("network") else value for key, value in parameters.items()}
    table, agreement = make_table(small_space(), SETTING, as_measured(whole))
    assert agreement.error == pytest.approx(0, abs=1e-9)
    (architecture,) = random_networks(small_space(), 1)
    expected = whole[network_key(0, architecture)]
    assert table.cost.total(np.array([architecture.indices]))[0] == pytest.approx(expected)


def test_disagreement_is_reported(parameters):
    """The networks tested on, though not those fitted on, are measured in the reverse of their order."""
    networks = list(enumerate(random_networks(small_space(), FITTED + TESTED)))
    tested = [network_key(number, one) for number, one in networks[FITTED:]]
    values = [parameters[key] for key in tested]
    swapped = {**parameters, **dict(zip(tested, [2 * max(values) - value for value in values], strict=True))}
    _, agreement = make_table(small_space(), SETTING, as_measured(swapped))
    assert agreement.tau < -0.8
    expected = np.mean([abs(value - swapped[key]) / swapped[key] for key, value in zip(tested, values, strict=True)])
    assert agreement.error == pytest.approx(expected)


def test_equal_parts_are_measured_once(pieces):
    # By hand. Stem 1, head 2, GloRe on 8 and 12 channels 2. Inner widths are 1.5 and 3 times what enters.
    # Group 1, at 8^2 then 4^2: the first block takes 8 channels to inner widths 12 and 24 (2 expansions), filters them
    # by 2 kernels (4) and projects to 8 and 12 (4). The second goes from each width to itself: 8 to 12 and 24, 12 to
    # 18 and 36 (4 expansions), by 2 kernels (8), back to 8 and 12 (4).
    # Group 2, inner widths 1.5 and 2.25 times, at 4^2 then 2^2: from 8 to 12 and 18, from 12 to 18 and 27, of
    # which group 1's second block at 4^2 has 8 to 12 and 12 to 18 already (2); inner
    # widths 12, 18 and 27 by 2 kernels (6); each to 12 and 16 (6). Second and third blocks, one of them with
    # squeeze-excitation: from 12 to 18 and 27, from 16 to 24 and 36 (4), by 2 kernels with and without (16), back (4).
    assert len(pieces) - FITTED - TESTED == 1 + 2 + 2 + (2 + 4 + 4) + (4 + 8 + 4) + (2 + 6 + 6) + (4 + 16 + 4)


def seeded(build):
    torch.manual_seed(0)
    return build().eval()


def test_the_layers_of_a_block_are_the_block():
    """In turn they give what the block gives, and none of their parameters is missing or there twice."""
    grid, plan = Grid(small_space(), CLIP), BlockPlan(stride=1, squeeze_excite=True)
    block, *layers = (
        seeded(build)
        for build in (
            lambda: MBConv3D(8, 8, inner_channels=12, kernel=(3, 3)),
            *(piece.build for piece in grid.block(8, 8, (3, 3), 1.5, 4, plan)),
        )
    )
    clip = torch.randn(1, 8, 3, 4, 4)
    with torch.no_grad():
        found = clip
        for layer in layers:
            found = layer(found)
        assert torch.allclose(found + clip, block(clip), atol=1e-6)
    assert sum(map(count_parameters, layers)) == count_parameters(block)
