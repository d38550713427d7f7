"""`extract-features`, `probe` and `gradcam` as commands, with the demo's own network."""

import av
import pytest
from PIL import Image

from pytorchvideo_autox3d import cli
from pytorchvideo_autox3d.kernels.depthwise import depthwise_kernels
from pytorchvideo_autox3d.predict.features import read_index
from tests.predict.conftest import write_grey


@pytest.fixture(autouse=True)
def _plain_convolutions():
    with depthwise_kernels(False):
        yield


@pytest.fixture
def data(tmp_path):
    for n in range(4):
        write_grey(tmp_path / f"{n}.mp4", [50 * n + 5 * frame for frame in range(12)])
    (tmp_path / "list.csv").write_text("".join(f"{n}.mp4 {n % 2}\n" for n in range(4)))
    return tmp_path


def test_features_of_a_labelled_list_and_a_probe(data, capsys):
    model = ["--model", "demo", "--workers", "0", "--views", "1"]
    command = ["extract-features", *model, "--prefix", str(data), "--output", str(data / "f"), str(data / "list.csv")]
    assert cli.main(command) == 0
    assert [row["label"] for row in read_index(data / "f")["videos"]] == [0, 1, 0, 1]
    assert cli.main(["probe", str(data / "f"), str(data / "f"), "--neighbours", "1"]) == 0
    assert "k-NN, k = 1: 100.00% top-1" in capsys.readouterr().out
    assert cli.main(["probe", str(data / "f"), str(data)]) == 1


def test_gradcam_writes_a_film_and_a_sheet(data, capsys):
    pytest.importorskip("pytorch_grad_cam")
    command = ["gradcam", "--model", "demo", "--output", str(data / "cam"), str(data / "0.mp4"), "--label", "zoom_in"]
    assert cli.main(command) == 0
    assert "zoom_in" in capsys.readouterr().out
    with av.open(str(data / "cam" / "0.mp4")) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 8
    assert frames[0].shape[0] >= 240
    assert Image.open(data / "cam" / "0.png").size[1] > 200
