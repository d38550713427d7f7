"""Table 3 of the paper on any data: GloRe placed by hand in X3D-S, and at searched positions.

    python projects/autox3d/table3.py --data demo/data --overlay baselines/on_demo.yaml \\
        --search-overlay baselines/on_demo.yaml --search-opts SEARCH.EPOCHS 3 SEARCH.WARMUP_EPOCHS 1

The budget of the search is that of the paper, 1.24 times the backbone, at whatever clip the data has. The paper's
figures, of 200 classes at 13 x 160^2, stand beside.
"""

from __future__ import annotations

from dataclasses import asdict

import searched_rows
from searched_rows import Network

from pytorchvideo_autox3d.config import config_path
from pytorchvideo_autox3d.files import write_json
from pytorchvideo_autox3d.space import Architecture, SearchSpace, load_space, stages

SPACE = "spaces/x3d_s_attention.yaml"
SEARCH = "autox3d/search_X3D_S_attention.yaml"
# By stage, the blocks of GloRe; the paper's parameters in millions, GFLOPs and top-1.
ROWS: dict[str, tuple[dict[int, int], float, float, float]] = {
    "X3D-S": ({}, 3.4, 1.96, 72.9),
    "2 in S1": ({1: 2}, 3.5, 2.33, 72.6),
    "2 in S2": ({2: 2}, 3.6, 2.56, 73.0),
    "2 in S3": ({3: 2}, 3.7, 2.39, 72.8),
    "2 in S3, 3 in S4": ({3: 2, 4: 3}, 5.4, 2.92, 73.0),
}
SEARCHED = (4.1, 2.44, 73.3)


def main() -> None:
    """All rows; figures to <output>/table3.json."""
    args = searched_rows.parse_arguments(__doc__ or "", "table3")
    space = load_space(str(config_path(SPACE)))
    networks: list[Network] = []
    for name, (blocks, *_) in ROWS.items():
        folder = name.replace(", ", "_").replace(" ", "_")
        networks.append(searched_rows.trained(args, folder, SPACE, placed(space, blocks)))
        write_json(args.output / "table3.json", [asdict(one) for one in networks])
    target = networks[0].gflops * SEARCHED[1] / ROWS["X3D-S"][2]
    cfg, found = searched_rows.searched(args, "search", SEARCH, ["SEARCH.TARGET_GFLOPS", target])
    networks.append(searched_rows.trained(args, "searched", cfg.AUTOX3D.SPACE, found))
    write_json(args.output / "table3.json", [asdict(one) for one in networks])
    print(text(networks))


def placed(space: SearchSpace, blocks: dict[int, int]) -> Architecture:
    """The backbone with so many blocks of GloRe in each stage, at even distances, the last after its last block."""
    chosen = set()
    for stage, count in blocks.items():
        groups = stages(space)[stage - 1]
        chosen |= {groups[-(-(number + 1) * len(groups) // count) - 1] for number in range(count)}
    indices = [
        decision.candidates.index("glore") if decision.field == "attention" and decision.group in chosen else 0
        for decision in space.decisions
    ]
    return Architecture.from_indices(space, indices)


def text(networks: list[Network]) -> str:
    """The rows as Markdown, the paper's beside."""
    papers = [row[1:] for row in ROWS.values()] + [SEARCHED]
    lines = [
        "| attention | paper: params | GFLOPs | top-1 | here: params | GFLOPs | top-1 |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, (params, gflops, top1), one in zip([*ROWS, "searched"], papers, networks, strict=True):
        lines.append(
            f"| {name} | {params} | {gflops} | {top1} | {one.params:.2f} | {one.gflops:.4g} | {one.top1:.1f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
