"""Table 5 of the paper on any data: every system that is built here, trained and tested by its config.

    python projects/autox3d/table5.py --data demo/data --overlay baselines/on_demo.yaml --frame-scale 0.25

The paper's figures stand beside. They are of Kinetics-400, and nothing here says anything about that.
The last column compares at one total cost of a video, views times clip, where the paper's form compares views.
"""

from __future__ import annotations

import paper_tables


def main() -> None:
    """All rows; figures to <output>/table5.json."""
    paper_tables.report(5, paper_tables.parse_arguments(__doc__ or "", 5))


if __name__ == "__main__":
    main()
