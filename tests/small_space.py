"""A space of two groups whose networks take no time, an architecture of it as AUTOX3D.GROUPS has it, its latencies."""

from pathlib import Path

from fvcore.common.config import CfgNode

from pytorchvideo_autox3d.analysis import AdditiveCost, LatencyTable, machine_name
from pytorchvideo_autox3d.jobs import build
from pytorchvideo_autox3d.search import cost_table

SPACE = """
name: tiny
stem: {channels: 4}
head: {channels: 8, hidden: 8}
groups:
  - {channels: [4, 8], kernels: [[1, 3]], expansions: [1.5, 3.0], attentions: [none], blocks: 1, stride: 2}
  - {channels: [8], kernels: [[3, 3]], expansions: [1.5], attentions: [none, glore], blocks: 1, stride: 2}
"""
GROUPS = [[[1, 3], 8, 3.0, "none"], [[3, 3], 8, 1.5, "none"]]


def write_latency_table(cfg: CfgNode, path: Path) -> Path:
    """Milliseconds that are a thousandth of a network's multiply-adds, of the config's space and clip size."""
    supernet = build.build_supernet(cfg)
    macs = cost_table(supernet).additive("macs")
    cost = AdditiveCost(macs.fixed / 1e3, tuple(group / 1e3 for group in macs.groups), macs.head / 1e3)
    size = cfg.DATA.TRAIN_CROP_SIZE
    table = LatencyTable(supernet.space, (cfg.DATA.NUM_FRAMES, size, size), 1, "eager", 1, machine_name(), cost)
    table.to_json(path)
    return path
