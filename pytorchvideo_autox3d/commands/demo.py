"""`autox3d demo`: from nothing to a report. Makes the demo data, trains, tests and compares small models on it.

Each stage keeps its files in a folder of its own and is taken from there when the command is given again, so that an
interrupted demo goes on where it was.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import simplejson

if TYPE_CHECKING:
    from fvcore.common.config import CfgNode

    from pytorchvideo_autox3d.data import DemoSettings
    from pytorchvideo_autox3d.report import ClipStrip, ModelResult

# Name in the report, role there, and config.
MODELS = (("AutoX3D, small", "designed", "autox3d/demo.yaml"), ("X3D, small", "X3D", "autox3d/demo_x3d.yaml"))
LATENCY_REPEATS = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to, and the size of it all."""
    parser.add_argument("--output", type=Path, default=Path("demo"), help="folder for data, checkpoints and the report")
    parser.add_argument("--epochs", type=int, default=None, help="fewer for a quick look")
    parser.add_argument("--videos-per-class", type=int, default=None, help="training videos; fewer for a quick look")
    parser.add_argument("--seed", type=int, default=0)


def run(args: argparse.Namespace) -> None:
    """All stages, in order; the last line says where the report is."""
    from pytorchvideo_autox3d import jobs
    from pytorchvideo_autox3d.data import make_demo_data
    from pytorchvideo_autox3d.report import write_report

    settings = _data_settings(args)
    make_demo_data(args.output / "data", settings=settings)
    configs = {name: _config(args, file) for name, _, file in MODELS}
    for cfg in configs.values():
        if not _results_file(cfg).is_file():
            jobs.launch(cfg)
    latencies = _latencies(configs)
    results = [_result(name, role, configs[name], latencies[name]) for name, role, _ in MODELS]
    page, data = write_report(args.output / "report.html", _report(args, configs, results, settings))
    for result in results:
        print(f"{result.name}: {result.top1:.1f}% top-1, {result.gflops * 1e3:.2f} M multiply-adds")
    print(f"report: {page} and {data}")


def _data_settings(args: argparse.Namespace) -> DemoSettings:
    from pytorchvideo_autox3d.data import DemoSettings

    if args.videos_per_class is None:
        return DemoSettings(seed=args.seed)
    return DemoSettings(seed=args.seed, train_per_class=args.videos_per_class)


def _config(args: argparse.Namespace, file: str) -> CfgNode:
    from pytorchvideo_autox3d.config import config_path, load_cfg

    folder = Path(file).stem.removeprefix("demo_").replace("demo", "autox3d")
    opts: list[Any] = ["OUTPUT_DIR", str(args.output / folder), "RNG_SEED", args.seed]
    for key in ("DATA.PATH_TO_DATA_DIR", "DATA.PATH_PREFIX"):
        opts += [key, str(args.output / "data")]
    if args.epochs is not None:
        opts += ["SOLVER.MAX_EPOCH", args.epochs, "SOLVER.WARMUP_EPOCHS", args.epochs / 10]
    return load_cfg(config_path(file), opts)


def _results_file(cfg: CfgNode) -> Path:
    return Path(cfg.OUTPUT_DIR, "test_results.json")


def _latencies(configs: dict[str, CfgNode]) -> dict[str, float]:
    """Median milliseconds of one clip, of all models in turn."""
    import torch

    from pytorchvideo_autox3d import build
    from pytorchvideo_autox3d.analysis import measure_latency

    def forward_of(cfg: CfgNode) -> Any:
        model = build.build_model(cfg).eval()
        clip_BCTHW = torch.zeros(1, 3, *_clip(cfg)).contiguous(memory_format=torch.channels_last_3d)
        return lambda: model(clip_BCTHW)

    with torch.no_grad():
        runs = {name: forward_of(cfg) for name, cfg in configs.items()}
        return {name: measured.median for name, measured in measure_latency(runs, repeats=LATENCY_REPEATS).items()}


def _clip(cfg: CfgNode) -> tuple[int, int, int]:
    return cfg.DATA.NUM_FRAMES, cfg.DATA.TRAIN_CROP_SIZE, cfg.DATA.TRAIN_CROP_SIZE


def _result(name: str, role: str, cfg: CfgNode, latency_ms: float) -> ModelResult:
    from pytorchvideo_autox3d import build
    from pytorchvideo_autox3d.analysis import count_module
    from pytorchvideo_autox3d.report import ModelResult

    tested = simplejson.loads(_results_file(cfg).read_text(encoding="utf8"))
    history = Path(cfg.OUTPUT_DIR, "history.jsonl").read_text(encoding="utf8").splitlines()
    model = build.build_model(cfg)
    cost = count_module(model, _clip(cfg))
    return ModelResult(
        name,
        role,
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


def _report(
    args: argparse.Namespace, configs: dict[str, CfgNode], results: Sequence[ModelResult], settings: DemoSettings
) -> Any:
    from pytorchvideo_autox3d.data import DEMO_CLASSES
    from pytorchvideo_autox3d.report import DemoReport, describe_machine

    cfg = next(iter(configs.values()))
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
        clips=_strips(cfg),
        commands=[("this report", f"autox3d demo --output {args.output} --seed {args.seed}")],
    )


def _strips(cfg: CfgNode) -> list[ClipStrip]:
    """The first training clip of every class."""
    from pytorchvideo_autox3d import build
    from pytorchvideo_autox3d.data import DEMO_CLASSES
    from pytorchvideo_autox3d.report import ClipStrip, film_strip

    dataset = build.build_dataset(cfg, "train")
    labels = dataset.labels.tolist()
    firsts = [labels.index(label) for label in range(len(DEMO_CLASSES))]
    return [ClipStrip(DEMO_CLASSES[labels[i]], film_strip(dataset[i].clip_BCTHW[0])) for i in firsts]
