import pytest
import torch
import torch.nn.functional as F

from pytorchvideo_autox3d.engine import CrossEntropy
from pytorchvideo_autox3d.errors import ConfigError

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 1.0, 3.0]])
LABELS = torch.tensor([0, 1])


def by_hand(target):
    return -(target * (LOGITS - LOGITS.logsumexp(1, keepdim=True))).sum(1).mean()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_hard_labels_and_distributions_agree(smoothing):
    one_hot = F.one_hot(LABELS, 3).float()
    expected = by_hand((1 - smoothing) * one_hot + smoothing / 3)
    loss = CrossEntropy(label_smoothing=smoothing)
    torch.testing.assert_close(loss(LOGITS, LABELS), expected)
    torch.testing.assert_close(loss(LOGITS, one_hot), expected)


def test_a_mixture_and_half_precision_logits():
    target = torch.tensor([[0.7, 0.3, 0.0], [0.0, 0.5, 0.5]])
    loss = CrossEntropy()(LOGITS.bfloat16(), target)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, by_hand(target))


def test_smoothing_out_of_range():
    with pytest.raises(ConfigError, match=r"1\.0"):
        CrossEntropy(label_smoothing=1.0)
