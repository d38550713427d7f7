"""What every reader of a video does as a context manager."""

from __future__ import annotations

from typing import TypeVar

_Reader = TypeVar("_Reader", bound="ClosedOnExit")


class ClosedOnExit:
    """`with reader:` closes it at the end, also after an error."""

    def close(self) -> None:
        """Close the file; more than once is fine."""
        raise NotImplementedError

    def __enter__(self: _Reader) -> _Reader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
