from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from pytorchvideo_autox3d.data.packets import Run, plan_runs, shown_at


@dataclass(frozen=True)
class FakePacket:
    pts: int | None
    is_keyframe: bool = False


def packets(text: str) -> list[FakePacket]:
    """ "k0 3 1 2": a keyframe shown at 0, then frames shown at 3, 1, 2, in decoding order."""
    return [FakePacket(int(word.lstrip("k")), word.startswith("k")) for word in text.split()]


def test_shown_at_is_the_last_not_after():
    assert shown_at([10, 20, 30], [5, 10, 19.9, 20, 99]) == [10, 10, 10, 20, 30]


def test_one_group_up_to_the_wanted_frame():
    assert plan_runs(packets("k0 3 1 2 k4 7 5 6"), {1}) == [Run(0, 2)]
    assert plan_runs(packets("k0 3 1 2 k4 7 5 6"), {5}) == [Run(4, 6)]


def test_untouched_groups_are_skipped_and_neighbours_join():
    stream = packets("k0 1 k2 3 k4 5 k6 7")
    assert plan_runs(stream, {1, 6}) == [Run(0, 1), Run(6, 6)]
    assert plan_runs(stream, {1, 2}) == [Run(0, 2)]
    assert plan_runs(stream, set()) == []


def test_leading_pictures_need_the_group_before():
    # The keyframe shown at 6 is followed in the stream by 4 and 5, shown before it.
    stream = packets("k0 3 1 2 k6 4 5 9 7 8")
    assert plan_runs(stream, {4}) == [Run(0, 5)]
    assert plan_runs(stream, {7}) == [Run(4, 8)]
    assert plan_runs(stream, {4, 7}) == [Run(0, 8)]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.booleans(), min_size=1, max_size=30), st.data())
def test_every_wanted_frame_lies_in_a_run_that_starts_at_a_keyframe(keys, data):
    stream = [FakePacket(n, key or n == 0) for n, key in enumerate(keys)]
    wanted = data.draw(st.sets(st.integers(0, len(keys) - 1)))
    runs = plan_runs(stream, wanted)
    covered = [n for run in runs for n in range(run.first, run.last + 1)]
    assert len(covered) == len(set(covered))
    assert wanted <= set(covered)
    assert all(stream[run.first].is_keyframe for run in runs)
    assert all(run.last in wanted for run in runs)
