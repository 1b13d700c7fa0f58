import pytest
import torch

from evaluation.inputs import open_pictures, pairs
from tests.evaluation.inputs.conftest import chw, pixels

ONE, TWO, THREE = (pixels(4, 4, 3, seed=seed) for seed in range(3))


def test_by_name_whatever_the_ending(save):
    ours = open_pictures(save({"b.png": ONE, "c/a.jpg": TWO}, "ours"))
    theirs = open_pictures(save({"b.jpg": THREE, "c/a.png": ONE, "more.png": TWO}, "theirs"))
    (batch,) = pairs(ours, theirs)
    assert batch.ids == ("b", "c/a")
    assert torch.equal(batch.images, torch.stack([chw(x) for x in (ONE, THREE, TWO, ONE)]).unflatten(0, (2, 2)))


def test_unequal_sizes_are_named(save):
    ours = open_pictures(save({"a.png": ONE, "b.png": ONE}, "ours"))
    source = pairs(ours, open_pictures(save({"a.png": ONE, "b.png": pixels(5, 4, 3)}, "theirs")))
    assert [batch.ids for batch in source] == [("a",)]
    assert source.skipped[0].reason == "the two pictures have sizes (4, 4) and (5, 4)"


def test_the_fingerprint_is_that_of_both(save):
    ours = open_pictures(save({"a.png": ONE}, "ours"))
    found = [pairs(ours, open_pictures(save({"a.png": each}, f"{i}"))).fingerprint for i, each in enumerate((ONE, TWO))]
    assert found[0] != found[1]


@pytest.mark.parametrize(
    ("ours", "theirs", "sentence"),
    [
        ({"a.png": ONE, "b.png": ONE}, {"b.png": ONE}, "1 of 2 pictures of ours have no counterpart in theirs: a;"),
        ({"a.png": ONE, "a.jpg": ONE}, {"a.png": ONE}, "ours has two pictures called a"),
    ],
)
def test_wrong_use(save, ours, theirs, sentence):
    with pytest.raises(ValueError, match=sentence):
        pairs(open_pictures(save(ours, "ours")), open_pictures(save(theirs, "theirs")))


def test_an_iterator_cannot_be_searched(save):
    with pytest.raises(ValueError, match="can be found by name, got iterator"):
        pairs(open_pictures(iter([chw(ONE)])), open_pictures(save({"a.png": ONE})))
