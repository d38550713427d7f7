"""The data of the page that `autox3d demo` writes: each network's results, the search, and examples of the data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import simplejson

from pytorchvideo_autox3d.commands.demo_models import Entry, demo_clip

if TYPE_CHECKING:
    from fvcore.common.config import CfgNode

    from pytorchvideo_autox3d.commands.demo_tasks import DemoTask
    from pytorchvideo_autox3d.report import ClipStrip, DemoReport, ModelResult, SearchSummary

LATENCY_REPEATS = 50


def measured_latencies(entries: list[Entry]) -> dict[str, float]:
    """The median milliseconds of one clip for each model, by name; all models run in turn."""
    import torch

    from pytorchvideo_autox3d.analysis import measure_latency
    from pytorchvideo_autox3d.jobs import build

    def forward_of(cfg: CfgNode) -> Any:
        model = build.build_model(cfg).eval()
        clip_BCTHW = torch.zeros(1, 3, *demo_clip(cfg)).contiguous(memory_format=torch.channels_last_3d)
        return lambda: model(clip_BCTHW)

    with torch.no_grad():
        runs = {entry.name: forward_of(entry.cfg) for entry in entries}
        return {name: measured.median for name, measured in measure_latency(runs, repeats=LATENCY_REPEATS).items()}


def model_result(entry: Entry, latency_ms: float) -> ModelResult:
    """The results in the folder of a trained and tested network, with its cost; `latency_ms` is in milliseconds."""
    from pytorchvideo_autox3d.analysis import count_module
    from pytorchvideo_autox3d.jobs import build
    from pytorchvideo_autox3d.report import ModelResult

    cfg = entry.cfg
    tested = simplejson.loads(Path(cfg.OUTPUT_DIR, "test_results.json").read_text(encoding="utf8"))
    history = Path(cfg.OUTPUT_DIR, "history.jsonl").read_text(encoding="utf8").splitlines()
    model = build.build_model(cfg)
    cost = count_module(model, demo_clip(cfg))
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


def search_summary(cfg: CfgNode) -> SearchSummary:
    """The search in a config's OUTPUT_DIR, as the page shows it."""
    from pytorchvideo_autox3d.report import PolicyTable, SearchSummary
    from pytorchvideo_autox3d.search import read_history, read_result

    result = read_result(cfg.OUTPUT_DIR)
    return SearchSummary(
        history=read_history(cfg.OUTPUT_DIR),
        target_gflops=cfg.SEARCH.TARGET_GFLOPS,
        num_samples=result["num_samples"],
        warmup_epochs=result["warmup_epochs"],
        policy=[PolicyTable(**table) for table in result["policy"]],
        coverage=result["coverage"],
        settings={"method": cfg.SEARCH.METHOD, "channel selection": cfg.SEARCH.CHANNEL_SELECTION},
    )


def demo_report(
    command: str,
    task: DemoTask,
    cfg: CfgNode,
    results: list[ModelResult],
    search: SearchSummary,
) -> DemoReport:
    """The whole content of the page; `command` is what makes it."""
    from pytorchvideo_autox3d.analysis import describe_machine
    from pytorchvideo_autox3d.report import DemoReport

    return DemoReport(
        title=task.title,
        task=task.text,
        class_names=task.class_names,
        num_test_videos=task.num_test_videos,
        clip=demo_clip(cfg),
        models=results,
        num_views=cfg.TEST.NUM_ENSEMBLE_VIEWS * cfg.TEST.NUM_SPATIAL_CROPS,
        machine=describe_machine(),
        search=search,
        clips=_strips(cfg, task),
        commands=[("this report", command)],
        notes=["The X3D's bottleneck factor is set so that its multiply-adds equal those of the searched network."],
    )


def _strips(cfg: CfgNode, task: DemoTask) -> list[ClipStrip]:
    """The first training clip of every class."""
    from pytorchvideo_autox3d.jobs import build
    from pytorchvideo_autox3d.report import ClipStrip, film_strip

    dataset = build.build_dataset(cfg, "train")
    labels = dataset.labels.tolist()
    firsts = [labels.index(label) for label in range(len(task.class_names))]
    return [ClipStrip(task.class_names[labels[i]], film_strip(dataset[i].clip_BCTHW[0])) for i in firsts]
