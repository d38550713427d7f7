"""The interfaces of batches, loaders and steps by which the engine knows them; it knows no data format and no model.

Shapes: B clips, C colours, T frames, H and W pixels, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from torch import Tensor


class Batch(Protocol):
    """Clips with their labels, the place of each one's video in the list, and the number of its view."""

    @property
    def clip_BCTHW(self) -> Tensor: ...
    @property
    def label_B(self) -> Tensor: ...
    @property
    def video_B(self) -> Tensor: ...
    @property
    def view_B(self) -> Tensor: ...


class Loader(Protocol):
    """A source of batches that has a length and can be iterated again and again.

    `set_epoch` chooses the epoch whose batches iterations give. The next iteration begins at batch `start_batch`, later
    ones at the first.
    """

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...
    def set_epoch(self, epoch: int, *, start_batch: int = 0) -> None: ...


@runtime_checkable
class NamesFiles(Protocol):
    """A loader that can say which files a batch was made from, for error messages."""

    def files(self, batch: Any) -> list[str]: ...


@runtime_checkable
class LeavesOut(Protocol):
    """A loader of views that can leave out the videos whose scores are known."""

    def leave_out(self, videos: Collection[int]) -> None: ...


class Position(Protocol):
    """What a step may know of where the loop stands: the running epoch, from 0, and the updates done in it.

    `files_at_fault` names the files of the running step; see `TrainLoop`.
    """

    @property
    def epoch(self) -> int: ...
    @property
    def step_in_epoch(self) -> int: ...
    @property
    def steps_per_epoch(self) -> int: ...
    def files_at_fault(self, at_fault: bool) -> str: ...


class Step(Protocol):
    """One update of whatever is trained, from `accumulation` consecutive batches.

    A call returns scalars of this process, of which "loss" is one. The loop averages them over the processes.
    """

    def __call__(self, batches: Sequence[Any], loop: Position) -> Mapping[str, Tensor | float]: ...


class Stateful(Protocol):
    """An object whose state a checkpoint can hold: plain numbers, strings, containers and tensors."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any: ...


class ProcessStateful(Protocol):
    """An object of which each process has its own state; a checkpoint holds the states of all."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dicts(self, state_dicts: Sequence[dict[str, Any]], /) -> None:
        """Restore from the states of all processes of the job that saved them; their number may be another one."""
        ...


Preprocess = Callable[[Tensor], Tensor]
"""uint8 clip_BCTHW on the device -> float clip_BCTHW as the model wants it."""

Loss = Callable[[Tensor, Tensor], Tensor]
"""(logits_BK, label_B or target_BK) -> scalar mean over the batch."""
