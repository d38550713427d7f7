"""What a config says to jobs that don't read it: refused, or told; nothing is passed over in silence."""

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

    A key is read by a kind of jobs (`READERS`), and there only beside what `CONDITIONS` says. A config describes
    training and test together, so that keys of the one that is switched off are no error; see `idle_keys`. What a
    search that has no recipe of its own (SEARCH.RETRAIN_CFG) does not read, the training of its result does.

    Args:
        defaults: the harness's own.
        slowfast: whether PySlowFast's jobs are meant.

    Returns:
        What PySlowFast's recipes set for nothing, each as one line.

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
    """What is told of a key that its jobs know, and whose conditions the config leaves unmet."""
    told = []
    for condition in unmet(cfg, key):
        if not condition.warn:
            raise ConfigError(f"{key} is {value!r}, which is read only with {condition.needs}")
        told.append(f"{key} {value!r} has no effect: it is read only with {condition.needs}")
    return told


def idle_keys(cfg: CfgNode, defaults: CfgNode, *, slowfast: bool = False) -> str:
    """One line that names what training or test alone would read, where that is switched off; "" if there is none."""
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
    """The jobs that the config asks for; of a search, also those that its result will be trained and tested by."""
    if cfg.SEARCH.ENABLE:
        return SEARCH if cfg.SEARCH.RETRAIN_CFG else SEARCH | TRAIN | TEST
    return (TRAIN if cfg.TRAIN.ENABLE else NONE) | (TEST if cfg.TEST.ENABLE else NONE)


def _set_away(cfg: CfgNode, defaults: CfgNode) -> Iterator[tuple[str, Any]]:
    """The keys of `READERS`, and those of models' own nodes, with other values than the default."""
    before = dict(leaves(defaults))
    own = tuple(f"{name.upper()}." for name in MODEL_KEYS)
    for key, value in leaves(cfg):
        if (key in READERS or key.startswith(own)) and value != before.get(key, value):
            yield key, value


def _row(key: str) -> Readers:
    """Who reads a key; a model's own node is read wherever that model is built."""
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
