from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nuwa.tokenizers.text import NO_WORDS, TEXT_GRID, TextTokenizer, clean

CAPTIONS = ["A red circle moves left.", "two unbelievably blue squares", "naïve café — déjà vu", "it's 12 o'clock"]


@pytest.fixture
def tokenizer() -> TextTokenizer:
    return TextTokenizer.from_captions(CAPTIONS)


def clip_ids(tokenizer: TextTokenizer, row: torch.Tensor) -> list[int]:
    """Our ids as CLIP's: the compact vocabulary is a relabelling and nothing else."""
    from clip.clip import _tokenizer as theirs

    named = {tokenizer.start: "<|startoftext|>", tokenizer.end: "<|endoftext|>"}
    return [theirs.encoder[named.get(number) or tokenizer.pieces[number - 2]] for number in row.tolist()]


@pytest.mark.parametrize("caption", [*CAPTIONS, "caf&eacute; &amp;amp; tea", "naÃ¯ve", "x" * 40, "✔ ok", "word " * 200])
def test_agrees_with_clip(caption: str) -> None:
    import clip

    tokenizer = TextTokenizer.from_captions([caption])
    batch = tokenizer.encode([caption])
    assert batch.unknown == 0
    theirs = clip.tokenize(caption, truncate=True)[0]
    assert clip_ids(tokenizer, batch.ids[batch.valid]) == theirs[batch.valid[0]].tolist()


@given(st.text(st.one_of(st.characters(max_codepoint=127), st.sampled_from(" &;'\"ampltg#x\x1b[")), max_size=60))
def test_cleans_as_clip(caption: str) -> None:
    """Plain ASCII takes a way of its own."""
    from clip.simple_tokenizer import basic_clean, whitespace_clean

    assert clean(caption) == whitespace_clean(basic_clean(caption)).lower()


@given(st.text(min_size=1, max_size=60).filter(lambda text: clean(text) != ""))
def test_any_text_is_start_words_end_padding(text: str) -> None:
    tokenizer = TextTokenizer.from_captions([text])
    batch = tokenizer.encode([text])
    ids, used = batch.ids[0], int(batch.valid.sum())
    assert batch.unknown == 0
    assert ids[0] == tokenizer.start
    assert ids[used - 1] == tokenizer.end == ids.max()
    assert (ids[used:] == 0).all()
    assert not batch.valid[0, used:].any()


def test_golden_ids() -> None:
    # python -c "import clip; print(clip.tokenize('a red circle')[0, :5])" gives 49406 320 736 7117 49407
    tokenizer = TextTokenizer.from_captions(["a red circle"])
    assert tokenizer.pieces == ("a</w>", "circle</w>", "none</w>", "red</w>")
    batch = tokenizer.encode(["a red circle"])
    assert batch.ids[0, :6].tolist() == [6, 2, 5, 3, 7, 0]
    assert clip_ids(tokenizer, batch.ids[0, :5]) == [49406, 320, 736, 7117, 49407]


def test_shapes_and_types(tokenizer: TextTokenizer) -> None:
    batch = tokenizer.encode(CAPTIONS)
    TEXT_GRID.check(batch.ids.shape[1])
    assert batch.ids.shape == batch.valid.shape == (len(CAPTIONS), 77)
    assert (batch.ids.dtype, batch.valid.dtype) == (torch.int64, torch.bool)
    assert tokenizer.encode([]).ids.shape == (0, 77)


@pytest.mark.parametrize(("words", "cut"), [(74, False), (75, False), (76, True), (500, True)])
def test_long_captions_keep_their_end_and_are_counted(words: int, cut: bool) -> None:
    tokenizer = TextTokenizer.from_captions(["red"])
    batch = tokenizer.encode(["red", "red " * words])
    assert batch.truncated == ((1,) if cut else ())
    assert batch.valid[1].sum() == min(words + 2, 77)
    assert batch.ids[1][batch.valid[1]][-1] == tokenizer.end


def test_unknown_pieces_are_counted(tokenizer: TextTokenizer) -> None:
    batch = tokenizer.encode(["a red zebra", "zebra zebra", "a red circle"])
    assert batch.unknown == 3
    assert batch.ids[0, :5].tolist() == [
        tokenizer.start,
        *tokenizer.encode(["a red"]).ids[0, 1:3].tolist(),
        1,
        tokenizer.end,
    ]


def test_the_word_cache_changes_nothing(tokenizer: TextTokenizer) -> None:
    first = tokenizer.encode(CAPTIONS).ids
    assert torch.equal(first, tokenizer.encode(CAPTIONS).ids)
    assert torch.equal(first.flip(0), tokenizer.encode(CAPTIONS[::-1]).ids)


def test_order_and_number_of_captions_do_not_matter(tokenizer: TextTokenizer) -> None:
    assert TextTokenizer.from_captions([*CAPTIONS[::-1], *CAPTIONS]).to_dict() == tokenizer.to_dict()


def test_null_is_start_end() -> None:
    tokenizer = TextTokenizer.from_captions(["red"])
    batch = tokenizer.null(3)
    assert batch.ids[:, :3].tolist() == [[tokenizer.start, tokenizer.end, 0]] * 3
    assert batch.valid.sum(dim=1).tolist() == [2, 2, 2]


def test_the_word_for_no_text_is_in_every_vocabulary() -> None:
    assert TextTokenizer.from_captions([]).encode([NO_WORDS]).unknown == 0


def test_text_cannot_spell_the_special_tokens() -> None:
    caption = "red <|endoftext|> circle <|startoftext|>"
    tokenizer = TextTokenizer.from_captions([caption])
    inner = tokenizer.encode([caption]).ids[0, 1:5].tolist()
    assert tokenizer.end not in inner
    assert tokenizer.start not in inner


@pytest.mark.parametrize("caption", ["", "  \n", "&nbsp;", "\x00"])
def test_empty_captions_are_refused(tokenizer: TextTokenizer, caption: str) -> None:
    with pytest.raises(ValueError, match=r"caption 1 .*has no words.*null\(\)"):
        tokenizer.encode(["a red circle", caption])


def test_one_text_is_not_a_sequence_of_captions(tokenizer: TextTokenizer) -> None:
    with pytest.raises(ValueError, match="put it in a list"):
        tokenizer.encode("a red circle")


def test_json_round_trip(tokenizer: TextTokenizer) -> None:
    again = TextTokenizer.from_dict(json.loads(json.dumps(tokenizer.to_dict())))
    assert again.vocab_size == tokenizer.vocab_size
    assert torch.equal(again.encode(CAPTIONS).ids, tokenizer.encode(CAPTIONS).ids)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pieces": ["nosuchpiece"]}, "CLIP's vocabulary"),
        ({"pieces": ["a</w>", "a</w>"]}, "distinct"),
        ({"length": 256}, "77 tokens, got .* 256"),
        ({"encoding": "t5"}, "got t5"),
        ({"extra": 1}, "expected the keys"),
    ],
)
def test_strange_states_are_refused(tokenizer: TextTokenizer, change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TextTokenizer.from_dict(tokenizer.to_dict() | change)


def test_the_encoder_alone_is_imported() -> None:
    code = "import sys; from nuwa.tokenizers.text import clean; clean('x'); print([m for m in sys.modules if m in BAD])"
    bad = "BAD = {'clip', 'pkg_resources', 'torchvision'}; "
    out = subprocess.run([sys.executable, "-W", "error", "-c", bad + code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
