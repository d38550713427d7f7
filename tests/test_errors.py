import pickle

import pytest

from pytorchvideo_autox3d.errors import (
    ConfigError,
    DataError,
    DecodeError,
    ErrorCollector,
    RegistryError,
    SeveralErrors,
)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("größe.mp4: no such file", "größe.mp4: no such file"),
        ("two\nlines.mp4: no such file", "two\\nlines.mp4: no such file"),
        ("gr\udcf6sse.mp4: no such file", "gr\\udcf6sse.mp4: no such file"),
        ("\x1b]0;title\x07\x9b31m.mp4: no such file", "\\x1b]0;title\\x07\\x9b31m.mp4: no such file"),
    ],
)
def test_a_message_is_one_line_that_can_be_printed(message, expected):
    for error in (DecodeError(message), RegistryError(message), pickle.loads(pickle.dumps(DecodeError(message)))):
        assert str(error) == expected
    assert expected.encode("utf8")


def collected(*errors):
    found = ErrorCollector()
    for error in errors:
        with found.collecting():
            raise error
    return found


def test_several_errors_are_one_line_and_one_is_itself():
    ErrorCollector().raise_found()
    with pytest.raises(DataError, match=r"^list is odd$"):
        collected(DataError("list is odd"), DataError("list is odd")).raise_found()
    with pytest.raises(SeveralErrors) as caught:
        collected(DataError("list is odd"), ConfigError("A.B is 1")).raise_found()
    assert str(caught.value) == "2 things to mend: (1) list is odd; (2) A.B is 1"
    with pytest.raises(SeveralErrors) as nested:
        collected(pickle.loads(pickle.dumps(caught.value)), ConfigError("A.B is 1"), DataError("c")).raise_found()
    assert str(nested.value) == "3 things to mend: (1) list is odd; (2) A.B is 1; (3) c"


def test_our_own_errors_are_not_collected():
    with pytest.raises(ZeroDivisionError), ErrorCollector().collecting():
        raise ZeroDivisionError
