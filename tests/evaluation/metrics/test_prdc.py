import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_fidelity.metric_prc import calculate_precision_recall_full

from evaluation.metrics import PRDC, SmallSampleWarning
from evaluation.metrics import prdc as module
from evaluation.metrics.prdc import counts, prdc
from evaluation.protocols import dgm, sprites, ttur

NARROW = dataclasses.replace(ttur.PRDC, width=4, replicates=50)
STRICT = dataclasses.replace(dgm.PRDC, width=4, replicates=50)

pytestmark = pytest.mark.filterwarnings("ignore::evaluation.metrics.uncertainty.SmallSampleWarning")


def sets(n: int = 60, m: int = 50, shift: float = 1.0, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(n, 4, generator=g) + shift, torch.randn(m, 4, generator=g)


def by_definition(generated: torch.Tensor, real: torch.Tensor, k: int, *, strict: bool) -> dict[str, float]:
    """clovaai/generative-evaluation-prdc in NumPy."""
    x, y = generated.double().numpy(), real.double().numpy()

    def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.sqrt(np.square(a[:, None] - b[None]).sum(2))

    radii_x, radii_y = (np.sort(distances(side, side), 1)[:, k] for side in (x, y))
    table = distances(y, x)
    inside = np.less if strict else np.less_equal
    return {
        "precision": inside(table, radii_y[:, None]).any(0).mean(),
        "recall": inside(table, radii_x[None]).any(1).mean(),
        "density": inside(table, radii_y[:, None]).sum(0).mean() / k,
        "coverage": inside(table.min(1), radii_y).mean(),
    }


def values(generated: torch.Tensor, real: torch.Tensor, protocol) -> dict[str, float]:
    return {each.name: each.value for each in prdc(generated, real, protocol)}


@pytest.mark.parametrize("protocol", [NARROW, STRICT], ids=["k = 3", "k = 5"])
@settings(max_examples=15)
@given(n=st.integers(6, 40), m=st.integers(6, 40), seed=st.integers(0, 999), shift=st.floats(0, 3))
def test_it_is_the_definition(protocol, n, m, seed, shift):
    pair = sets(n, m, shift, seed)
    strict = protocol.border == "outside"
    assert values(*pair, protocol) == pytest.approx(by_definition(*pair, protocol.neighbours, strict=strict))


def test_second_opinion_torch_fidelity():
    precision, recall = calculate_precision_recall_full(*sets(), neighborhood=3)
    found = values(*sets(), NARROW)
    assert (found["precision"], found["recall"]) == pytest.approx((precision, recall))
    assert 0 < precision < 1
    assert 0 < recall < 1


def test_tables_in_parts_give_the_same(monkeypatch):
    whole = values(*sets(), NARROW)
    monkeypatch.setattr(module, "_CELLS", 130)  # two or three rows at a time
    assert values(*sets(), NARROW) == whole


@pytest.mark.parametrize(
    ("shift", "expected"), [(0.0, (1, 1, None, 1)), (100.0, (0, 0, 0, 0))], ids=["the same set", "far apart"]
)
def test_extremes(shift, expected):
    real = sets()[1]
    found = values(real + shift, real, NARROW)
    for name, value in zip(("precision", "recall", "density", "coverage"), expected, strict=True):
        assert value is None or found[name] == value
    for estimate in prdc(real + shift, real, NARROW):
        assert estimate.ci95[0] <= estimate.value <= estimate.ci95[1]


@pytest.mark.parametrize(("protocol", "inside"), [(NARROW, 1.0), (STRICT, 0.0)], ids=["inside", "outside"])
def test_a_point_on_the_border(protocol, inside):
    """Constant pictures: all distances are 0, also where they are worked out in float64 from large numbers."""
    same = torch.full((9, 4), 1234.5678)
    assert values(same, same, protocol) == {
        "precision": inside,
        "recall": inside,
        "density": inside * 9 / protocol.neighbours,
        "coverage": inside,
    }


@pytest.mark.parametrize("rows", [1, 3, 50])
def test_copies_of_a_picture_lie_at_distance_zero(rows):
    """Far from the origin |x|² + |y|² − 2 x·y leaves rounding errors, whose sign would decide what lies on a border."""
    features = 1000 + torch.randn(50, 300, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    table = torch.cat([module._squared_distances(part, features.clone()) for part in features.split(rows)])
    assert bool((table.diagonal() == 0).all())
    assert bool((table >= 0).all())
    torch.testing.assert_close(table, torch.cdist(features, features).square(), rtol=1e-6, atol=1e-3)


def test_of_more_pictures_some_are_drawn():
    protocol = dataclasses.replace(NARROW, most=30)
    found = counts(*sets(), protocol)
    assert (len(found.precision), len(found.coverage)) == (30, 30)
    drawn = np.random.RandomState(protocol.seed).choice(60, 30, replace=False)
    other = np.random.RandomState(protocol.seed).choice(50, 30, replace=False)
    expected = values(sets()[0][drawn], sets()[1][other], NARROW)
    assert values(*sets(), protocol) == expected


def test_metric_gives_all_four():
    metric = PRDC(NARROW)
    for part in sets()[0].split(7):
        metric.update(part, real=False)
    metric.update(sets()[1], real=True)
    estimates = metric.estimates()
    assert [each.name for each in estimates] == ["precision", "recall", "density", "coverage"]
    assert float(metric.compute()) == estimates[0].value
    assert {each.n for each in estimates} == {60}
    assert all(each.higher_is_better for each in estimates)


def test_few_pictures_are_warned_about():
    with pytest.warns(SmallSampleWarning, match="prdc@ttur-1: 50 pictures a side"):
        prdc(*sets(), NARROW)


@pytest.mark.parametrize(
    ("n", "m", "message"),
    [
        (3, 50, "expected at least 4 generated pictures for k = 3, got 3"),
        (50, 0, "expected at least 4 real pictures for k = 3, got 0"),
    ],
)
def test_too_few_pictures(n, m, message):
    with pytest.raises(ValueError, match=message):
        prdc(*sets(n, m), NARROW)


def test_one_picture_is_no_set():
    metric = PRDC(sprites.PRDC)
    metric.update(torch.zeros(1, 128), real=True)
    metric.update(torch.zeros(9, 128), real=False)
    with pytest.raises(ValueError, match="real pictures: expected at least 2, got one"):
        metric.compute()
