import pytest

from pytorchvideo_autox3d.commands.arguments import clip_of
from pytorchvideo_autox3d.errors import ConfigError


def test_clip():
    assert clip_of("13x160") == (13, 160, 160)


@pytest.mark.parametrize("text", ["13", "13x", "x160", "13x160x160", "0x160", "13x0", "-1x5", "axb"])
def test_what_is_no_clip_is_refused(text):
    with pytest.raises(ConfigError, match="--clip"):
        clip_of(text)
