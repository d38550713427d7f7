"""Tables of pieces: they add up to whole networks, and a table's agreement with networks is measured, not assumed."""

import numpy as np
import pytest

from pytorchvideo_autox3d.analysis import LatencyTable, count_parameters
from pytorchvideo_autox3d.latency import Measured, Setting, make_table, pieces_of
from pytorchvideo_autox3d.latency.pieces import random_networks
from pytorchvideo_autox3d.latency.tables import FITTED, TESTED
from pytorchvideo_autox3d.models import create_autox3d
from tests.latency.helpers import CLIP, small_space

SETTING = Setting("small", CLIP, 1, "eager", 1, "a machine")


@pytest.fixture(scope="module")
def pieces():
    return pieces_of(small_space(), CLIP, networks=FITTED + TESTED)


@pytest.fixture(scope="module")
def parameters(pieces):
    """In place of milliseconds a quantity that does add up: a whole network has the parameters of its pieces."""
    return {key: float(count_parameters(piece.build())) for key, piece in pieces.items()}


def as_measured(values):
    return {key: Measured(value, 0.9 * value, 1.2 * value) for key, value in values.items()}


def test_pieces_add_up_to_networks(parameters, tmp_path):
    space = small_space()
    table, agreement = make_table(space, SETTING, as_measured(parameters))
    for architecture in random_networks(space, 5):
        expected = count_parameters(create_autox3d(architecture, input_crop_size=16))
        assert table.cost.total(np.array([architecture.indices]))[0] == pytest.approx(expected)
    assert agreement.error == pytest.approx(0, abs=1e-9)
    assert agreement.tau == pytest.approx(1)
    assert agreement.spread == pytest.approx(0.3)
    table.to_json(tmp_path / "table.json")
    again = LatencyTable.from_json(tmp_path / "table.json")
    again.check(space, CLIP)
    assert (again.backend, again.threads, again.machine) == ("eager", 1, "a machine")


def test_what_a_network_adds_to_its_pieces_is_fitted(parameters):
    whole = {key: 2 * value + 500 if key.startswith("network") else value for key, value in parameters.items()}
    table, agreement = make_table(small_space(), SETTING, as_measured(whole))
    assert agreement.error == pytest.approx(0, abs=1e-9)
    (architecture,) = random_networks(small_space(), 1)
    assert table.cost.total(np.array([architecture.indices]))[0] == pytest.approx(whole["network 0"])


def test_disagreement_is_reported(parameters):
    """The networks tested on, though not those fitted on, are measured in the reverse of their order."""
    tested = [f"network {number}" for number in range(FITTED, FITTED + TESTED)]
    values = [parameters[key] for key in tested]
    swapped = {**parameters, **dict(zip(tested, [2 * max(values) - value for value in values], strict=True))}
    _, agreement = make_table(small_space(), SETTING, as_measured(swapped))
    assert agreement.tau < -0.8
    expected = np.mean([abs(value - swapped[key]) / swapped[key] for key, value in zip(tested, values, strict=True)])
    assert agreement.error == pytest.approx(expected)


def test_equal_parts_are_measured_once(pieces):
    # By hand. Stem 1, head 2, GloRe on 8 and 12 channels 2. Group 1: first blocks 1 x 2 x 2 x 2, second ones
    # (from a width to itself, without squeeze-excitation) 2 x 2 x 2. Group 2 of three blocks: first 2 x 2 x 2 x 2,
    # second and third, of which every other one has squeeze-excitation, 2 x 2 x 2 each.
    assert len(pieces) - FITTED - TESTED == 1 + 2 + 2 + 8 + 8 + 16 + 8 + 8
