import io
import json
import logging
import sys

import pytest

from pytorchvideo_autox3d.engine import log_json_stats, setup_logging
from pytorchvideo_autox3d.engine.logs import PACKAGE, duration_text


@pytest.fixture
def _restored_logger():
    logger = logging.getLogger(PACKAGE)
    before = list(logger.handlers), logger.level, logger.propagate
    yield
    for handler in logger.handlers:
        handler.close()
    logger.handlers, logger.level, logger.propagate = before[0], before[1], before[2]


@pytest.mark.usefixtures("_restored_logger")
def test_lines_go_to_stdout_and_file_once(tmp_path, monkeypatch):
    setup_logging(str(tmp_path / "run"))
    setup_logging(str(tmp_path / "run"))
    stdout = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stdout)  # after set-up, as a live progress bar does
    log_json_stats({"loss": 1 / 3, "_type": "train_epoch", "epoch": "1/2", "bad": float("nan")})
    for text in (stdout.getvalue(), (tmp_path / "run" / "stdout.log").read_text()):
        assert text.count("json_stats: ") == 1
        stats = json.loads(text.split("json_stats: ")[1])
        assert stats == {"loss": 0.33333, "_type": "train_epoch", "epoch": "1/2", "bad": None}


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00:00"), (61, "0:01:01"), (90061.9, "25:01:01")])
def test_durations(seconds, text):
    assert duration_text(seconds) == text
