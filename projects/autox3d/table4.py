"""Table 4 of the paper on any data: a search with naive and one with fair channel selection, and what each finds.

    python projects/autox3d/table4.py --data demo/data --overlay baselines/on_demo.yaml \\
        --search-overlay baselines/on_demo.yaml \\
        --search-opts SEARCH.EPOCHS 3 SEARCH.WARMUP_EPOCHS 1 SEARCH.TARGET_GFLOPS 0.04

Channels and expansion alone are searched, over Table 2. `figure4.py` draws both searches. The paper's figures, at a
target of 2.0 GFLOPs, stand beside.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass

import searched_rows
from fvcore.common.config import CfgNode
from searched_rows import Network

from pytorchvideo_autox3d.files import write_json

SPACE = "spaces/table2_channels.yaml"
SEARCH = "autox3d/search_S.yaml"
# The paper's discovered GFLOPs and top-1.
PAPER = {"naive": (1.7, 70.5), "fair": (2.0, 73.1)}


@dataclass(frozen=True)
class Selection:
    """A search with one selection of channels: its config, and the network that it found, trained."""

    name: str
    cfg: CfgNode
    network: Network


def main() -> None:
    """Both rows; figures to <output>/table4.json."""
    args = searched_rows.parse_arguments(__doc__ or "", "table4")
    rows = measure(args)
    write_json(args.output / "table4.json", [asdict(one.network) | target_of(one) for one in rows])
    print(text(rows))


def measure(args: argparse.Namespace) -> list[Selection]:
    """Search and train with each selection, or take what is there."""
    rows = []
    for name in PAPER:
        opts = ["AUTOX3D.SPACE", SPACE, "SEARCH.CHANNEL_SELECTION", name]
        cfg, found = searched_rows.searched(args, f"search_{name}", SEARCH, opts)
        rows.append(Selection(name, cfg, searched_rows.trained(args, name, SPACE, found)))
    return rows


def target_of(one: Selection) -> dict[str, float]:
    """The search's budget, for the record."""
    return {"target_gflops": one.cfg.SEARCH.TARGET_GFLOPS}


def text(rows: list[Selection]) -> str:
    """The rows as Markdown, the paper's beside."""
    lines = [
        "| channel selection | paper: target | discovered | top-1 | here: target | discovered | top-1 |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in rows:
        gflops, top1 = PAPER[one.name]
        target, here = one.cfg.SEARCH.TARGET_GFLOPS, one.network
        lines.append(
            f"| {one.name} | 2.0 | {gflops} ({gflops - 2:+.1f}) | {top1} | {target:g} | "
            f"{here.gflops:.4g} ({here.gflops / target - 1:+.1%}) | {here.top1:.1f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
