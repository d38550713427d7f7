"""Figure 4 of the paper on any data: the most probable architecture's multiply-adds through both searches of table4.py.

python projects/autox3d/figure4.py --data demo/data --output output/table4 [the other arguments of table4.py]
"""

from __future__ import annotations

import searched_rows
import table4

from pytorchvideo_autox3d.report.search import draw_search_curve
from pytorchvideo_autox3d.search import read_history


def main() -> None:
    """Search what table4.py has not; the picture to <output>/figure4.png."""
    args = searched_rows.parse_arguments(__doc__ or "", "table4")
    rows = table4.measure(args)
    search = rows[0].cfg.SEARCH
    histories = {one.name: read_history(one.cfg.OUTPUT_DIR) for one in rows}
    figure = draw_search_curve(histories, target_gflops=search.TARGET_GFLOPS, warmup_epochs=search.WARMUP_EPOCHS)
    figure.savefig(args.output / "figure4.png", dpi=150, bbox_inches="tight")
    print(f"picture: {args.output / 'figure4.png'}")


if __name__ == "__main__":
    main()
