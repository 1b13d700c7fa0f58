from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from evaluation.judges import ClipJudge, load_clip_judge
from evaluation.judges.measure import measure_clip
from evaluation.judges.pictures import prepare
from evaluation.judges.practice import CHANGES
from evaluation.judges.train_clip import strew_unknown
from nuwa.data.sprites import captions, draw, render

SCENES = draw("test-seen", np.arange(64))
PICTURES = torch.from_numpy(render(SCENES, 32))
CAPTIONS = captions(SCENES)


@pytest.fixture(scope="module")
def judge() -> ClipJudge:
    return load_clip_judge()


def encode(judge: ClipJudge, kind: str, rows: slice) -> Tensor:
    return judge.encode_images(PICTURES[rows]) if kind == "images" else judge.encode_texts(CAPTIONS[rows])


@pytest.mark.parametrize("kind", ["images", "texts"])
def test_unit_vectors(judge: ClipJudge, kind: str) -> None:
    vectors = encode(judge, kind, slice(0, 8))
    assert vectors.shape == (8, 128)
    assert vectors.dtype == torch.float32
    assert not vectors.requires_grad
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(8))


@pytest.mark.parametrize("kind", ["images", "texts"])
def test_vectors_do_not_depend_on_the_batch(judge: ClipJudge, kind: str) -> None:
    together = encode(judge, kind, slice(0, 33))
    single = torch.cat([encode(judge, kind, slice(row, row + 1)) for row in range(33)])
    assert (together - single).abs().max() <= 1e-5


def test_cosines_are_those_of_clips_own_forward(judge: ClipJudge) -> None:
    ids = judge.tokenizer.encode(CAPTIONS[:8]).ids  # all 77 columns
    with torch.no_grad():
        logits, _ = judge.network(prepare(PICTURES[:8]), ids)
    ours = judge.encode_images(PICTURES[:8]) @ judge.encode_texts(CAPTIONS[:8]).T
    torch.testing.assert_close(ours * judge.network.logit_scale.exp(), logits, atol=1e-3, rtol=0)


@pytest.fixture(scope="module")
def scores(judge: ClipJudge) -> dict[str, float]:
    return measure_clip(judge, "test-seen", 256)


@pytest.mark.parametrize("direction", ["image_to_text", "text_to_image"])
def test_finds_the_right_one_among_256(scores: dict[str, float], direction: str) -> None:
    assert scores[f"{direction}_1"] >= 0.95
    assert scores[direction] >= 0.9


@pytest.mark.parametrize("change", CHANGES)
def test_right_caption_beats_the_nearly_right_one(scores: dict[str, float], change: str) -> None:
    assert scores[f"against {change}"] >= 0.93


def test_picks_the_right_picture_of_eight(scores: dict[str, float]) -> None:
    assert scores["best_of_8_1"] >= 0.9
    assert scores["best_of_8"] >= 0.85


def test_unknown_words_say_nothing(judge: ClipJudge) -> None:
    known = judge.encode_texts(["a large red circle at the top left on a navy background"])
    extra = judge.encode_texts(["a large red circle slowly moving at the top left on a navy background"])
    other = judge.encode_texts(["a large red square at the top left on a navy background"])
    assert (known * extra).sum() > (known * other).sum()
    assert (known * extra).sum() > 0.9


def test_long_caption_is_read_up_to_its_77_tokens(judge: ClipJudge) -> None:
    cut, whole = "a large red circle " + "red " * 71, "a large red circle " + "red " * 71 + "on a navy background"
    assert torch.equal(judge.encode_texts([cut]), judge.encode_texts([whole]))


def test_knows_what_it_can_read(judge: ClipJudge) -> None:
    assert judge.knows(["a red circle", "quantum chromodynamics", "quantum red"]) == [True, False, True]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("a red circle", "expected a sequence of captions"),
        ([""], "has no words"),
        (["a red circle", "quantum chromodynamics"], "caption 1: expected words of the sprites world"),
    ],
)
def test_wrong_captions(judge: ClipJudge, texts, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        judge.encode_texts(texts)


@pytest.mark.parametrize("images", [PICTURES.float(), PICTURES.permute(0, 2, 3, 1), PICTURES[0]])
def test_wrong_pictures(judge: ClipJudge, images: Tensor) -> None:
    with pytest.raises(ValueError, match="expected"):
        judge.encode_images(images)


def test_strewn_words_stay_between_the_ends(judge: ClipJudge) -> None:
    batch = judge.tokenizer.encode(CAPTIONS)
    strewn = strew_unknown(batch.ids, 0.5, torch.Generator().manual_seed(0))
    assert (strewn[:, 0] == judge.tokenizer.start).all()
    changed = 0
    for before, after in zip(batch.ids.tolist(), strewn.tolist(), strict=True):
        assert [token for token in after if token not in (0, 1)] == [token for token in before if token > 0]
        added = after.count(1)
        assert added <= 3
        assert after.index(judge.tokenizer.end) == before.index(judge.tokenizer.end) + added
        changed += added > 0
    assert 16 < changed < 48
