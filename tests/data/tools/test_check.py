import json

import av
import numpy as np
import pytest

from pytorchvideo_autox3d.data import read_list
from pytorchvideo_autox3d.data.tools import check, check_journal
from pytorchvideo_autox3d.data.tools.check import Rules, check_list


@pytest.fixture
def faulty(tmp_path, make_video, plain_video):
    """A list of one good video and one of each fault; returns (list, the fault of each by name)."""
    good = plain_video.read_bytes()
    (tmp_path / "good.mp4").write_bytes(good)
    (tmp_path / "text.mp4").write_bytes(b"no video at all" * 99)
    make_video(tmp_path / "short.mp4", range(5))
    make_video(tmp_path / "small.mp4", range(60), size=(32, 56))
    make_video(tmp_path / "uneven.mkv", range(20), times=[*range(0, 1000, 100), *range(2000, 3000, 100)])
    write_tone(tmp_path / "tone.mp4")
    faststart(plain_video, tmp_path / "cut.mp4", share=0.6)
    faults = {
        "good.mp4": "", "text.mp4": "unreadable", "short.mp4": "too short", "small.mp4": "wrong size",
        "uneven.mkv": "variable frame rate", "tone.mp4": "no video stream", "nowhere.mp4": "missing",
        "cut.mp4": "decode error",
    }  # fmt: skip
    (tmp_path / "list.csv").write_text("".join(f"{name} {n}\n" for n, name in enumerate(faults)))
    return tmp_path / "list.csv", faults


def write_tone(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def faststart(source, target, share):
    """The index first, then the first `share` of the file."""
    with av.open(str(source)) as reader, av.open(str(target), "w", options={"movflags": "faststart"}) as writer:
        stream = writer.add_stream_from_template(reader.streams.video[0])
        for packet in reader.demux(video=0):
            if packet.size:
                packet.stream = stream
                writer.mux(packet)
    whole = target.read_bytes()
    target.write_bytes(whole[: int(share * len(whole))])


def path_name(fault):
    return fault["path"].rpartition("/")[2]


def run(path, output, **arguments):
    manifest = read_list(str(path), path_prefix=str(path.parent))
    return check_list(manifest, output, show_progress=False, **arguments)


def test_every_class_of_faults(faulty, tmp_path):
    path, expected = faulty
    report = run(path, tmp_path / "out", rules=Rules(min_frames=10, short_side=48))
    found = {report.manifest.listed(index): fault for index, fault, _ in report.faults}
    assert found == {name: fault for name, fault in expected.items() if fault}
    assert report.num_present == len(expected) - 1
    assert report.counts == {**dict.fromkeys(check.FAULTS, 1), "two labels": 0, "no class name": 0}
    details = {report.manifest.listed(index): detail for index, _, detail in report.faults}
    assert details["cut.mp4"].startswith("frame ")
    assert "of 60" in details["cut.mp4"]
    assert details["short.mp4"] == "5 frames, fewer than 10"
    assert details["small.mp4"] == "56x32, expected a short side of 48"


def test_the_clean_list_and_the_report(faulty, tmp_path):
    path, expected = faulty
    report = run(path, tmp_path / "out", rules=Rules(min_frames=10, short_side=48))
    clean = read_list(str(tmp_path / "out" / "clean.csv"))
    assert [clean.listed(i) for i in range(len(clean))] == ["good.mp4", "uneven.mkv"]
    assert clean.labels.tolist() == [0, 4]
    written = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (written["num_videos"], written["num_present"], written["num_clean"]) == (8, 7, 2)
    assert written["list_hash"] == report.manifest.digest()
    assert written["clean_hash"] == clean.digest()
    assert {fault["fault"] for fault in written["faults"]} == set(expected.values()) - {""}
    names = path.read_text().splitlines()
    assert all(names[fault["line"] - 1].startswith(path_name(fault)) for fault in written["faults"])
    strict = run(path, tmp_path / "out", rules=Rules(min_frames=10, short_side=48, allow_variable_rate=False))
    assert [strict.manifest.listed(i) for i in strict.clean] == ["good.mp4"]


def test_goes_on_where_it_was_interrupted(faulty, tmp_path, monkeypatch):
    path, _ = faulty
    first = run(path, tmp_path / "out")
    journal = tmp_path / "out" / "journal.jsonl"
    lines = journal.read_text().splitlines()
    journal.write_text("\n".join(lines[:3]) + '\n{"path": "half a li')
    read = []
    original = check_journal.measure_video
    monkeypatch.setattr(check_journal, "measure_video", lambda path, **kw: read.append(path) or original(path, **kw))
    again = run(path, tmp_path / "out")
    assert again.faults == first.faults
    assert len(read) == len(lines) - 3
    (path.parent / "good.mp4").write_bytes(b"changed")
    read.clear()
    changed = run(path, tmp_path / "out")
    assert [name.rpartition("/")[2] for name in read] == ["good.mp4"]
    assert changed.faults[0][1] == "unreadable"


def test_several_processes_find_the_same(faulty, tmp_path):
    path, _ = faulty
    assert run(path, tmp_path / "two", workers=1).faults == run(path, tmp_path / "none").faults


def test_real_footage_is_clean(real_footage, tmp_path):
    (tmp_path / "list.csv").write_text("".join(f"{path} 0\n" for path in real_footage.values()))
    report = run(tmp_path / "list.csv", tmp_path / "out")
    assert report.faults == ()
    assert report.clean == (0, 1, 2)


def test_a_journal_of_another_kind_is_read_over(faulty, tmp_path):
    path, _ = faulty
    first = run(path, tmp_path / "out")
    journal = tmp_path / "out" / "journal.jsonl"
    lines = journal.read_bytes()
    journal.write_bytes(b'3\n{"path": "a"}\n{"path": "a", "stamp": [0, 0], "colour": 1}\n\xff\n' + lines)
    assert run(path, tmp_path / "out").faults == first.faults


def test_labels_that_contradict_each_other_or_have_no_name(tmp_path, plain_video):
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.mp4").write_bytes(plain_video.read_bytes())
    lines = ["a.mp4 0", "b.mp4 1", "a.mp4 0", "./a.mp4 1", "c.mp4 2", "gone.mp4 7"]
    (tmp_path / "list.csv").write_text("path label\n" + "".join(f"{line}\n" for line in lines))
    (tmp_path / "classes.json").write_text('["x", "y"]')
    report = run(tmp_path / "list.csv", tmp_path / "out")
    assert report.faults == (
        (0, "two labels", "label 0 here, 1 in line 5"),
        (2, "two labels", "label 0 here, 1 in line 5"),
        (3, "two labels", "label 1 here, 0 in line 2"),
        (4, "no class name", f"label 2, and {tmp_path}/classes.json names 2"),
        (5, "missing", "no such file"),
    )
    assert report.clean == (1,)
    clean = read_list(str(tmp_path / "out" / "clean.csv"))
    assert (clean.classes.names, clean.labels.tolist()) == (("x", "y"), [1])


def test_class_folders_keep_the_numbering_of_training(tmp_path, plain_video):
    for name in ("train/a/1.mp4", "train/b/2.mp4", "val/b/3.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(plain_video.read_bytes())
    report = run(tmp_path / "val", tmp_path / "out")
    assert report.faults == ()
    assert (tmp_path / "out" / "clean.csv").read_text() == "b/3.mp4 1\n"
