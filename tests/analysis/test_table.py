"""The vectorised table gives the same integers as costing one architecture at a time."""

import itertools

import numpy as np
import pytest
import torch

from pytorchvideo_autox3d.analysis import CostTable, complexity
from pytorchvideo_autox3d.errors import ModelError, SpaceError
from pytorchvideo_autox3d.space import Architecture, load_space, space_from_dict

TINY = {
    "name": "tiny",
    "stem": {"channels": 8, "temporal_kernel": 5},
    "head": {"channels": 16, "hidden": 24},
    "groups": [
        {
            "channels": [4, 12],
            "kernels": [[1, 3], [3, 3]],
            "expansions": [1.5, 2.3],
            "attentions": ["none", "glore"],
            "blocks": 2,
            "stride": 2,
        },
        {
            "channels": [8, 20, 24],
            "kernels": [[3, 5]],
            "expansions": [3.1],
            "attentions": ["nonlocal", "none"],
            "blocks": 1,
            "stride": 2,
        },
    ],
}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("table2", {"clip": (13, 160, 160)}),
        ("table2-nonlocal", {"clip": (16, 91, 64), "num_classes": 8, "depth_factor": 2.0}),
        (
            "table2",
            {"clip": (4, 32, 32), "stem": "x3d", "se_ratio": 0.25, "attention_options": {"glore": {"node_ratio": 0.3}}},
        ),
    ],
)
def test_equal_to_one_at_a_time(name, arguments):
    space = load_space(name)
    indices = space.sample_indices(200, torch.Generator().manual_seed(1)).numpy()
    costs = CostTable(space, **arguments).cost(indices)
    for row, *values in zip(indices.tolist(), *costs, strict=True):
        cost = complexity(Architecture.from_indices(space, row), **arguments)
        assert values == [cost.macs, cost.params, cost.peak_activation]


def test_chunks_join():
    space = space_from_dict(TINY)
    indices = space.sample_indices(20000, torch.Generator().manual_seed(2)).numpy()
    table = CostTable(space, clip=(2, 16, 16))
    whole = table.cost(indices)
    for narrow in (np.uint8, np.int64):
        assert np.array_equal(table.cost(indices[8000:9000].astype(narrow)).macs, whole.macs[8000:9000])


def test_ranges_are_the_extremes_of_the_enumerated_space():
    space = space_from_dict(TINY)
    options = [range(len(decision.candidates)) for decision in space.decisions]
    every = np.array(list(itertools.product(*options)))
    assert len(every) == space.size
    table = CostTable(space, clip=(3, 20, 24))
    costs = table.cost(every)
    assert table.additive("macs").range() == (costs.macs.min(), costs.macs.max())
    assert table.additive("params").range() == (costs.params.min(), costs.params.max())


def test_no_architectures():
    assert all(len(values) == 0 for values in CostTable(load_space("table2")).cost(np.zeros((0, 44), np.uint8)))


@pytest.mark.parametrize(
    "indices", [np.zeros((1, 43), int), np.zeros(44, int), np.zeros((1, 44)), np.full((1, 44), 8), np.full((1, 44), -1)]
)
def test_bad_indices_are_refused(indices):
    with pytest.raises(SpaceError, match=r"expected integer indices|out of its decision's range"):
        CostTable(load_space("table2")).cost(indices)


def test_a_bad_clip_is_refused():
    with pytest.raises(ModelError, match="a clip is"):
        CostTable(load_space("table2"), clip=(13, 0, 160))
