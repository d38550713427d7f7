"""Supernets on the bench data: trained once and kept, scored where the table gained networks."""

import argparse
import dataclasses
import json
import sys

import numpy as np
import pytest
import torch

from pytorchvideo_autox3d.errors import DataError
from pytorchvideo_autox3d.nasbench import NasBench
from pytorchvideo_autox3d.nasbench.table import Table
from pytorchvideo_autox3d.space import space_from_dict

GROUP = {"channels": [8], "kernels": [[1, 3], [3, 3]], "expansions": [1.5], "attentions": ["none"], "blocks": 1}
SPACE = space_from_dict(
    {"name": "tiny", "stem": {"channels": 8}, "head": {"channels": 16, "hidden": 16},
     "groups": [{**GROUP, "stride": 2}, {**GROUP, "stride": 2}]}
)  # fmt: skip


@pytest.fixture
def bench() -> NasBench:
    """Four networks; the first two are trained from seed 0."""
    right = np.full((4, 1, 1), -1, np.int16)
    right[:2, 0, 0] = 10, 20
    empty = np.full((4, 1, 1), np.nan, np.float32)
    card = {"videos": {"train": 48, "val": 48, "test": 100}, "recipe": {"epochs": 1}}
    return NasBench(
        Table(
            SPACE, card, np.arange(1), np.array([1]), right, right, empty,
            empty, empty[..., 0], 1000 + np.arange(4), 50 + np.arange(4), empty[:, 0, 0],
        )
    )  # fmt: skip


@pytest.fixture
def script(load_script, monkeypatch, bench):
    recipe = load_script("nasbench_recipe")
    shared = load_script("bench_supernet")
    module = load_script("supernet_ranking")
    videos = recipe.Videos(torch.randint(0, 256, (48, 3, 16, 28, 28), dtype=torch.uint8), torch.arange(48) % 24)
    monkeypatch.setattr(recipe, "load_bench", lambda folder: dict.fromkeys(recipe.SPLITS, videos))
    small = shared.SupernetRecipe(epochs=1, samples=2, batch_size=16, sandwich=True, distill=True)
    monkeypatch.setattr(module, "VARIANTS", {"one": small})
    yield module
    for name in ("nasbench_recipe", "bench_supernet"):
        del sys.modules[name]


def test_a_run_scores_what_the_table_has_gained(script, bench, tmp_path, monkeypatch, capsys):
    args = argparse.Namespace(
        data=tmp_path, journal=tmp_path / "rows", output=tmp_path, results=tmp_path / "r.json", variants=["one"],
        seeds=[0], networks=None,
    )  # fmt: skip
    args.journal.mkdir()
    script.run(args, bench)
    (first,) = script.read_rows(args.results).values()
    assert set(first["scores"]) == {"0", "1"}
    assert first["cost"]["macs"] > 0
    kept = (tmp_path / "one_0.pt").stat().st_mtime_ns
    row = {"space": "tiny", "recipe": {"epochs": 1}, "test_right": [5, 40]}
    (args.journal / "0_0003.json").write_text(json.dumps(row))
    script.run(args, bench)
    (second,) = script.read_rows(args.results).values()
    assert set(second["scores"]) == {"0", "1", "3"}
    assert second["scores"]["0"] == first["scores"]["0"]
    assert (tmp_path / "one_0.pt").stat().st_mtime_ns == kept
    assert script.accuracies_so_far(bench, args.journal) == {0: 10.0, 1: 20.0, 3: 40.0}
    script.print_table(bench, script.accuracies_so_far(bench, args.journal), script.read_rows(args.results))
    assert "multiply-adds: 1.00" in capsys.readouterr().out
    for other in ({"space": "large"}, {"recipe": {"epochs": 2}}):
        (args.journal / "0_0002.json").write_text(json.dumps(row | other))
        with pytest.raises(DataError, match=r"0_0002\.json: of another space or recipe"):
            script.accuracies_so_far(bench, args.journal)
    (args.journal / "0_0002.json").unlink()
    elsewhere = NasBench(dataclasses.replace(bench.table, space=dataclasses.replace(SPACE, name="other")))
    args.journal = tmp_path / "none"
    with pytest.raises(DataError, match="trained in another space or by another recipe"):
        script.run(args, elsewhere)
    monkeypatch.setitem(script.VARIANTS, "one", script.SupernetRecipe(epochs=2))
    with pytest.raises(DataError, match="trained in another space or by another recipe"):
        script.run(args, bench)


def test_networks_are_drawn_once(script):
    known = dict.fromkeys(range(9), 50.0)
    assert script.drawn(known, None) == list(range(9))
    few, more = script.drawn(known, 3), script.drawn(known, 5)
    assert len(few) == 3
    assert set(few) < set(more)
