"""The mixin's methods over a package's folder; nothing leaves the machine."""

import pytest
import torch

pytest.importorskip("huggingface_hub")

from pytorchvideo_autox3d.kernels.depthwise import depthwise_kernels
from pytorchvideo_autox3d.models import read_package
from pytorchvideo_autox3d.models.hugging_face import HubModel
from tests.models.test_package import RELEASE, tiny_card


@pytest.fixture(autouse=True)
def _plain_convolutions():
    with depthwise_kernels(False):
        yield


@pytest.fixture
def model():
    torch.manual_seed(0)
    return HubModel(tiny_card().build(), tiny_card(), RELEASE).eval()


def test_saved_and_loaded_by_the_mixins_methods(tmp_path, model):
    model.save_pretrained(tmp_path / "saved")
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == [
        "README.md", "config.json", "model.safetensors",
    ]  # fmt: skip
    assert read_package(tmp_path / "saved").release == RELEASE
    loaded = HubModel.from_pretrained(tmp_path / "saved")
    clip = torch.randn(1, 3, 2, 16, 16)
    assert torch.equal(loaded(clip), model(clip))
    assert loaded.card == tiny_card()


def test_pushed_as_a_package(monkeypatch, model):
    from huggingface_hub import HfApi

    sent = {}

    def upload(self, *, repo_id, folder_path, **more):
        sent[repo_id] = read_package(folder_path).card

    monkeypatch.setattr(HfApi, "create_repo", lambda self, repo_id, **more: type("Url", (), {"repo_id": repo_id}))
    monkeypatch.setattr(HfApi, "upload_folder", upload)
    model.push_to_hub("me/tiny", token="none")
    assert sent == {"me/tiny": tiny_card()}
