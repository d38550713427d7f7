"""Errors of parts, put under the config's own keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pytorchvideo_autox3d.errors import AutoX3DError, ConfigError


@contextmanager
def naming(keys: str) -> Iterator[None]:
    """Put the config's keys before an error that can only name a part's own arguments."""
    try:
        yield
    except AutoX3DError as error:
        raise ConfigError(f"{keys}: {error}") from None
