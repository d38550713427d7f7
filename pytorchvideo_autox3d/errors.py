"""The error family: everything a user can get wrong, each as one line that names the thing at fault.

The command line prints the message of any `AutoX3DError` without a traceback and exits with 1 (`Interrupted` with 128
and the number of the signal); every other exception is a bug of ours and keeps its traceback. Messages are a single
line and name the key, the file, the line number or the shape concerned.
"""

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager

_STEERS_A_TERMINAL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """Text from a user's files as one line that can be printed anywhere.

    Names of files and classes may hold line breaks, sequences that steer a terminal, and bytes that are no UTF-8, which
    Python keeps as lone surrogates.
    """
    encodable = text.encode("utf8", "backslashreplace").decode("utf8")
    return _STEERS_A_TERMINAL.sub(lambda found: f"\\x{ord(found[0]):02x}", "\\n".join(encodable.splitlines()))


class AutoX3DError(Exception):
    """Base of every error that a user's input can cause; its message is made one line that can be printed anywhere."""

    def __init__(self, message: str = "") -> None:
        super().__init__(printable(message))


class ConfigError(AutoX3DError, ValueError):
    """A config file, key or value is wrong; names the file and the dotted key."""


class RegistryError(AutoX3DError, KeyError):
    """A name is not registered; names the registry and the nearest known name."""

    # KeyError.__str__ shows the repr of the message, quotes and escapes included.
    __str__ = Exception.__str__


class SpaceError(AutoX3DError, ValueError):
    """A search-space description is wrong, or an architecture lies outside its space."""


class ModelError(AutoX3DError, ValueError):
    """A model can't be built from these arguments, or was fed a clip of the wrong shape."""


class DataError(AutoX3DError, ValueError):
    """A list of videos is missing, empty or malformed; names the file and the line."""


class NoListError(DataError):
    """There is no list of videos where one is looked for."""


class DecodeError(AutoX3DError, RuntimeError):
    """A file could not be decoded; names the file and the cause."""


class CheckpointError(AutoX3DError, RuntimeError):
    """A checkpoint is truncated, of another format, or does not fit the model."""


class EvaluationError(AutoX3DError, RuntimeError):
    """Scores are missing or inconsistent: a view that never arrived, a wrong class count."""


class TrainingError(AutoX3DError, RuntimeError):
    """Training can't go on: a loss that is not finite; names the step."""


class Interrupted(AutoX3DError):
    """A stop was asked for; says what was saved and how to go on.

    Args:
        message: one line.
        signal_number: of the signal that asked.

    Attributes:
        exit_code: of the command line, 128 plus the signal's number, as shells have it: 130 after Ctrl-C, 143 after
            SIGTERM.
    """

    def __init__(self, message: str = "", *, signal_number: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.exit_code = 128 + int(signal_number)


class TrainingInterrupted(Interrupted, TrainingError):
    """A training or a search was asked to stop, and saved a checkpoint first."""


class SearchError(AutoX3DError, ValueError):
    """A search can't run or go on: an unreachable budget, a K below one, another space on resume."""


class ExportError(AutoX3DError, RuntimeError):
    """A model could not be exported, or the exported one disagrees with eager."""


class SeveralErrors(AutoX3DError):
    """Several of a user's errors that were found together, as one line; `errors` has each by itself."""

    errors: tuple[AutoX3DError, ...] = ()


class ErrorCollector:
    """Runs checks that don't depend on each other, so that a user sees all of their errors at once.

    ::

        found = ErrorCollector()
        with found.collecting():
            check_one()
        with found.collecting():
            check_another()
        found.raise_found()
    """

    def __init__(self) -> None:
        self.errors: list[AutoX3DError] = []

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Keep an `AutoX3DError` that is raised in the `with` block, unless an earlier one has the same message."""
        try:
            yield
        except AutoX3DError as error:
            for one in error.errors if isinstance(error, SeveralErrors) else (error,):
                if str(one) not in map(str, self.errors):
                    self.errors.append(one)

    def raise_found(self) -> None:
        """Raise what was found; does nothing where no error was.

        Raises:
            AutoX3DError: the one error that was found, of its own class.
            SeveralErrors: several were found.
        """
        if len(self.errors) == 1:
            raise self.errors[0]
        if self.errors:
            listed = "; ".join(f"({number}) {error}" for number, error in enumerate(self.errors, start=1))
            together = SeveralErrors(f"{len(self.errors)} things to mend: {listed}")
            together.errors = tuple(self.errors)
            raise together
