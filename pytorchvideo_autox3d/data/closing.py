"""The context manager that every video reader is."""

from __future__ import annotations

from typing import TypeVar

_Reader = TypeVar("_Reader", bound="ClosedOnExit")


class ClosedOnExit:
    """Base of readers: `with reader:` closes it at the end, also after an error."""

    def close(self) -> None:
        """Close the file; a second call does nothing. A subclass must define this."""
        raise NotImplementedError

    def __enter__(self: _Reader) -> _Reader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
