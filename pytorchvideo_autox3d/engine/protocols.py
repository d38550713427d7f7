"""What the engine asks of batches, loaders and steps; it knows no data format and no model.

Shapes: B clips, C colours, T frames, H and W pixels, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from torch import Tensor


class Batch(Protocol):
    """Clips with their labels, and which view of which video each is."""

    @property
    def clip_BCTHW(self) -> Tensor: ...
    @property
    def label_B(self) -> Tensor: ...
    @property
    def video_B(self) -> Tensor: ...
    @property
    def view_B(self) -> Tensor: ...


class Loader(Protocol):
    """A sized, repeatable source of batches; `set_epoch` decides what iterations draw.

    The next iteration begins at batch `start_batch`, later ones at the first.
    """

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...
    def set_epoch(self, epoch: int, *, start_batch: int = 0) -> None: ...


@runtime_checkable
class NamesFiles(Protocol):
    """A loader that can say which files a batch of it was made of, for an error to name."""

    def files(self, batch: Any) -> list[str]: ...


@runtime_checkable
class LeavesOut(Protocol):
    """A loader of views that can leave out the videos whose scores are known."""

    def leave_out(self, videos: Collection[int]) -> None: ...


class Position(Protocol):
    """Where the loop stands, as far as a step may ask: the running epoch from 0, and the updates done in it.

    `files_at_fault` names the files of the running step, as `TrainLoop` has it.
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

    Returns scalars of this process; "loss" is one of them. They are averaged over processes by the loop.
    """

    def __call__(self, batches: Sequence[Any], loop: Position) -> Mapping[str, Tensor | float]: ...


class Stateful(Protocol):
    """Anything a checkpoint can carry: plain numbers, strings, containers and tensors only."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any: ...


class ProcessStateful(Protocol):
    """Anything of which each process has its own, and a checkpoint carries all of them."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dicts(self, state_dicts: Sequence[dict[str, Any]], /) -> None:
        """Go on from the states of all processes of the job that saved them, which may be another number."""
        ...


Preprocess = Callable[[Tensor], Tensor]
"""uint8 clip_BCTHW on the device -> float clip_BCTHW as the model wants it."""

Loss = Callable[[Tensor, Tensor], Tensor]
"""(logits_BK, label_B or target_BK) -> scalar mean over the batch."""
