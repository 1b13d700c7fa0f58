import pytest

from evaluation.captions import check_captions, tokenize


@pytest.mark.parametrize(
    ("captions", "message"),
    [
        ("a ring", "expected one for each of 2 pictures, got a single string; pass a list of 2 strings"),
        (["a ring"], "expected one for each of 2 pictures, got 1"),
        (["a ring", " \n"], r"caption 1: expected words, got ' \\n'; leave its picture out"),
    ],
)
def test_wrong_captions_are_caught(captions, message):
    with pytest.raises(ValueError, match=message):
        check_captions(captions, 2)


def test_long_captions_are_cut_and_named():
    tokens = tokenize(["a ring", "word " * 75, "word " * 76])
    assert tokens.truncated == (2,)
    assert tokens.ids.shape == (3, 77)
    assert tokens.ids[:, 0].tolist() == [49406] * 3
    assert tokens.ids.argmax(1).tolist() == [3, 76, 76]
    assert tokens.ids[2, 76] == 49407
