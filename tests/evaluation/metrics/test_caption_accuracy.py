import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evaluation.metrics import CaptionAccuracy
from evaluation.metrics.caption_accuracy import caption_accuracy, outcomes
from evaluation.protocols import sprites
from nuwa.data.sprites import world
from nuwa.data.sprites.scenes import draw

PROTOCOL = sprites.CAPTION_ACCURACY
# One blue square at the top and a small thing at the bottom right; one object in the middle; three along the top.
SCENES = {
    "num_objects": [2, 1, 3],
    "place": [[1, 8, -1], [4, -1, -1], [0, 1, 2]],
    "shape": [[1, 0, -1], [5, -1, -1], [2, 3, 4]],
    "colour": [[5, 7, -1], [0, -1, -1], [1, 2, 3]],
    "size": [[2, 0, -1], [1, -1, -1], [0, 1, 2]],
    "background": [0, 3, 1],
}


def scenes(**changes) -> SimpleNamespace:
    return SimpleNamespace(**{name: np.array(value) for name, value in {**SCENES, **changes}.items()})


def judgement(**changes) -> SimpleNamespace:
    """Logits of a judge that sees exactly ``scenes(**changes)``, with an opinion on what is not there as well."""
    seen = scenes(**changes)
    shape = np.zeros((3, 9), dtype=np.int64)
    colour, size = (np.random.default_rng(0).integers(0, high, (3, 9)) for high in (8, 3))
    rows, slots = np.nonzero(seen.place >= 0)
    at = seen.place[rows, slots]
    shape[rows, at] = 1 + seen.shape[rows, slots]
    colour[rows, at], size[rows, at] = seen.colour[rows, slots], seen.size[rows, slots]
    logits = {"shape": (shape, 7), "colour": (colour, 8), "size": (size, 3), "background": (seen.background, 4)}
    return SimpleNamespace(
        **{f"{name}_logits": 5.0 * torch.eye(width)[torch.from_numpy(v)] for name, (v, width) in logits.items()}
    )


def values(seen: SimpleNamespace) -> dict[str, float]:
    estimates = caption_accuracy(outcomes(seen, scenes(), PROTOCOL), PROTOCOL)
    return {estimate.name.removesuffix(" accuracy"): estimate.value for estimate in estimates}


def test_all_right():
    assert values(judgement()) == dict.fromkeys(["caption", "background", "place", "shape", "colour", "size"], 1.0)


@pytest.mark.parametrize(
    ("change", "fallen"),
    [
        ({"background": [0, 3, 2]}, {"caption": 2 / 3, "background": 2 / 3}),
        ({"shape": [[1, 0, -1], [4, -1, -1], [2, 3, 4]]}, {"caption": 2 / 3, "shape": 5 / 6}),
        ({"colour": [[5, 6, -1], [0, -1, -1], [1, 2, 3]]}, {"caption": 2 / 3, "colour": 5 / 6}),
        ({"size": [[2, 0, -1], [2, -1, -1], [0, 1, 1]]}, {"caption": 1 / 3, "size": 4 / 6}),
    ],
    ids=["background", "shape", "colour", "size"],
)
def test_one_wrong_attribute(change, fallen):
    perfect = dict.fromkeys(["caption", "background", "place", "shape", "colour", "size"], 1.0)
    assert values(judgement(**change)) == pytest.approx({**perfect, **fallen})


def test_an_object_too_many_spoils_the_caption_only():
    more = {
        "place": [[1, 8, 0], [4, -1, -1], [0, 1, 2]],
        "shape": [[1, 0, 0], [5, -1, -1], [2, 3, 4]],
        "colour": [[5, 7, 0], [0, -1, -1], [1, 2, 3]],
        "size": [[2, 0, 0], [1, -1, -1], [0, 1, 2]],
    }
    found = values(judgement(**more))
    assert found.pop("caption") == pytest.approx(2 / 3)
    assert set(found.values()) == {1.0}


def test_a_missing_object_is_not_at_its_place():
    seen = judgement()
    seen.shape_logits[1, 4, 0] = 9.0  # nothing there after all, yet the likeliest real shape is still the one named
    found = values(seen)
    assert found["caption"] == pytest.approx(2 / 3)
    assert found["place"] == pytest.approx(5 / 6)
    assert found["shape"] == 1.0


def test_an_object_elsewhere_is_missing_and_too_many():
    found = values(judgement(place=[[1, 8, -1], [3, -1, -1], [0, 1, 2]]))
    assert found["caption"] == pytest.approx(2 / 3)
    assert found["place"] == pytest.approx(5 / 6)


def test_absent_objects_do_not_count():
    result = outcomes(judgement(), scenes(), PROTOCOL)
    assert result.named.sum() == 6
    by_name = {estimate.name: estimate for estimate in caption_accuracy(result, PROTOCOL)}
    assert by_name["caption accuracy"].n == 3
    assert by_name["shape accuracy"].n == 6


def test_per_sample_outcomes_allow_subsets():
    result = outcomes(judgement(background=[1, 3, 1]), scenes(), PROTOCOL)
    assert result.right.tolist() == [False, True, True]
    rest = result[torch.tensor([False, True, True])]
    assert caption_accuracy(rest, PROTOCOL)[0].value == 1.0


@given(order=st.permutations(range(3)))
def test_order_of_objects_and_samples_does_not_matter(order):
    turned = scenes(**{k: np.array(v)[:, order] for k, v in SCENES.items() if k not in ("num_objects", "background")})
    assert outcomes(judgement(), turned, PROTOCOL).right.all()


def test_metric_is_the_function():
    metric, seen, named = CaptionAccuracy(), judgement(background=[1, 3, 1]), scenes()
    for i in range(3):
        part = slice(i, i + 1)
        metric.update(
            SimpleNamespace(**{k: v[part] for k, v in vars(seen).items()}),
            SimpleNamespace(**{k: v[part] for k, v in vars(named).items()}),
        )
    assert float(metric.compute()) == pytest.approx(2 / 3)
    whole = caption_accuracy(outcomes(seen, named, PROTOCOL), PROTOCOL)
    assert [e.record for e in metric.estimates()] == [e.record for e in whole]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_objects": [2, 2, 3]}, "num_objects to count"),
        ({"place": [[1, 9, -1], [4, -1, -1], [0, 1, 2]]}, "expected place in -1…8"),
        ({"place": [[1, 1, -1], [4, -1, -1], [0, 1, 2]]}, "one object at a place, got two"),
        ({"shape": [[1, 6, -1], [5, -1, -1], [2, 3, 4]]}, "expected shape in -1…5"),
        ({"colour": [[5, 7, 0], [0, -1, -1], [1, 2, 3]]}, "expected colour named for the same objects as place"),
        ({"background": [0, 3, -1]}, "expected background in 0…3"),
    ],
)
def test_wrong_scenes_are_caught(change, message):
    with pytest.raises(ValueError, match=message):
        outcomes(judgement(), scenes(**change), PROTOCOL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape_logits": torch.zeros(3, 9, 6)}, r"shape_logits: expected \(3, 9, 7\) for 3 scenes"),
        ({"size_logits": torch.zeros(2, 9, 3)}, r"size_logits: expected \(3, 9, 3\)"),
        ({"background_logits": torch.full((3, 4), torch.nan)}, "background_logits: expected finite numbers"),
    ],
)
def test_wrong_judgements_are_caught(change, message):
    with pytest.raises(ValueError, match=message):
        outcomes(SimpleNamespace(**{**vars(judgement()), **change}), scenes(), PROTOCOL)


def test_one_picture_is_no_set():
    with pytest.raises(ValueError, match="at least 2"):
        caption_accuracy(outcomes(judgement(), scenes(), PROTOCOL)[torch.tensor([True, False, False])], PROTOCOL)


def test_the_worlds_own_scenes_fit():
    drawn = draw("val", np.arange(64))
    blank = SimpleNamespace(
        shape_logits=torch.zeros(64, 9, 7),
        colour_logits=torch.zeros(64, 9, 8),
        size_logits=torch.zeros(64, 9, 3),
        background_logits=torch.zeros(64, 4),
    )
    sizes = {
        "places": len(world.PLACES),
        "shapes": len(world.SHAPES),
        "colours": len(world.COLOURS),
        "sizes": len(world.SIZES),
        "backgrounds": len(world.BACKGROUNDS),
    }
    assert dataclasses.replace(PROTOCOL, **sizes) == PROTOCOL
    assert not outcomes(blank, drawn, PROTOCOL).place.any()
