from pathlib import Path

import pytest

from pytorchvideo_autox3d.config import config_path, get_cfg, load_cfg
from pytorchvideo_autox3d.errors import ConfigError

ROOT = Path(__file__).parents[2] / "configs"
# on_demo.yaml goes over others, and sets clips of 8 classes alone.
CONFIGS = sorted([*(ROOT / "autox3d").glob("*.yaml"), *(ROOT / "baselines").glob("*.yaml")])


def write(folder: Path, text: str, name: str = "c.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_files_in_turn_then_options_win(tmp_path):
    first = write(tmp_path, "SOLVER: {BASE_LR: 0.5, MAX_EPOCH: 7}\nDATA: {NUM_FRAMES: 4}", "a.yaml")
    second = write(tmp_path, "SOLVER: {MAX_EPOCH: 9}", "b.yaml")
    cfg = load_cfg([first, second], ["DATA.NUM_FRAMES", "5", "TRAIN.ENABLE", "False"])
    assert (cfg.SOLVER.BASE_LR, cfg.SOLVER.MAX_EPOCH, cfg.DATA.NUM_FRAMES) == (0.5, 9, 5)
    assert cfg.TRAIN.ENABLE is False


def test_base_is_read_first(tmp_path):
    write(tmp_path, "SOLVER: {BASE_LR: 0.5, MAX_EPOCH: 7}", "base.yaml")
    cfg = load_cfg(write(tmp_path, "_BASE_: base.yaml\nSOLVER: {MAX_EPOCH: 2}"))
    assert (cfg.SOLVER.BASE_LR, cfg.SOLVER.MAX_EPOCH) == (0.5, 2)


def test_scientific_notation_and_whole_numbers_reach_float_keys(tmp_path):
    # PyYAML reads 5e-5 as a string (YAML 1.1), and 1 as an integer.
    cfg = load_cfg(write(tmp_path, "SOLVER: {WEIGHT_DECAY: 5e-5, BASE_LR: 1, WARMUP_EPOCHS: 34}"))
    assert (cfg.SOLVER.WEIGHT_DECAY, cfg.SOLVER.BASE_LR, cfg.SOLVER.WARMUP_EPOCHS) == (5e-5, 1.0, 34.0)
    assert load_cfg([], ["SOLVER.BASE_LR", "2"]).SOLVER.BASE_LR == 2.0


def test_the_config_is_frozen_and_the_defaults_are_not_shared(tmp_path):
    with pytest.raises(AttributeError):
        load_cfg([]).OUTPUT_DIR = "elsewhere"
    changed = get_cfg()
    changed.DATA.MEAN.append(1.0)
    assert len(get_cfg().DATA.MEAN) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SOLVER: {BASE_RL: 0.1}", "unknown key SOLVER.BASE_RL; did you mean SOLVER.BASE_LR?"),
        ("SOLVR: {BASE_LR: 0.1}", "unknown key SOLVR"),
        ("DATA: {NUM_FRAMES: many}", "DATA.NUM_FRAMES must be of type int"),
        ("DATA: 5", "DATA is a group of keys"),
        ("DATA: {NUM_FRAMES: {A: 1}}", "unknown key DATA.NUM_FRAMES.A"),
        ("- a list", "expected keys and values"),
        ("OUTPUT_DIR: !!python/object/apply:os.getcwd []", "not safe yaml"),
        ("OUTPUT_DIR: [unclosed", "not safe yaml"),
        ("_BASE_: c.yaml", "leads back"),
        ("_BASE_: none.yaml", "no config file"),
    ],
)
def test_a_bad_file_is_one_line_that_names_it(tmp_path, text, said):
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_cfg(path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bad_options():
    with pytest.raises(ConfigError, match="in pairs"):
        load_cfg([], ["OUTPUT_DIR"])
    with pytest.raises(ConfigError, match="command line: unknown key OUTPUTDIR; did you mean OUTPUT_DIR"):
        load_cfg([], ["OUTPUTDIR", "x"])


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_config_loads(path, recwarn):
    recipe = [path.with_name("clips.yaml")] if path.name.startswith("on_") else []  # those lie over another
    load_cfg([*recipe, path])
    assert [str(warning.message) for warning in recwarn] == []


def test_shipped_configs_are_found_by_name_from_anywhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert load_cfg("configs/autox3d/M.yaml").DATA.NUM_FRAMES == 16
    assert config_path("autox3d/S.yaml").is_file()
    assert load_cfg("autox3d/S.yaml") == load_cfg(config_path("autox3d/S.yaml"))
    with pytest.raises(ConfigError, match="no shipped config"):
        config_path("autox3d/none.yaml")


def test_a_string_key_takes_any_text():
    assert load_cfg([], ["OUTPUT_DIR", "2026"]).OUTPUT_DIR == "2026"


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("DATA.ENSEMBLE_METHOD", "mean", "'mean', expected one of sum, max"),
        ("TEST.NUM_SPATIAL_CROPS", 2, "2, expected one of 1, 3"),
        ("SOLVER.BASE_LR", 0.0, "0.0, expected above 0"),
    ],
)
def test_a_value_that_nothing_could_run_with_names_its_key(key, value, expected):
    with pytest.raises(ConfigError) as caught:
        load_cfg([], [key, value])
    assert str(caught.value) == f"{key} is {expected}"


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_a_list_of_names_may_have_quotes_or_not(quote):
    budgets = f"[[{quote}latency_ms{quote},15,1.0],[{quote}params_m{quote},0.5,1.0]]"
    cfg = load_cfg([], ["SEARCH.ENABLE", True, "SEARCH.BUDGETS", budgets])
    assert cfg.SEARCH.BUDGETS == [["latency_ms", 15, 1.0], ["params_m", 0.5, 1.0]]


@pytest.mark.parametrize("value", ["[[latency_ms,15", "latency_ms", "[" * 5000])
def test_what_is_no_list_is_refused(value):
    with pytest.raises(ConfigError, match=r"SEARCH\.BUDGETS must be of type list"):
        load_cfg([], ["SEARCH.ENABLE", True, "SEARCH.BUDGETS", value])
