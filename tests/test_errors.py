import pickle

import pytest

from pytorchvideo_autox3d.errors import DecodeError, RegistryError


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("größe.mp4: no such file", "größe.mp4: no such file"),
        ("two\nlines.mp4: no such file", "two\\nlines.mp4: no such file"),
        ("gr\udcf6sse.mp4: no such file", "gr\\udcf6sse.mp4: no such file"),
    ],
)
def test_a_message_is_one_line_that_can_be_printed(message, expected):
    for error in (DecodeError(message), RegistryError(message), pickle.loads(pickle.dumps(DecodeError(message)))):
        assert str(error) == expected
    assert expected.encode("utf8")
