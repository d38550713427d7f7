"""Put back what the jobs of a test change in the process."""

import logging

import pytest


@pytest.fixture
def _quiet_process():
    """PySlowFast replaces the root logger's handlers by ones on the stream of the moment."""
    handlers, level = list(logging.root.handlers), logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
