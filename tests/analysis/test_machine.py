"""What a latency depends on beside the network."""

import os

from pytorchvideo_autox3d.analysis import describe_machine, machine_name


def test_machine_says_what_a_latency_depends_on():
    assert {"processor", "torch threads", "torch", "accelerator"} <= describe_machine().keys()


def test_a_machine_is_named_by_processor_and_cores():
    assert machine_name() == f"{describe_machine()['processor']}, {os.cpu_count()} cores"
