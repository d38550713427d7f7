"""A worker that stalls or dies is named with its file."""

import multiprocessing
import os
import re
import select
import signal
import threading

import pytest
import torch

from pytorchvideo_autox3d.data import build_loader, naming_lost_workers
from pytorchvideo_autox3d.data.batch import ClipBatch
from pytorchvideo_autox3d.errors import DataError
from tests.processes import FRESH


class Blank:
    """Grey clips; at one video it does something else first."""

    paths = [f"videos/{number}.mp4" for number in range(8)]

    def __init__(self, at: int, act) -> None:
        self.at, self.act = at, act

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, key) -> ClipBatch:
        if key[1] == self.at:
            self.act()
        number_B = torch.tensor([key[1]])
        return ClipBatch(torch.zeros(1, 3, 1, 2, 2, dtype=torch.uint8), torch.zeros(1).long(), number_B, number_B * 0)


def stall() -> None:
    threading.Event().wait()


# Set once the process that reads is about to wait for the batch of video 5.
WAITING = torch.zeros(1).share_memory_()


def die() -> None:
    """Not before the reader waits: torch tells of a dead worker by a signal, which finds the reader wherever it is."""
    pause = threading.Event()
    while not WAITING.item():
        pause.wait(0.05)
    pause.wait(0.2)
    os.kill(os.getpid(), signal.SIGKILL)


def _read(act, pipe) -> None:
    torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL = 0.1  # how long it waits for the stalled
    loader = build_loader(
        Blank(5, act), batch_size=2, shuffle=False, drop_last=False, num_workers=1, stall_seconds=5.0,
        multiprocessing_context="fork",
    )  # fmt: skip
    batches, seen = iter(loader), []
    try:
        for number in range(3):
            WAITING.fill_(number == 2)
            seen += next(batches).video_B.tolist()
    except DataError as error:
        pipe.send((str(error), seen))


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (stall, r"no batch came within 5 s \(AUTOX3D\.LOADER_SECONDS\): worker 0 at videos/5\.mp4 for \d+ s"),
        (die, r"a worker of the loader is gone \(.*\): worker 0 at videos/5\.mp4 for \d+ s"),
    ],
)
def test_the_worker_and_its_file_are_named(act, said):
    """In a process of its own, as torch raises again at the end of any child of one that has lost a worker."""
    ours, theirs = multiprocessing.Pipe()
    process = FRESH.Process(target=_read, args=(act, theirs))
    process.start()
    assert ours.poll(120)
    message, seen = ours.recv()
    process.join()
    assert re.fullmatch(said, message), message
    assert seen == [0, 1, 2, 3]


def _lose_outside_the_loader(pipe) -> None:
    """Its worker is killed over a file while this process is at something else than the loader."""
    loader = build_loader(
        Blank(5, stall), batch_size=2, shuffle=False, drop_last=False, num_workers=1, multiprocessing_context="fork"
    )
    batches = iter(loader)
    next(batches), next(batches)
    worker = loader._loader._iterator._workers[0].pid
    pause = threading.Event()
    while not loader._watch.busy():
        pause.wait(0.05)
    try:
        with naming_lost_workers():
            os.kill(worker, signal.SIGKILL)
            pause.wait()
    except DataError as error:
        pipe.send(str(error))


def test_a_worker_lost_outside_the_loader_is_named_with_its_file():
    ours, theirs = multiprocessing.Pipe()
    process = FRESH.Process(target=_lose_outside_the_loader, args=(theirs,))
    process.start()
    assert ours.poll(120)
    said = r"a worker of the loader is gone \(DataLoader worker .*\): worker 0 at videos/5\.mp4 for \d+ s"
    message = ours.recv()
    assert re.fullmatch(said, message), message
    process.join()


def test_other_errors_stay_what_they_are():
    with pytest.raises(RuntimeError, match="shapes"), naming_lost_workers():
        raise RuntimeError("shapes")


def _load(pipe) -> None:
    loader = build_loader(
        Blank(-1, stall), batch_size=1, shuffle=False, drop_last=False, num_workers=1,
        multiprocessing_context="forkserver",
    )  # fmt: skip
    batches = iter(loader)
    next(batches)
    pipe.send(loader._loader._iterator._workers[0].pid)
    pipe.recv()


def test_workers_end_with_a_process_that_was_killed():
    """Under a fork server nobody else would end them: their parent is the server."""
    ours, theirs = multiprocessing.Pipe()
    # Not forked: what other tests started here (threads that hold locks) must not be inherited.
    process = FRESH.Process(target=_load, args=(theirs,))
    process.start()
    assert ours.poll(120)
    worker = os.pidfd_open(ours.recv())
    process.kill()
    process.join()
    ended, _, _ = select.select([worker], [], [], 60)
    assert ended


def _be_signalled(pipe) -> None:
    """As a terminal, torchrun or Slurm do to all processes of a job; then what this process does to its own workers."""
    loader = build_loader(
        Blank(5, stall), batch_size=1, shuffle=False, drop_last=False, num_workers=1, multiprocessing_context="fork"
    )
    batches = iter(loader)
    seen = next(batches).video_B.tolist()
    (worker,) = loader._loader._iterator._workers
    pipe.send(worker.pid)
    pipe.recv()
    seen += [video for _ in range(3) for video in next(batches).video_B.tolist()]
    while not loader._watch.busy():
        threading.Event().wait(0.05)
    worker.terminate()
    worker.join()
    pipe.send((seen, worker.exitcode))
    os._exit(0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_worker_leaves_a_stop_to_its_reader(number):
    """By the end it is stalled in a video, and the reader's SIGTERM ends it all the same."""
    ours, theirs = multiprocessing.Pipe()
    process = FRESH.Process(target=_be_signalled, args=(theirs,))
    process.start()
    assert ours.poll(120)
    worker = ours.recv()
    os.kill(worker, number)
    ours.send("signalled")
    assert ours.poll(120)
    assert ours.recv() == ([0, 1, 2, 3], 0)
    process.join()


def test_a_batch_names_its_files():
    loader = build_loader(Blank(-1, stall), batch_size=2, shuffle=False, drop_last=False)
    assert [loader.files(batch) for batch in loader][1] == ["videos/2.mp4", "videos/3.mp4"]
