import re
from importlib.metadata import requires
from pathlib import Path

import pytest

from pytorchvideo_autox3d import cli
from pytorchvideo_autox3d.commands import doctor


def test_it_names_versions_decoders_and_devices(capsys):
    assert cli.main(["doctor"]) == 0
    printed = capsys.readouterr().out
    for expected in ("torch", "PyAV", "h264", "libx264", "CPU:", "GPU"):
        assert expected in printed


def test_every_requirement_of_the_package_is_looked_at():
    required = {
        re.split(r"[<>=!;\[ ]", line)[0].lower() for line in requires("pytorchvideo_autox3d") if "extra" not in line
    }
    known = {name.lower() for name, part in doctor.PARTS.items() if part.source == doctor.REQUIRED}
    assert known == required


def test_every_extra_that_it_names_holds_the_part():
    text = (Path(__file__).parents[2] / "setup.py").read_text()
    extras = dict(re.findall(r'^        "(\w+)": \[(.*?)\],$', text, flags=re.MULTILINE | re.DOTALL))
    named = {name: part.source[7:-1] for name, part in doctor.PARTS.items() if part.source.startswith("extra [")}
    assert "torchcodec" in named
    assert all(f'"{name}>=' in extras[extra] for name, extra in named.items())


def test_a_missing_required_part_is_an_error(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "version_of", lambda name, module: None if name == "av" else "1.0")
    assert cli.main(["doctor"]) == 1
    assert "required parts are missing: av" in capsys.readouterr().err


@pytest.mark.parametrize(("module", "there"), [("simplejson", True), ("no_such_module", False), ("a.b.c", False)])
def test_version_of(module, there):
    assert (doctor.version_of(module, module) is not None) == there
