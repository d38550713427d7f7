import argparse

import pytest

from pytorchvideo_autox3d.commands import run
from pytorchvideo_autox3d.errors import ConfigError


def parsed(*arguments):
    parser = argparse.ArgumentParser()
    run.add_arguments(parser)
    return parser.parse_args(arguments)


def test_yaml_files_end_where_the_pairs_begin():
    args = parsed("--cfg", "a.yaml", "b.yml", "KEY", "VALUE")
    assert run.split_config_files(args.cfg_files) == (["a.yaml", "b.yml"], ["KEY", "VALUE"])


def test_slowfast_arguments_are_understood():
    args = parsed(
        "--shard_id", "1", "--num_shards", "2", "--init_method", "tcp://a:1", "--cfg", "a.yaml", "--opts", "K", "V"
    )
    assert (args.shard_id, args.num_shards, args.init_method) == (1, 2, "tcp://a:1")
    assert args.opts == ["K", "V"]
    assert args.harness == "native"


def test_what_is_no_yaml_is_refused():
    with pytest.raises(ConfigError, match=r"'KEY' is no \.yaml file"):
        run.split_config_files(["KEY", "VALUE"])
