"""The reference architecture against every published figure of AutoX3D and the statements about Figure 5."""

from collections import Counter

import pytest

from pytorchvideo_autox3d.analysis import complexity
from pytorchvideo_autox3d.errors import ModelError
from pytorchvideo_autox3d.models import REFERENCE_MODELS, reference_architecture, reference_model
from pytorchvideo_autox3d.space import Architecture, load_space

# The paper's Tables 5 and 6: clip, depth factor, GFLOPs, millions of parameters.
PUBLISHED = [
    ("S", (13, 160, 160), 2.2, 3.5),
    ("S", (13, 182, 182), 2.9, 3.5),
    ("M", (16, 224, 224), 5.3, 3.5),
    ("M", (16, 256, 256), 6.8, 3.5),
    ("L", (16, 356, 356), 27.8, 6.2),
]


@pytest.mark.parametrize(("name", "clip", "gflops", "params"), PUBLISHED)
def test_published_figures_within_three_percent(name, clip, gflops, params):
    model = reference_model(name)
    cost = complexity(model.architecture, clip=clip, depth_factor=model.depth_factor)
    assert cost.macs / 1e9 == pytest.approx(gflops, rel=0.03)
    assert cost.params / 1e6 == pytest.approx(params, rel=0.03)
    assert clip in [(model.clip_length, s, s) for s in (model.train_crop, model.test_crop)]


def test_what_the_paper_says_of_figure_5():
    groups = reference_architecture("S").groups
    kernels = Counter(group.kernel for group in groups)
    assert kernels.most_common(1)[0][0] == (3, 3)
    assert all(count < kernels[3, 3] for kernel, count in kernels.items() if kernel != (3, 3))
    assert sum(group.kernel[0] == 5 for group in groups) <= 1
    assert kernels[5, 5] == 0
    for first, rest in ((2, (3,)), (4, (5, 6, 7)), (8, (9, 10))):
        assert all(groups[first].expansion > groups[other].expansion for other in rest)
    assert groups[0].expansion <= groups[1].expansion


def test_one_architecture_of_table_2_for_all_three():
    assert {reference_architecture(name) for name in REFERENCE_MODELS} == {reference_architecture("S")}
    assert isinstance(reference_architecture("S"), Architecture)
    assert reference_architecture("S").space == load_space("table2")


def test_an_unknown_name_is_an_error():
    with pytest.raises(ModelError, match="no reference architecture 'XL'; there are S, M, L"):
        reference_architecture("XL")
