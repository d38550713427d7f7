"""Keys of a config that none of its jobs reads: each is an error or a warning, and none is ignored without a word."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fvcore.common.config import CfgNode

from pytorchvideo_autox3d.config.conditions import unmet
from pytorchvideo_autox3d.config.keys import leaves
from pytorchvideo_autox3d.config.readers import EVERY_JOB, NONE, READERS, SEARCH, TEST, TRAIN, Job, Readers
from pytorchvideo_autox3d.errors import ConfigError
from pytorchvideo_autox3d.registry import MODEL_KEYS

_NAMES = {TRAIN: "training", TEST: "a test", SEARCH: "a search"}


def check_read(cfg: CfgNode, defaults: CfgNode, *, slowfast: bool = False) -> list[str]:
    """Look for keys that were set away from their defaults and that none of the config's jobs reads.

    A key is read by certain kinds of jobs (`READERS`), and by these only where the config meets its conditions
    (`CONDITIONS`). A config describes training and test together, so keys of the one that is switched off are no
    error; see `idle_keys`. Where a search has no separate training recipe (SEARCH.RETRAIN_CFG), its config also
    describes the training and test of its result, so their keys are no error either.

    Args:
        cfg: the config to check.
        defaults: the default config of the harness that runs it.
        slowfast: whether the jobs run under PySlowFast.

    Returns:
        One line for each key that has no effect and that recipes set all the same, to be shown as a warning.

    Raises:
        ConfigError: names a key that is not read, and what reads it.
    """
    running = _running(cfg)
    if not running:
        return []
    described = running if SEARCH in running else TRAIN | TEST
    told: list[str] = []
    for key, value in _set_away(cfg, defaults):
        row = _row(key)
        readers = row.under_slowfast if slowfast else row.native
        if value in row.says and (slowfast or not readers & described):
            continue
        if readers & described:
            told += _unmet(cfg, key, value)
            continue
        if not row.warn:
            raise ConfigError(_refusal(cfg, key, value, running, slowfast=slowfast))
        told.append(f"{key} {value!r} has no effect: {row.warn}")
    return told


def _unmet(cfg: CfgNode, key: str, value: Any) -> list[str]:
    """Warnings about a key that the jobs know but don't read, as the config does not meet its conditions.

    Raises:
        ConfigError: the condition is one whose violation is an error.
    """
    told = []
    for condition in unmet(cfg, key):
        if not condition.warn:
            raise ConfigError(f"{key} is {value!r}, which is read only with {condition.needs}")
        told.append(f"{key} {value!r} has no effect: it is read only with {condition.needs}")
    return told


def idle_keys(cfg: CfgNode, defaults: CfgNode, *, slowfast: bool = False) -> str:
    """One line that names the keys that only the job that is switched off, training or test, would read.

    Args:
        cfg, defaults, slowfast: as in `check_read`.

    Returns:
        The line; "" where there is no such key, or where both jobs or a search run.
    """
    running = _running(cfg)
    if running not in (TRAIN, TEST):
        return ""
    idle = []
    for key, value in _set_away(cfg, defaults):
        row = _row(key)
        readers = row.under_slowfast if slowfast else row.native
        if readers & (TRAIN | TEST) and not readers & running and value not in row.says:
            idle.append(key)
    switch = "TEST.ENABLE" if running == TRAIN else "TRAIN.ENABLE"
    return f"{switch} is False, so these keys are not read: {', '.join(idle)}" if idle else ""


def _running(cfg: CfgNode) -> Job:
    """The jobs that the config describes: those that it switches on; of a search also its result's training and test.

    The latter only where the search has no recipe of its own.
    """
    if cfg.SEARCH.ENABLE:
        return SEARCH if cfg.SEARCH.RETRAIN_CFG else SEARCH | TRAIN | TEST
    return (TRAIN if cfg.TRAIN.ENABLE else NONE) | (TEST if cfg.TEST.ENABLE else NONE)


def _set_away(cfg: CfgNode, defaults: CfgNode) -> Iterator[tuple[str, Any]]:
    """The keys of `READERS` and of models' own nodes whose values differ from the defaults, with their values."""
    before = dict(leaves(defaults))
    own = tuple(f"{name.upper()}." for name in MODEL_KEYS)
    for key, value in leaves(cfg):
        if (key in READERS or key.startswith(own)) and value != before.get(key, value):
            yield key, value


def _row(key: str) -> Readers:
    """Who reads a key; a key of a model's own node is read by every job."""
    return READERS.get(key, Readers(EVERY_JOB))


def _refusal(cfg: CfgNode, key: str, value: Any, running: Job, *, slowfast: bool) -> str:
    here, there = READERS[key].native, READERS[key].under_slowfast
    if slowfast:
        here, there = there, here
    other = "native" if slowfast else "slowfast"
    names = _names(running)
    subject = f"{names[0]} does not read" if len(names) == 1 else f"neither {' nor '.join(names)} reads"
    readers = [*_names(here), *(f"{name} with --harness {other}" for name in _names(there & ~here))]
    verb = "does" if len(readers) == 1 else "do"
    known = f"{' and '.join(readers)} {verb}" if readers else "nothing does"
    if SEARCH in running and READERS[key].in_search:
        return f"{key} is {value!r}, which a search does not read: {READERS[key].in_search}"
    recipe = f": put it into {cfg.SEARCH.RETRAIN_CFG}" if SEARCH in running and here else ""
    return f"{key} is {value!r}, which {subject}; {known}{recipe}"


def _names(jobs: Job) -> list[str]:
    return [name for job, name in _NAMES.items() if job & jobs]
