import io

import pytest
from rich.console import Console

from pytorchvideo_autox3d.engine import ProgressBar


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_on_a_terminal_and_nothing_elsewhere(terminal):
    stream = io.StringIO()
    bar = ProgressBar(console=Console(file=stream, force_terminal=terminal, width=120))
    for title in ("epoch 1/2", "epoch 2/2"):
        bar.start(title, 4)
        bar.update(4, "loss 0.5")
        bar.stop()
    shown = stream.getvalue()
    assert ("epoch 2/2" in shown) == ("loss 0.5" in shown) == ("4/4" in shown) == terminal
    assert terminal or not shown
