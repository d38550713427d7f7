import numpy as np
import pytest
import torch
from torch import nn

from pytorchvideo_autox3d.errors import ConfigError
from pytorchvideo_autox3d.models import ClipNet
from pytorchvideo_autox3d.predict import Recognizer
from tests.predict.conftest import CARD

pytest.importorskip("pytorch_grad_cam")

from pytorchvideo_autox3d.predict.gradcam import look


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.proj = nn.Linear(3, 3, bias=False)

    def forward(self, map_BCTHW):
        return self.proj(map_BCTHW.mean(dim=(2, 3, 4)))


@pytest.fixture
def colours():
    """Class k is colour k: its score grows with that colour anywhere in the clip."""
    first = nn.AvgPool3d((1, 2, 2))  # 16 x 16 -> 8 x 8
    small = nn.AvgPool3d((1, 4, 4))  # -> 2 x 2, too few to say where
    network = ClipNet([first, small, Head()], num_features=3, input_clip_length=4, input_crop_size=16)
    nn.init.eye_(network.blocks[-1].proj.weight)
    return Recognizer(network, CARD, device="cpu")


def spotted():
    """Red at the upper left in frame 1, blue at the lower right in frame 3."""
    clip = torch.zeros(3, 4, 16, 16, dtype=torch.uint8)
    clip[0, 1, 0:4, 0:4] = 255
    clip[2, 3, 12:16, 12:16] = 255
    return clip


@pytest.mark.parametrize(("label", "place"), [("dark", (1, 0, 0)), ("bright", (3, 15, 15))])
def test_the_heat_is_where_and_when_the_class_was_seen(colours, label, place):
    found = look(colours, spotted(), label=label)
    assert (found.layer, found.label) == (0, label)
    assert found.heat_THW.shape == (4, 16, 16)
    peak = np.unravel_index(found.heat_THW.argmax(), found.heat_THW.shape)
    assert peak[0] == place[0]
    assert abs(peak[1] - place[1]) <= 3
    assert abs(peak[2] - place[2]) <= 3
    assert found.heat_THW[(place[0] + 2) % 4].max() < 0.2
    assert (found.heat_THW.min(), found.heat_THW.max()) == (0.0, pytest.approx(1.0, abs=0.05))
    overlay = found.overlay()
    assert overlay.shape == spotted().shape
    assert overlay.dtype == torch.uint8
    colour = overlay.float() - 0.5 * spotted()  # red where it looked, blue where it did not
    assert colour[0][tuple(peak)] > colour[2][tuple(peak)] + 20
    assert colour[2, 0, 8, 8] > colour[0, 0, 8, 8]


def test_the_class_of_highest_score_and_another_layer(colours):
    clip = spotted()
    clip[2] = 200
    found = look(colours, clip, layer=1)
    assert (found.label, found.layer) == ("bright", 1)
    assert found.score == pytest.approx(float(colours.scores(clip[None])[0].max()))


def test_what_can_not_be_asked_is_named(colours, recognizer):
    for asked, options, words in (
        (colours, {"label": "green"}, "no class 'green'"),
        (colours, {"layer": 7}, "layer 7"),
        (recognizer, {}, "exported"),
    ):
        with pytest.raises(ConfigError, match=words):
            look(asked, spotted(), **options)
