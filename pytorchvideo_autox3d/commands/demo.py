"""`autox3d demo`: from nothing to a report. Makes the demo data, searches on it, trains what it found and its rivals.

    data -> search -> derived network, an X3D and random architectures of equal multiply-adds -> tests -> report

Each stage keeps its files in a folder of its own and is taken from there when the command is given again, so that an
interrupted demo goes on where it was.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import simplejson

from pytorchvideo_autox3d.errors import ConfigError

if TYPE_CHECKING:
    from fvcore.common.config import CfgNode

    from pytorchvideo_autox3d.data.tools import DemoSettings
    from pytorchvideo_autox3d.report import ClipStrip, DemoReport, ModelResult, SearchResult
    from pytorchvideo_autox3d.space import Architecture

RECIPE, X3D, SEARCH = "autox3d/demo.yaml", "autox3d/demo_x3d.yaml", "autox3d/search_demo.yaml"
# Architectures whose multiply-adds differ by less are equal for a comparison.
EQUAL_MACS = 0.05
LATENCY_REPEATS = 50


class Entry(NamedTuple):
    """A model of the comparison: its name and role in the report, and what trains it."""

    name: str
    role: str
    cfg: CfgNode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to, and the size of it all."""
    parser.add_argument("--output", type=Path, default=Path("demo"), help="folder for data, checkpoints and the report")
    parser.add_argument("--epochs", type=int, default=None, help="of each training; fewer for a quick look")
    parser.add_argument("--search-epochs", type=int, default=None, help="of the search; fewer for a quick look")
    parser.add_argument("--videos-per-class", type=int, default=None, help="training videos; fewer for a quick look")
    parser.add_argument("--random", type=int, default=3, help="random architectures to compare with")
    parser.add_argument("--seed", type=int, default=0)


def run(args: argparse.Namespace) -> None:
    """All stages, in order; the last line says where the report is."""
    from pytorchvideo_autox3d.data.tools import make_demo_data
    from pytorchvideo_autox3d.report import write_report

    settings = _data_settings(args)
    make_demo_data(args.output / "data", settings=settings)
    search_cfg = _search_config(args)
    _run_once(search_cfg, "search_result.json")
    entries = _entries(args, search_cfg)
    for entry in entries:
        _run_once(entry.cfg, "test_results.json")
    latencies = _latencies(entries)
    results = [_result(entry, latencies[entry.name]) for entry in entries]
    report = _report(args, entries[0].cfg, results, settings, _search_result(search_cfg))
    page, data = write_report(args.output / "report.html", report)
    for result in results:
        print(f"{result.name}: {result.top1:.1f}% top-1, {result.gflops * 1e3:.2f} M multiply-adds")
    print(f"report: {page} and {data}")


def _data_settings(args: argparse.Namespace) -> DemoSettings:
    from pytorchvideo_autox3d.data.tools import DemoSettings

    if args.videos_per_class is None:
        return DemoSettings(seed=args.seed)
    return DemoSettings(seed=args.seed, train_per_class=args.videos_per_class)


def _run_once(cfg: CfgNode, result: str) -> None:
    """Run the config's jobs unless their result is there; a run that was cut short goes on from its checkpoint."""
    from pytorchvideo_autox3d import jobs

    if not Path(cfg.OUTPUT_DIR, result).is_file():
        jobs.launch(cfg)


def _options(args: argparse.Namespace, folder: str) -> list[Any]:
    opts: list[Any] = ["OUTPUT_DIR", str(args.output / folder), "RNG_SEED", args.seed]
    for key in ("DATA.PATH_TO_DATA_DIR", "DATA.PATH_PREFIX"):
        opts += [key, str(args.output / "data")]
    return opts


def _search_config(args: argparse.Namespace) -> CfgNode:
    from pytorchvideo_autox3d.config import config_path, load_cfg

    opts = _options(args, "search")
    if args.search_epochs is not None:
        opts += ["SEARCH.EPOCHS", args.search_epochs, "SEARCH.WARMUP_EPOCHS", args.search_epochs // 3]
    return load_cfg(config_path(SEARCH), opts)


def _train_config(args: argparse.Namespace, file: str, folder: str, **changes: Any) -> CfgNode:
    from pytorchvideo_autox3d.config import config_path, load_cfg

    opts = _options(args, folder)
    if args.epochs is not None:
        opts += ["SOLVER.MAX_EPOCH", args.epochs, "SOLVER.WARMUP_EPOCHS", args.epochs / 10]
    for key, value in changes.items():
        opts += [key.replace("__", "."), value]
    return load_cfg(config_path(file), opts)


def _entries(args: argparse.Namespace, search_cfg: CfgNode) -> list[Entry]:
    """The derived network, and rivals of its multiply-adds."""
    from pytorchvideo_autox3d.space import Architecture

    derived = Architecture.from_json(Path(search_cfg.OUTPUT_DIR, "architecture.json"))

    def autox3d(architecture: Architecture, folder: str) -> CfgNode:
        space = search_cfg.AUTOX3D.SPACE
        return _train_config(args, RECIPE, folder, AUTOX3D__SPACE=space, AUTOX3D__GROUPS=architecture.rows)

    own = autox3d(derived, "searched")
    macs = _macs(own)
    entries = [Entry("AutoX3D, searched", "searched", own), Entry("X3D", "X3D", _equal_x3d(args, macs))]
    for number, architecture in enumerate(_equal_architectures(own, derived, args.random, args.seed), start=1):
        entries.append(Entry(f"random {number}", "random", autox3d(architecture, f"random_{number}")))
    return entries


def _macs(cfg: CfgNode) -> int:
    from pytorchvideo_autox3d.analysis import count_module
    from pytorchvideo_autox3d.jobs import build

    return count_module(build.build_model(cfg), _clip(cfg)).macs


def _equal_x3d(args: argparse.Namespace, macs: int) -> CfgNode:
    """The demo's X3D with the bottleneck factor, X3D's own expansion axis, that brings it to `macs`."""
    low, high = 0.5, 12.0
    for _ in range(12):
        middle = (low + high) / 2
        cfg = _train_config(args, X3D, "x3d", X3D__BOTTLENECK_FACTOR=middle)
        reached = _macs(cfg)
        if abs(reached / macs - 1) < EQUAL_MACS / 5:
            return cfg
        low, high = (middle, high) if reached < macs else (low, middle)
    if abs(reached / macs - 1) < EQUAL_MACS:
        return cfg
    raise ConfigError(f"no X3D of {macs / 1e6:.2f} M multiply-adds: the nearest has {reached / 1e6:.2f} M")


def _equal_architectures(cfg: CfgNode, derived: Architecture, count: int, seed: int) -> list[Architecture]:
    """Uniform samples of the space whose multiply-adds equal the derived network's."""
    import torch

    from pytorchvideo_autox3d.analysis import complexity

    generator = torch.Generator().manual_seed(seed)
    options = {"clip": _clip(cfg), "num_classes": cfg.MODEL.NUM_CLASSES}
    wanted = complexity(derived, **options).macs
    found: list[Architecture] = []
    while len(found) < count:
        architecture = derived.space.sample(generator)
        if abs(complexity(architecture, **options).macs / wanted - 1) < EQUAL_MACS and architecture != derived:
            found.append(architecture)
    return found


def _latencies(entries: list[Entry]) -> dict[str, float]:
    """Median milliseconds of one clip, of all models in turn."""
    import torch

    from pytorchvideo_autox3d.analysis import measure_latency
    from pytorchvideo_autox3d.jobs import build

    def forward_of(cfg: CfgNode) -> Any:
        model = build.build_model(cfg).eval()
        clip_BCTHW = torch.zeros(1, 3, *_clip(cfg)).contiguous(memory_format=torch.channels_last_3d)
        return lambda: model(clip_BCTHW)

    with torch.no_grad():
        runs = {entry.name: forward_of(entry.cfg) for entry in entries}
        return {name: measured.median for name, measured in measure_latency(runs, repeats=LATENCY_REPEATS).items()}


def _clip(cfg: CfgNode) -> tuple[int, int, int]:
    return cfg.DATA.NUM_FRAMES, cfg.DATA.TRAIN_CROP_SIZE, cfg.DATA.TRAIN_CROP_SIZE


def _result(entry: Entry, latency_ms: float) -> ModelResult:
    from pytorchvideo_autox3d.analysis import count_module
    from pytorchvideo_autox3d.jobs import build
    from pytorchvideo_autox3d.report import ModelResult

    cfg = entry.cfg
    tested = simplejson.loads(Path(cfg.OUTPUT_DIR, "test_results.json").read_text(encoding="utf8"))
    history = Path(cfg.OUTPUT_DIR, "history.jsonl").read_text(encoding="utf8").splitlines()
    model = build.build_model(cfg)
    cost = count_module(model, _clip(cfg))
    return ModelResult(
        entry.name,
        entry.role,
        top1=tested["top1_acc"],
        top5=tested["top5_acc"],
        per_class=tested["per_class_acc"],
        confusion=tested["confusion"],
        macs=cost.macs,
        params=cost.params,
        latency_ms=latency_ms,
        history=[_flat(simplejson.loads(line)) for line in history],
        architecture=getattr(model, "architecture", None),
        settings={"epochs": cfg.SOLVER.MAX_EPOCH, "batch": cfg.TRAIN.BATCH_SIZE, "lr": cfg.SOLVER.BASE_LR},
    )


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    """An epoch's record with its validation figures beside the others."""
    validation = record.pop("val", None) or {}
    return {**record, **{f"val_{key}": value for key, value in validation.items()}}


def _search_result(cfg: CfgNode) -> SearchResult:
    from pytorchvideo_autox3d.report import PolicyTable, SearchResult
    from pytorchvideo_autox3d.search import read_history, read_result

    result = read_result(cfg.OUTPUT_DIR)
    return SearchResult(
        history=read_history(cfg.OUTPUT_DIR),
        target_gflops=cfg.SEARCH.TARGET_GFLOPS,
        num_samples=result["num_samples"],
        warmup_epochs=result["warmup_epochs"],
        policy=[PolicyTable(**table) for table in result["policy"]],
        coverage=result["coverage"],
        settings={"method": cfg.SEARCH.METHOD, "channel selection": cfg.SEARCH.CHANNEL_SELECTION},
    )


def _report(
    args: argparse.Namespace,
    cfg: CfgNode,
    results: list[ModelResult],
    settings: DemoSettings,
    search: SearchResult,
) -> DemoReport:
    from pytorchvideo_autox3d.analysis import describe_machine
    from pytorchvideo_autox3d.data.tools import DEMO_CLASSES
    from pytorchvideo_autox3d.report import DemoReport

    return DemoReport(
        title="AutoX3D demo: eight camera motions",
        task=(
            "Tell which of eight ways the camera moves over a photograph. Training, validation and test videos show "
            "different photographs, and a single frame is the same for every class, so only motion tells them apart."
        ),
        class_names=DEMO_CLASSES,
        num_test_videos=settings.test_per_class * len(DEMO_CLASSES),
        clip=_clip(cfg),
        models=results,
        num_views=cfg.TEST.NUM_ENSEMBLE_VIEWS * cfg.TEST.NUM_SPATIAL_CROPS,
        machine=describe_machine(),
        search=search,
        clips=_strips(cfg),
        commands=[("this report", f"autox3d demo --output {args.output} --seed {args.seed}")],
        notes=["The X3D's bottleneck factor is set so that its multiply-adds equal those of the searched network."],
    )


def _strips(cfg: CfgNode) -> list[ClipStrip]:
    """The first training clip of every class."""
    from pytorchvideo_autox3d.data.tools import DEMO_CLASSES
    from pytorchvideo_autox3d.jobs import build
    from pytorchvideo_autox3d.report import ClipStrip, film_strip

    dataset = build.build_dataset(cfg, "train")
    labels = dataset.labels.tolist()
    firsts = [labels.index(label) for label in range(len(DEMO_CLASSES))]
    return [ClipStrip(DEMO_CLASSES[labels[i]], film_strip(dataset[i].clip_BCTHW[0])) for i in firsts]
