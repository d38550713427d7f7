"""Errors of parts, put under the config's own keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pytorchvideo_autox3d.errors import AutoX3DError, ConfigError


@contextmanager
def naming(keys: str) -> Iterator[None]:
    """Put the config's keys before the message of an error raised in the `with` block, which can't know them.

    Raises:
        ConfigError: in place of any error of the error family.
    """
    try:
        yield
    except AutoX3DError as error:
        raise ConfigError(f"{keys}: {error}") from None
