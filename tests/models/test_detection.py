"""The ROI classifier over both backbones; what its head computes, by hand."""

import pytest
import torch
import torchvision

from pytorchvideo_autox3d.errors import ConfigError, ModelError
from pytorchvideo_autox3d.models import create_autox3d
from pytorchvideo_autox3d.models.detection import ROIClassifier, ROIHead
from pytorchvideo_autox3d.registry import MODEL_REGISTRY
from pytorchvideo_autox3d.slowfast import parts

BOXES = torch.tensor([[0, 4.0, 4.0, 60.0, 40.0], [1, 0.0, 0.0, 64.0, 64.0], [1, 10.0, 20.0, 30.0, 60.0]])


def backbone(name):
    torch.manual_seed(0)
    if name == "AutoX3D":
        return create_autox3d(model_num_class=5)
    return MODEL_REGISTRY.get(name)(model_num_class=5, depth_factor=1.0)


@pytest.mark.parametrize("name", ["AutoX3D", "X3D"])
@pytest.mark.parametrize("scale_factor", [16, 32])
def test_scores_for_each_box(name, scale_factor):
    model = ROIClassifier(backbone(name), num_classes=7, scale_factor=scale_factor)
    assert model._map(torch.randn(2, 3, 2, 64, 64)).shape[-1] == 64 // scale_factor
    scores = model([torch.randn(2, 3, 2, 64, 64)], BOXES)
    assert scores.shape == (3, 7)
    assert 0 < scores.min() <= scores.max() < 1
    torch.nn.functional.binary_cross_entropy(scores, torch.ones(3, 7)).backward()
    missing = [key for key, weight in model.named_parameters() if weight.grad is None]
    assert missing == []


def test_the_classifier_checkpoint_loads_into_the_blocks():
    classifier = backbone("X3D")
    model = ROIClassifier(backbone("X3D"), num_classes=7, scale_factor=16)
    shared = {key for key in model.state_dict() if not key.startswith("head.")}
    assert shared == {key for key in classifier.state_dict() if not key.startswith("blocks.5.")}


def test_the_head_by_hand():
    torch.manual_seed(0)
    head = ROIHead(4, 3, roi=parts.ROIAlign((7, 7), spatial_scale=1 / 16, sampling_ratio=0), dropout_rate=0.0)
    maps = torch.randn(2, 4, 5, 4, 4)
    pooled = torchvision.ops.roi_align(maps.mean(2), BOXES, (7, 7), 1 / 16, sampling_ratio=0, aligned=True)
    expected = pooled.flatten(2).max(2).values @ head.proj.weight.T + head.proj.bias
    torch.testing.assert_close(head(maps, BOXES), expected)


def test_a_scale_that_the_backbone_cannot_give():
    with pytest.raises(ConfigError, match="SPATIAL_SCALE_FACTOR 8: this backbone can give 32 or 16"):
        ROIClassifier(backbone("X3D"), num_classes=2, scale_factor=8)


def test_inputs_of_other_shapes():
    model = ROIClassifier(backbone("X3D"), num_classes=2, scale_factor=32)
    clip = torch.randn(1, 3, 2, 64, 64)
    with pytest.raises(ModelError, match="expected one pathway, got 2"):
        model([clip, clip], BOXES)
    with pytest.raises(ModelError, match=r"expected boxes \(R, 5\).*got \(1, 4\)"):
        model([clip], torch.zeros(1, 4))
