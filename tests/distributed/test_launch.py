"""Launch: one process, two processes, settings that make no job; collectives over two gloo processes."""

import os
import socket
from concurrent.futures import ProcessPoolExecutor

import pytest
import torch
import torch.distributed as dist

from pytorchvideo_autox3d import distributed
from pytorchvideo_autox3d.distributed import launch
from pytorchvideo_autox3d.errors import AutoX3DError, CheckpointError, ConfigError
from tests.processes import FRESH


def _collectives(offset: int) -> dict:
    """Runs in every process; what each collective gives there."""
    rank = distributed.rank()
    rows = torch.full((rank + 1, 2), float(rank + offset))
    return {
        "world_size": distributed.world_size(),
        "mains": distributed.all_gather_objects(distributed.is_main()),
        "mean": distributed.all_reduce_mean(torch.tensor([1.0 + rank, 10.0 * rank])).tolist(),
        "rows": [row.tolist() for row in distributed.all_gather_objects(rows)],
        "draws": distributed.all_gather_objects(
            [
                torch.rand(1, generator=distributed.seed_all(3)).item(),
                torch.rand(1, generator=distributed.seed_all(3, per_process=False)).item(),
            ]
        ),
    }


def _fail_on_the_second() -> None:
    if distributed.rank() == 1:
        raise CheckpointError("weights.pyth: truncated")
    distributed.barrier()


def _fail_together() -> list[str]:
    """What each process is told where the second of them fails."""
    own = CheckpointError("weights.pyth: truncated") if distributed.rank() == 1 else None
    try:
        distributed.raise_together(own)
    except AutoX3DError as error:
        return distributed.all_gather_objects(f"{type(error).__name__}: {error}")
    return []


def test_one_process_needs_no_group():
    found = launch(_collectives, 5)
    assert found["world_size"] == 1
    assert found["mains"] == [True]
    assert found["mean"] == [1.0, 0.0]
    assert found["rows"] == [[[5.0, 5.0]]]


def test_two_processes_are_one_job():
    found = launch(_collectives, 5, num_processes=2, backend="gloo")
    assert found["world_size"] == 2
    assert found["mains"] == [True, False]
    assert found["mean"] == [1.5, 5.0]
    assert found["rows"] == [[[5.0, 5.0]], [[6.0, 6.0], [6.0, 6.0]]]
    (own_0, shared_0), (own_1, shared_1) = found["draws"]
    assert own_0 != own_1
    assert shared_0 == shared_1
    assert "RANK" not in os.environ
    assert not distributed.is_distributed()


def test_a_worker_error_arrives_as_it_was(capfd):
    with pytest.raises(CheckpointError, match=r"^weights\.pyth: truncated$"):
        launch(_fail_on_the_second, num_processes=2, backend="gloo")
    assert "Traceback" not in capfd.readouterr().err


def test_where_one_process_fails_all_do():
    said = launch(_fail_together, num_processes=2, backend="gloo")
    assert said == ["AutoX3DError: weights.pyth: truncated", "CheckpointError: weights.pyth: truncated"]
    distributed.raise_together(None)
    with pytest.raises(ConfigError, match="alone"):
        distributed.raise_together(ConfigError("alone"))


def test_a_line_that_all_processes_of_a_machine_would_print_is_printed_once(monkeypatch):
    store = dist.TCPStore("localhost", 0, is_master=True, wait_for_workers=False)  # as torchrun's agent has it
    environment = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "localhost"}
    for key, value in {**environment, "MASTER_PORT": str(store.port), "GROUP_RANK": "0"}.items():
        monkeypatch.setenv(key, value)
    assert not distributed.said_before("no agent keeps a store")
    assert not distributed.said_before("no agent keeps a store")
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    assert [distributed.said_before("error: a") for _ in range(3)] == [False, True, True]
    assert not distributed.said_before("error: b")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert not distributed.said_before("error: a")
    monkeypatch.setenv("GROUP_RANK", "1")
    assert not distributed.said_before("error: a")


def test_joins_the_job_that_torchrun_describes(monkeypatch):
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    environment = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
    for key, value in {**environment, "MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}.items():
        monkeypatch.setenv(key, value)
    # The settings ask for eight processes; torchrun's word counts.
    found = launch(distributed.is_distributed, num_processes=8, backend="gloo")
    assert found is True
    assert not distributed.is_distributed()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_processes": 0}, "at least one process"),
        ({"num_shards": 2, "shard_id": 2, "init_method": "tcp://h:1"}, "--shard_id 2 is outside 0..1"),
        ({"num_shards": 2}, "needs --init_method"),
        ({"num_shards": 2, "init_method": "file:///shared/x"}, "tcp://HOST:PORT"),
        ({"num_processes": 2, "init_method": "tcp://localhost:port"}, "tcp://HOST:PORT"),
    ],
)
def test_settings_that_make_no_job(settings, message):
    with pytest.raises(ConfigError, match=message):
        launch(_collectives, 0, **settings)


def test_a_port_in_use_is_named():
    with socket.socket() as holder:
        holder.bind(("", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port}"):
            launch(_collectives, 0, num_processes=2, init_method=f"tcp://localhost:{port}")


def _one_machine(shard_id: int, port: int) -> dict:
    init_method = f"tcp://localhost:{port}"
    return launch(
        _collectives, 5, num_processes=1, num_shards=2, shard_id=shard_id, init_method=init_method, backend="gloo"
    )


def test_two_machines_of_one_process_are_one_job():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    with ProcessPoolExecutor(max_workers=2, mp_context=FRESH) as machines:
        first, second = machines.map(_one_machine, [0, 1], [port, port])
    assert first["world_size"] == 2
    assert first["mains"] == [True, False]
    assert first == second
