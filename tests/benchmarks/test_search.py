import pytest

from pytorchvideo_autox3d.benchmarks import search
from pytorchvideo_autox3d.kernels.depthwise import depthwise_kernels

SPACE = """
name: tiny
stem: {channels: 8}
head: {channels: 16, hidden: 16}
groups:
  - {channels: [8, 12], kernels: &k [[1, 3], [3, 3]], expansions: &e [1.5, 3.0],
     attentions: [none, glore], blocks: 1, stride: 2}
  - {channels: [12, 16], kernels: *k, expansions: *e, attentions: [none], blocks: 2, stride: 1}
"""


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    path = tmp_path_factory.mktemp("space") / "tiny.yaml"
    path.write_text(SPACE)
    with depthwise_kernels(False):
        return search.run(space=str(path), clip=(4, 16, 16), batch_size=8, num_samples=3, repeats=1)


def test_memory_does_not_grow_with_the_samples_but_with_a_mixture(result):
    ratio = result["memory_ratio"]
    assert ratio["plain"] == ratio["plain_one_clip"] == 1.0
    # Parameters are next to nothing here: a search step holds one sample's activations.
    assert ratio["search"] <= ratio["search_widest"] < 1.3
    # Four (kernel, expansion) pairs a block; stem and head are not multiplied.
    assert ratio["mixture_one_clip"] > 2.0


def test_table_shows_every_figure(result, capsys):
    search.print_table(result)
    printed = capsys.readouterr().out
    assert "mixture supernet" in printed
    assert "two-pass" in printed
    assert result["seconds"].keys() == {"plain", "search", "held_out", "two_pass"}
