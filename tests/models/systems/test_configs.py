"""configs/baselines: one for every system of the hub, which builds the hub's network at the hub's clip."""

from pathlib import Path

import pytest
import torch

from pytorchvideo_autox3d.analysis import count_parameters
from pytorchvideo_autox3d.config import load_cfg
from pytorchvideo_autox3d.jobs import build
from pytorchvideo_autox3d.models.hub import HUB

FOLDER = Path(__file__).parents[3] / "configs" / "baselines"
SHARED = {"clips", "frames", "on_bench", "on_demo"}
SYSTEMS = [name for name, entry in HUB.items() if entry.model not in ("AutoX3D", "X3D")]
FLOW = {"i3d_flow", "r2plus1d_34_flow"}


def test_every_system_has_one():
    assert {path.stem for path in FOLDER.glob("*.yaml")} == {*SYSTEMS, *SHARED, *FLOW}


@pytest.mark.parametrize("name", SYSTEMS)
def test_it_builds_the_hubs_network(name):
    cfg, entry = load_cfg(FOLDER / f"{name}.yaml"), HUB[name]
    with torch.device("meta"):
        model = build.build_model(cfg)
    assert (cfg.MODEL.MODEL_NAME, count_parameters(model)) == (entry.model, entry.params)
    assert (
        entry.clip_length, entry.train_crop, entry.test_crop,
    ) == (cfg.DATA.NUM_FRAMES, cfg.DATA.TRAIN_CROP_SIZE, cfg.DATA.TEST_CROP_SIZE)  # fmt: skip
    assert f"output/{name}" == cfg.OUTPUT_DIR


@pytest.mark.parametrize("name", sorted(FLOW))
def test_flow_streams_are_those_of_the_pair(name):
    cfg = load_cfg(FOLDER / f"{name}.yaml")
    pair = load_cfg(FOLDER / name.replace("flow", "two_stream.yaml"))
    with torch.device("meta"):
        flow, both = build.build_model(cfg), build.build_model(pair)
    shapes = [p.shape for p in flow.backbone().parameters()]
    assert shapes == [p.shape for p in both.blocks[0].flow.parameters()]
    assert list(cfg.DATA.MEAN) == list(pair.DATA.MEAN)[3:]
