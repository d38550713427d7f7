import pytest

from pytorchvideo_autox3d.errors import RegistryError, SearchError
from pytorchvideo_autox3d.registry import SEARCH_REGISTRY
from pytorchvideo_autox3d.search import Problem, methods
from pytorchvideo_autox3d.search.methods import Cost, Spent, Train
from tests.search.standalone import NETWORKS, SPACE, run


def test_the_limit_is_never_exceeded():
    for name in ("random", "evolution", "successive_halving"):
        found, _ = run(name, most_macs=405.0)
        assert found.spent.macs <= 405.0
        assert found.spent.macs > 405.0 - 40.0
    found, _ = run("random", most_macs=39.0)
    with pytest.raises(SearchError, match=r"'random' trained no network: its next training .* limit of 39 mult"):
        found.best()


def test_what_a_method_needs():
    with pytest.raises(SearchError, match="'parsec' trains a supernet, and there is none"):
        run("parsec")
    with pytest.raises(RegistryError, match="did you mean 'random'"):
        run("randm")
    with pytest.raises(SearchError, match="below the cheapest"):
        run("random", problem=Problem(SPACE, [], (4,), (4, 16, 16), 4))


@pytest.fixture
def registered():
    """Registers a method as "mine", for one test."""
    yield lambda method: SEARCH_REGISTRY.register(method, name="mine")
    SEARCH_REGISTRY._obj_map.pop("mine", None)


def yielding(*requests):
    def method(problem, generator):
        for request in requests:
            _ = yield request  # `yield from` would send the answer on to the tuple

    return method


OUTSIDE = Problem(SPACE, NETWORKS[:8], epochs=(1, 2, 4), clip=(4, 16, 16), num_classes=4)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (3, "yielded 3, expected Train or Spent"),
        (None, "yielded None, expected Train or Spent"),
        ("foo", "yielded 'foo', expected Train or Spent"),
        (NETWORKS[0], "yielded .*Architecture.*, expected Train or Spent"),
        (Train("S", 4), "asked to train 'S', which is not one of the problem's candidates"),
        (Train([], 4), r"asked to train \[\], which is not one"),
        (Train(NETWORKS[8], 4), "asked to train .*, which is not one of the problem's candidates"),
        (Train(NETWORKS[0], "4"), "asked for epoch '4', expected one of 1, 2, 4"),
        (Train(NETWORKS[0], None), "asked for epoch None, expected one of 1, 2, 4"),
        (Train(NETWORKS[0], 3), "asked for epoch 3, expected one of 1, 2, 4"),
        (Spent("x"), "spent 'x', expected a Cost of finite numbers, 0 or more"),
        (Spent(Cost("1", 0)), "spent Cost"),
        (Spent(Cost(-1e30, 0)), "spent Cost"),
        (Spent(Cost(0, -1.0)), "spent Cost"),
        (Spent(Cost(float("nan"), 0)), "spent Cost"),
        (Spent(Cost(0, float("inf"))), "spent Cost"),
    ],
)
def test_what_no_method_may_yield(registered, request_, said):
    registered(yielding(request_))
    with pytest.raises(SearchError, match=f"method 'mine' {said}"):
        run("mine", problem=OUTSIDE)


def test_candidates_can_t_be_added(registered):
    def method(problem, generator):
        problem.candidates.append(NETWORKS[8])
        yield Train(NETWORKS[8], 4)

    registered(method)
    with pytest.raises(SearchError, match="'mine' asked to train"):
        run("mine", problem=Problem(SPACE, NETWORKS[:8], (1, 2, 4), (4, 16, 16), 4))


@pytest.mark.parametrize(
    ("method", "said"),
    [
        (lambda problem: iter(()), r"can't be called with \(problem, generator\): too many positional"),
        (lambda problem, generator: None, "gave None, expected a generator"),
        (lambda problem, generator: [1], r"gave \[1\], expected a generator"),
        (3, "can't be called"),
    ],
)
def test_what_is_no_method(registered, method, said):
    registered(method)
    with pytest.raises(SearchError, match=f"method 'mine' {said}"):
        run("mine")


def test_what_a_method_computes_counts_against_the_limit(registered):
    trainings = [Train(network, 4) for network in NETWORKS]  # of 40 multiply-adds each
    registered(yielding(Spent(Cost(50.0, 2.0)), *trainings))
    found, asked = run("mine", most_macs=130.0)
    assert (found.spent, asked) == (Cost(130.0, 10.0), [(0, 4), (1, 4)])


def test_a_report_above_the_limit_ends_a_method(registered):
    registered(yielding(Train(NETWORKS[0], 4), Spent(Cost(1e30, 1.0)), Train(NETWORKS[0], 1)))
    found, asked = run("mine", most_macs=80.0)
    assert (found.spent, asked) == (Cost(40.0, 4.0), [(0, 4)])


@pytest.mark.parametrize(
    ("requests", "reason"),
    [
        ((), "it asked for none"),
        ((Spent(Cost(90.0, 1.0)),), "what it computed itself would take it above the limit of 80 multiply-adds"),
        ((Spent(Cost(50.0, 1.0)), Train(NETWORKS[0], 4)), "its next training would take it above the limit of 80"),
    ],
)
def test_why_nothing_was_trained(registered, requests, reason):
    registered(yielding(*requests))
    with pytest.raises(SearchError, match=f"method 'mine' trained no network: {reason}"):
        run("mine", most_macs=80.0)[0].best()


@pytest.mark.parametrize("request_", [Train(NETWORKS[0], 4), Spent(Cost(0, 0)), Spent(Cost(0, 1.0))])
def test_a_method_that_would_never_end(registered, request_):
    def method(problem, generator):
        while True:
            yield request_

    registered(method)
    with pytest.raises(SearchError, match="'mine' made 1921 requests in a row that cost nothing"):
        run("mine")  # ten looks at each of 64 networks after each of three epochs, and one more


def test_free_requests_between_trainings_are_no_endless_ones(registered, monkeypatch):
    monkeypatch.setattr(methods, "_FREE_REQUESTS", 2)
    monkeypatch.setattr(methods, "_FREE_LOOKS", 0)
    seen = [Train(network, epoch) for network in NETWORKS[:5] for epoch in (4, 1, 2)]  # of each the first costs
    registered(yielding(*seen))
    assert len(run("mine")[1]) == 15


def test_a_method_that_goes_on_after_its_end(registered):
    def method(problem, generator):
        try:
            yield Train(NETWORKS[0], 4)
        except GeneratorExit:
            yield Train(NETWORKS[0], 4)

    registered(method)
    with pytest.raises(SearchError, match="'mine' goes on after it is stopped"):
        run("mine", most_macs=1.0)


@pytest.mark.parametrize("before", [False, True])
def test_a_method_s_own_error_stays_as_it_is(registered, before):
    def method(problem, generator):
        try:
            if before:
                yield Train(NETWORKS[0], 4)
        finally:
            raise RuntimeError("boom")

    registered(method)
    with pytest.raises(RuntimeError, match="boom"):
        run("mine", most_macs=1.0)


@pytest.mark.parametrize("limit", [float("nan"), -1.0])
def test_a_limit_that_is_none(limit):
    with pytest.raises(SearchError, match=f"method 'random': the limit is {limit} multiply-adds"):
        run("random", most_macs=limit)
