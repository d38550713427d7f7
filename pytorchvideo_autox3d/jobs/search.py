"""The search that a config asks for, and the files that it writes."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from fvcore.common.config import CfgNode

from pytorchvideo_autox3d import distributed
from pytorchvideo_autox3d.analysis import LatencyTable, count_parameters, machine_name
from pytorchvideo_autox3d.data import ClipLoader, Manifest
from pytorchvideo_autox3d.distributed import ProcessInfo
from pytorchvideo_autox3d.errors import ConfigError, ErrorCollector, ExportError, SearchError
from pytorchvideo_autox3d.jobs import build
from pytorchvideo_autox3d.jobs.run_record import RecordRun
from pytorchvideo_autox3d.jobs.start import check_resumed_classes, check_resumed_method
from pytorchvideo_autox3d.latency import network_milliseconds
from pytorchvideo_autox3d.registry import MODEL_REGISTRY
from pytorchvideo_autox3d.search import (
    Budgets,
    Ledger,
    Policy,
    SearchResult,
    decision_report,
    derive,
    inherited_score,
    pareto,
    pareto_table,
    write_pareto,
    write_result,
)
from pytorchvideo_autox3d.search import search as run_search
from pytorchvideo_autox3d.search.derivation import SCORED
from pytorchvideo_autox3d.search.inherited import Score
from pytorchvideo_autox3d.search.result import ARCHITECTURE_NAME, PARETO_FOLDER, RETRAIN_NAME
from pytorchvideo_autox3d.supernet import Supernet, inherit

_logger = logging.getLogger(__name__)
# What several targets can be set for: the metric, its key under SEARCH, the unit.
PARETO = (("gflops", "PARETO_GFLOPS", "GFLOPs"), ("latency_ms", "PARETO_LATENCY_MS", "ms"))


@dataclass(frozen=True)
class SearchJob:
    """A search that can start.

    Attributes:
        cfg: the whole config. SOLVER is the optimiser of the supernet's weights; SEARCH.EPOCHS stands for MAX_EPOCH.
        parts: the videos that the weights learn from and those that alpha does; one list where both share all.
        ranked: the parsed list that candidates are ranked by, where SEARCH.DERIVE ranks any.
        retraining: the config that trains the result, as nested keys.
        latency: measured milliseconds of the space's choices, where SEARCH.LATENCY_TABLE names them.
        notes: what is odd but no error, for the log.
    """

    cfg: CfgNode
    parts: Sequence[Manifest]
    ranked: Manifest | None
    retraining: Mapping[str, Any]
    latency: LatencyTable | None = None
    notes: Sequence[str] = ()

    @classmethod
    def from_config(cls, cfg: CfgNode) -> SearchJob:
        """Check all that can be known to fail before it starts.

        Raises:
            ConfigError, RegistryError: a key names nothing, or keys don't go together.
            SearchError: a budget out of the space's reach, or a part of the list without a batch.
            DataError: a list is missing or malformed.
            SeveralErrors: more than one of these.
        """
        found = ErrorCollector()
        with found.collecting():
            latency = _check_keys(cfg)
            check_resumed_method(cfg)
            retraining = build.retrain_config(cfg)
        with found.collecting():
            ranking = build.derivation(cfg) in SCORED
            # A method with a derivation of its own can't do without what that ranks by.
            without = {} if build.search_method(cfg).derivation else {"val": "SEARCH.DERIVE within_budgets"}
            lists = build.read_lists(cfg, ["train", *(["val"] if ranking else [])], without=without)
            parts = build.split_training_list(cfg, lists["train"])
            for part in parts:
                build.check_part(cfg, part, machines=1)
            check_resumed_classes(cfg, lists["train"].classes)
        found.raise_found()
        spare = build.spare_classes(cfg, lists["train"])
        return cls(cfg, parts, lists.get("val"), retraining, latency, [spare] if spare else [])

    def run(self, info: ProcessInfo) -> SearchResult:
        """Run the search, and write history, architecture and the config that trains it to OUTPUT_DIR.

        Returns:
            The architecture that was derived.
        """
        cfg = self.cfg
        settings = build.build_search_settings(cfg)
        distributed.seed_all(cfg.RNG_SEED, per_process=False)
        supernet = build.build_supernet(cfg)
        policy = Policy(space=supernet.space)
        budgets = build.build_budgets(cfg, supernet, self.latency)
        loaders = build.build_search_loaders(cfg, info, self.parts)
        for note in self.notes:
            _logger.warning("%s", note)
        _log_space(supernet, budgets)
        build.log_learning_rate(cfg, num_machines=info.num_machines)
        if cfg.LOG_MODEL_INFO:
            _logger.info("the supernet has %.4g M parameters", count_parameters(supernet) / 1e6)
        optimizer = build.build_optimizer(cfg, supernet.to(info.device))
        average = build.build_average(cfg, supernet)
        ledger = Ledger()
        history = run_search(
            supernet,
            policy,
            loaders[0],
            loaders[1] if len(loaders) > 1 else None,
            optimizer=optimizer,
            schedule=build.build_schedule(cfg, num_machines=info.num_machines),
            settings=settings,
            budgets=budgets.budgets,
            latency=budgets.latency,
            runtime=build.build_runtime(cfg, info.device),
            output_dir=cfg.OUTPUT_DIR,
            method=cfg.SEARCH.METHOD,
            mix=build.build_mix(cfg),
            average=average,
            ledger=ledger,
            auto_resume=cfg.TRAIN.AUTO_RESUME,
            cfg_text=cfg.dump(),
            process_extras={f"faults_{number}": loader.faults for number, loader in enumerate(loaders)},
            extra_hooks=[RecordRun(cfg, self.parts[0].classes), build.fault_hook(*loaders)],
        )
        score = self._score(info, average.supernet if average else supernet, loaders[0], budgets, ledger)
        options = {
            "method": build.derivation(cfg),
            "count": cfg.SEARCH.BEST_OF,
            "score": score,
            "floor": cfg.SEARCH.BUDGET_FLOOR,
            "evolution": build.build_evolution(cfg),
        }
        derived = derive(policy, budgets=budgets, **options)
        others = _pareto(cfg, policy, budgets, options, derived)
        if distributed.is_main():
            if self.latency is not None:
                derived, *others = (_measured(one, supernet, self.latency) for one in (derived, *others))
            changes = build.retrain_changes(cfg, self.retraining)
            recipe: dict[str, Any] = {"train_config": self.retraining, "changes": changes}
            write_result(cfg.OUTPUT_DIR, derived, policy=policy, settings=settings, cost=ledger.to_dict(), **recipe)
            write_pareto(cfg.OUTPUT_DIR, others, **recipe)
            _report(cfg, derived, others, changes)
            if build.search_method(cfg).learns_policy:
                for line in decision_report(policy, history, settings, scored=options["method"] in SCORED):
                    _logger.warning("%s", line)
        distributed.barrier()
        return derived

    def _score(
        self, info: ProcessInfo, supernet: Supernet, calibration: ClipLoader, budgets: Budgets, ledger: Ledger
    ) -> Score | None:
        """What best_of and evolution rank architectures by; None where the most probable one is taken."""
        if self.ranked is None:
            return None
        cfg = self.cfg
        return inherited_score(
            supernet,
            build.build_loader(cfg, "val", info, manifest=self.ranked),
            calibration,
            bn_batches=cfg.SEARCH.BN_BATCHES,
            runtime=build.build_runtime(cfg, info.device),
            rank_by=cfg.SEARCH.RANK_BY,
            budgets=budgets,
            ledger=ledger,
        )


def _check_keys(cfg: CfgNode) -> LatencyTable | None:
    """Build what the keys describe, on "meta", to find their errors; return the table of SEARCH.LATENCY_TABLE."""
    method = build.search_method(cfg)
    MODEL_REGISTRY.get(cfg.MODEL.MODEL_NAME, key="MODEL.MODEL_NAME")
    if cfg.MODEL.MODEL_NAME not in ("AutoX3D", "AutoX3DSearch"):
        raise ConfigError(f"MODEL.MODEL_NAME is {cfg.MODEL.MODEL_NAME!r}, expected AutoX3DSearch for a search")
    method.check_settings(build.build_search_settings(cfg), mix=build.build_mix(cfg))
    build.build_evolution(cfg)
    with torch.device("meta"):
        supernet = build.build_supernet(cfg)
    method.check_space(supernet.space)
    build.build_optimizer(cfg, supernet)
    build.build_schedule(cfg)
    build.build_loss(cfg)
    latency = build.build_latency(cfg)
    _check_pareto_targets(cfg, build.build_budgets(cfg, supernet, latency))
    return latency


def _check_pareto_targets(cfg: CfgNode, budgets: Budgets) -> None:
    for metric, key, unit in PARETO:
        for target in cfg.SEARCH[key]:
            cheapest, dearest = budgets.range(metric)
            if not cheapest <= target <= dearest:
                raise SearchError(
                    f"SEARCH.{key}: {target:g} {unit} is outside the space's {cheapest:.3g} to {dearest:.3g}"
                )


def _log_space(supernet: Supernet, budgets: Budgets) -> None:
    _logger.info(
        "searching %s: %.2g architectures, GFLOPs %.3g to %.3g",
        supernet.space.name,
        supernet.space.size,
        *budgets.range("gflops"),
    )


def _pareto(
    cfg: CfgNode, policy: Policy, budgets: Budgets, options: Mapping[str, Any], derived: SearchResult
) -> list[SearchResult]:
    """One architecture for each of SEARCH.PARETO_*; a target that the other budgets exclude is logged, no error."""
    rows: list[SearchResult] = []
    for metric, key, _ in PARETO:
        for target in sorted(set(cfg.SEARCH[key])):
            if (metric, target) in [(one.metric, one.target) for one in derived.checks] and derived.within_budgets:
                # A row's first check is of the budget that it was derived for.
                first = sorted(derived.checks, key=lambda one: one.metric != metric)
                rows.append(replace(derived, checks=tuple(first)))
                continue
            try:
                # What is taken whatever it costs is no row of a table of budgets.
                scored = options if options["method"] in SCORED else {**options, "method": "within_budgets"}
                rows += pareto(policy, budgets=budgets, targets=[target], metric=metric, **scored)
            except SearchError as error:
                _logger.warning("SEARCH.%s: %s", key, error)
    return rows


def _measured(derived: SearchResult, supernet: Supernet, table: LatencyTable) -> SearchResult:
    """The result with the measured time of the whole network, if this machine can run it as the table's was run."""
    if table.machine != machine_name():
        _logger.warning("not measured whole: %s is of the machine %r, this is %r", table.source, table.machine,
                        machine_name())  # fmt: skip
        return derived
    try:
        milliseconds = network_milliseconds(inherit(supernet, derived.architecture), table)
    except ExportError as error:
        _logger.warning("not measured whole: %s", error)
        return derived
    return replace(derived, measured_ms=milliseconds)


def _report(cfg: CfgNode, derived: SearchResult, others: Sequence[SearchResult], changes: Sequence[str]) -> None:
    """The search's last lines: what it found, whether it is within the budgets, and how to train it."""
    _logger.info("the search derived:\n%s", derived.architecture.describe())
    if derived.score is not None:
        by_loss = cfg.SEARCH.RANK_BY == "loss"
        said = f"a loss of {-derived.score:.3f} nats" if by_loss else f"top-1 of {derived.score:.1f}%"
        _logger.info("%s on the validation list with the weights of the search", said)
    for check in derived.checks:
        (_logger.info if check.met else _logger.warning)("%s", check)
    measured = derived.measured_check
    if measured is not None:
        (_logger.info if measured.met else _logger.warning)("measured whole: %s on this machine", measured)
    if others:
        _logger.info("for other budgets, in %s:\n%s", Path(cfg.OUTPUT_DIR, PARETO_FOLDER), pareto_table(others))
    if changes:
        changed = "".join(f"\n  {change}" for change in changes)
        _logger.info("%s differs from this search in%s", RETRAIN_NAME, changed)
    _logger.info("architecture: %s", Path(cfg.OUTPUT_DIR, ARCHITECTURE_NAME))
    _logger.info("train it: python tools/run_net.py --cfg %s", Path(cfg.OUTPUT_DIR, RETRAIN_NAME))
