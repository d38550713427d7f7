import csv
import io
import json

import pytest
from rich.console import Console

from pytorchvideo_autox3d.errors import DataError
from pytorchvideo_autox3d.predict.output import ResumableRecords, csv_header, csv_lines, table_of


def record(video, *pairs, **more):
    return {"video": video, "top": [list(pair) for pair in pairs], "clips": [], **more}


A = record("a.mp4", ("x", 0.75), ("y", 0.25))
B = record('b, "2".mp4', ("y", 1.0), rejected=True)


def test_csv_rows_read_back():
    lines = [
        csv_header(2),
        *(line for one in (A, B, {"video": "c", "error": "no video"}) for line in csv_lines(one, 2)),
    ]
    rows = list(csv.DictReader(io.StringIO("\n".join(lines))))
    assert [row["video"] for row in rows] == ["a.mp4", 'b, "2".mp4', "c"]
    assert (rows[0]["label_2"], rows[0]["score_2"]) == ("y", "0.25")
    assert (rows[1]["label_2"], rows[1]["rejected"]) == ("", "True")
    assert rows[2]["error"] == "no video"


def test_the_table_names_what_is_rejected():
    stream = io.StringIO()
    Console(file=stream, width=120).print(table_of([A, B]))
    rows = [line.split() for line in stream.getvalue().splitlines() if "mp4" in line]
    assert rows[0][:3] == ["a.mp4", "x", "0.750"]
    assert "none of these" in stream.getvalue()


def begun(path, *, made_with=None):
    return ResumableRecords(path, made_with or {"model": "m", "views": "1x1"})


def test_goes_on_after_an_interruption_and_ends_in_the_lists_order(tmp_path):
    path = tmp_path / "out.jsonl"
    with begun(path).appending():
        pass
    kept = begun(path)
    with kept.appending():
        kept.add(B)
    with kept.partial.open("a") as stream:
        stream.write('{"video": "cut sho')
    assert not path.exists()
    kept = begun(path)
    assert kept.records == {B["video"]: B}
    with kept.appending():
        kept.add(A)
    kept.finish(["a.mp4", B["video"]], top=2)
    assert [json.loads(line) for line in path.read_text().splitlines()] == [A, B]
    assert [one.name for one in tmp_path.iterdir()] == ["out.jsonl"]


def test_what_has_no_record_leaves_no_file(tmp_path):
    kept = begun(tmp_path / "out.csv")
    with pytest.raises(ValueError, match="the first video"), kept.appending():
        raise ValueError("the first video can't be read")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="the second"), kept.appending():
        kept.add(A)
        raise ValueError("the second can't be read")
    assert begun(tmp_path / "out.csv").records == {"a.mp4": A}


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(DataError, match="is a folder: name a file"):
        begun(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_begun_with_another_model_is_refused(tmp_path):
    path = tmp_path / "out.csv"
    with begun(path).appending():
        pass
    with pytest.raises(DataError, match="another views"):
        begun(path, made_with={"model": "m", "views": "10x3"})
    (tmp_path / "out.csv.partial").write_text("x\ny\n")
    with pytest.raises(DataError, match="no file of predictions"):
        begun(path)
