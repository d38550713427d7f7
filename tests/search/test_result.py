import pytest
import yaml

from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.search import (
    Budgets,
    Policy,
    SearchSettings,
    cost_table,
    derive,
    policy_tables,
    read_history,
    read_result,
    write_result,
)
from pytorchvideo_autox3d.space import Architecture, load_space
from pytorchvideo_autox3d.supernet import Supernet


def test_result_names_one_architecture_in_every_file(make_pair, tmp_path):
    supernet, policy = make_pair()
    derived = derive(policy, budgets=Budgets(cost_table(supernet)))
    recipe = {"SOLVER": {"BASE_LR": 0.4}, "SEARCH": {"ENABLE": True}, "AUTOX3D": {"SE_RATIO": 0.0}}
    paths = write_result(str(tmp_path), derived, policy=policy, settings=SearchSettings(), train_config=recipe)
    assert Architecture.from_json(paths["architecture.json"]) == derived.architecture
    config = yaml.safe_load(paths["retrain.yaml"].read_text())
    assert "SEARCH" not in config
    assert config["SOLVER"] == {"BASE_LR": 0.4}
    assert config["AUTOX3D"]["SE_RATIO"] == 0.0
    assert load_space(config["AUTOX3D"]["SPACE"]) == supernet.space
    first = derived.architecture.groups[0]
    assert config["AUTOX3D"]["GROUPS"][0] == [list(first.kernel), first.channels, first.expansion, first.attention]
    assert recipe["SEARCH"] == {"ENABLE": True}
    result = read_result(str(tmp_path))
    assert Architecture.from_dict(result["derived"]["architecture"]) == derived.architecture
    assert result["num_samples"] == 13
    assert {len(row) for row in result["coverage"]["fair"]} == {8}


def test_a_built_in_space_is_named():
    from pytorchvideo_autox3d.search.result import retrain_yaml

    architecture = Architecture.from_indices(load_space("table2"), [0] * 44)
    config = yaml.safe_load(retrain_yaml(architecture, None, {}))
    assert config["AUTOX3D"]["SPACE"] == "table2"


def test_policy_tables_have_a_row_a_group(space):
    tables = {table["kind"]: table for table in policy_tables(Policy(space=space))}
    assert list(tables) == ["kernel", "channels", "expansion", "attention"]
    assert tables["channels"]["candidates"] == [["4", "6", "8"], ["8", "12"]]
    assert tables["channels"]["probabilities"][1] == [0.5, 0.5]
    assert tables["kernel"]["candidates"][0] == ["1x3^2", "3x3^2"]


def test_reading_what_is_not_there(tmp_path):
    with pytest.raises(SearchError, match=r"is .* the OUTPUT_DIR of a search"):
        read_history(str(tmp_path))
    with pytest.raises(SearchError, match="has not ended"):
        read_result(str(tmp_path))
    (tmp_path / "search_history.jsonl").write_text('{"epoch": 1}\n{"epo')
    with pytest.raises(SearchError, match=r"search_history.jsonl:2: not JSON"):
        read_history(str(tmp_path))


def test_supernet_options_reach_the_cost_table(space):
    small = Supernet(space, model_num_class=3, input_clip_length=2, input_crop_size=8)
    large = Supernet(space, model_num_class=3, input_clip_length=4, input_crop_size=8, se_ratio=0.0)
    for field, larger in (("macs", large), ("params", small)):
        smaller = small if larger is large else large
        assert cost_table(larger).additive(field).range()[0] > cost_table(smaller).additive(field).range()[0]
