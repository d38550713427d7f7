"""The two tasks of `autox3d demo`: one on which networks differ, and for --quick an easy one that is soon learnt."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytorchvideo_autox3d.data.tools import BenchSettings, DemoSettings


@dataclass(frozen=True)
class DemoTask:
    """What a demo is about.

    Attributes:
        title, text: of the page.
        recipe, x3d, search: the configs that train a network of the space, train the X3D and search.
        class_names: in label order.
        settings: of the data.
        make_data: makes them in the folder that is its first argument, with `settings=`.
    """

    title: str
    text: str
    recipe: str
    x3d: str
    search: str
    class_names: Sequence[str]
    settings: BenchSettings | DemoSettings
    make_data: Callable[..., object]

    @property
    def num_test_videos(self) -> int:
        """Of all classes."""
        return self.settings.test_per_class * len(self.class_names)


def demo_task(args: argparse.Namespace) -> DemoTask:
    """The task of the arguments, its data as large as they say."""
    from pytorchvideo_autox3d.data import tools

    sizes = {
        "seed": args.seed,
        "train_per_class": args.videos_per_class,
        "val_per_class": args.val_per_class,
        "test_per_class": args.test_per_class,
    }
    if args.quick:
        return DemoTask(
            title="AutoX3D demo: eight camera motions",
            text=(
                "Tell which of eight ways the camera moves over a photograph. Training, validation and test videos "
                "show different photographs, and a single frame is the same for every class, so only motion tells them "
                "apart. The task is easy: it shows the road, not which network is better."
            ),
            recipe="autox3d/demo.yaml", x3d="autox3d/demo_x3d.yaml", search="autox3d/search_demo.yaml",
            class_names=tools.DEMO_CLASSES, settings=tools.DemoSettings(**sizes), make_data=tools.make_demo_data,
        )  # fmt: skip
    return DemoTask(
        title="AutoX3D demo: who moves, how, and what it looks like",
        text=(
            "Tell whether an object or the camera moves, by which of six programmes (speeding up or slowing down, "
            "swinging slowly or quickly, across then along or along then across), and whether the object is striped. "
            "Training, validation and test videos show different photographs; shake, flicker, clutter, noise and "
            "compression differ from video to video."
        ),
        recipe="autox3d/bench.yaml", x3d="autox3d/bench_x3d.yaml", search="autox3d/search_bench.yaml",
        class_names=tools.BENCH_CLASSES, settings=tools.BenchSettings(**sizes), make_data=tools.make_bench_data,
    )  # fmt: skip
