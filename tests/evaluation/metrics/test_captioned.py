"""CLIPSIM, CLIPScore, RM and best of K, fed with pictures and words."""

import dataclasses
import pickle

import numpy as np
import pytest
import torch
from torch import Tensor

from evaluation import CLIPSIM, CLIPScore, MissingWeightsError, RelativeMatching, best_of, caption_scores
from evaluation.captions import LongCaptionWarning
from evaluation.data import DATASETS, DataOptions
from evaluation.judges import load_clip_judge
from evaluation.metrics.captioned import caption_similarity
from evaluation.metrics.clipsim import clipsim
from evaluation.metrics.relative_matching import relative_matching
from evaluation.protocols import hessel, openai_clip, sprites

CAPTIONS = ["a red ring", "a blue bar", "a large green star", "a red ring"]
OPEN = dataclasses.replace(sprites.CLIPSIM, weights_sha256=None, prefix="a picture of ", replicates=50)
ZERO = dataclasses.replace(hessel.CLIPSCORE, weights_sha256=None, size_px=None, resize="none", normalise="none")


class Judge:
    """Embeds a picture by its colours and a caption by its length, and counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode_images(self, images: Tensor) -> Tensor:
        assert images.dtype == torch.uint8
        return images.double().mean((2, 3)) / 255 - 0.3

    def encode_texts(self, captions: list[str]) -> Tensor:
        self.asked += captions
        return torch.tensor([[len(caption) / 10, 1.0, -0.5] for caption in captions], dtype=torch.float64)


@pytest.fixture
def pictures(make_pictures):
    return make_pictures(4, 16, 20)


@pytest.fixture(scope="module")
def sprites_set():
    data = DATASETS["sprites"](DataOptions(root=None, num=24, size_px=32, weights=None, seed=0))
    return data.test.images, data.test.captions


def test_pictures_and_captions_are_embedded(pictures):
    judge, metric = Judge(), CLIPSIM(OPEN, judge=Judge())
    metric.update(pictures[:3], CAPTIONS[:3])
    metric.update(pictures[3:], CAPTIONS[3:])
    said = judge.encode_texts(["a picture of " + caption for caption in CAPTIONS])
    expected = caption_similarity(judge.encode_images(pictures), said).mean()
    assert float(metric.compute()) == pytest.approx(float(expected), rel=1e-9)


def test_frames_are_averaged_before_samples(make_pictures):
    judge, clips = Judge(), make_pictures(6, 16, 20).unflatten(0, (2, 3))
    metric = CLIPSIM(OPEN, judge=judge)
    metric.update(clips, CAPTIONS[:2])
    frames = CLIPSIM(OPEN, judge=judge)
    frames.update(clips.flatten(0, 1), [caption for caption in CAPTIONS[:2] for _ in range(3)])
    assert float(metric.compute()) == pytest.approx(float(frames.compute()), rel=1e-9)
    assert metric.estimates()[0].n == 2


def test_each_caption_is_embedded_once(pictures):
    judge = Judge()
    metric = CLIPSIM(OPEN, judge=judge)
    for _ in range(3):
        metric.update(pictures, CAPTIONS)
    assert sorted(judge.asked) == sorted({"a picture of " + caption for caption in CAPTIONS})


def test_the_shipped_judge_prefers_the_captions_own_pictures(sprites_set):
    images, captions = sprites_set
    own, other = CLIPSIM(), CLIPSIM()
    own.update(images, captions)
    other.update(images.roll(1, 0), captions)
    assert float(own.compute()) > float(other.compute()) + 0.3


def test_clipscore_knows_nothing_below_zero(pictures):
    texts = torch.tensor([[1.0, 0, 0], [0, 1, 0], [-1, 0, 0]])
    metric = CLIPScore(ZERO)
    metric.update(torch.tensor([[1.0, 0, 0], [0, 0, 1], [1, 0, 0]]), texts)  # cosines 1, 0, −1
    estimate = metric.estimates()[0]
    assert float(metric.compute()) == pytest.approx(2.5 / 3)
    assert (estimate.name, estimate.protocol) == ("CLIPScore", "clipscore@hessel-1")
    assert 0 <= estimate.ci95[0] <= estimate.value <= estimate.ci95[1] <= 2.5


class TestLongCaptions:
    LONG = "a red ring " + "and a blue bar " * 30

    def test_they_are_cut_counted_and_reported(self, pictures):
        metric = CLIPSIM(OPEN, judge=Judge())
        metric.update(pictures, [self.LONG, *CAPTIONS[1:]])
        metric.update(pictures[:1], [self.LONG])
        assert int(metric.truncated) == 2
        with pytest.warns(LongCaptionWarning, match="2 of 5 captions are longer than 77 tokens"):
            metric.compute()
        with pytest.warns(LongCaptionWarning, match="2 of 5"):
            metric.estimates()

    def test_a_protocol_may_refuse_them(self, pictures):
        protocol = dataclasses.replace(OPEN, long_captions="refuse", family="strict-1")
        metric = CLIPSIM(protocol, judge=Judge())
        with pytest.raises(
            ValueError, match=r"clipsim@strict-1: expected captions of at most 77 tokens, got 'a picture of a"
        ):
            metric.update(pictures[:1], [self.LONG])
        assert not metric.similarities

    def test_the_count_survives_an_interruption(self, pictures):
        metric = CLIPSIM(OPEN, judge=Judge())
        metric.update(pictures, [self.LONG, *CAPTIONS[1:]])
        assert int(pickle.loads(pickle.dumps(metric)).truncated) == 1
        other = CLIPSIM(OPEN, judge=Judge())
        other.load_state_dict(metric.state_dict())
        assert int(other.truncated) == 1


class TestRelativeMatching:
    def test_it_is_a_ratio(self, pictures):
        judge, metric = Judge(), RelativeMatching(dataclasses.replace(OPEN, metric="rm"), judge=Judge())
        metric.update(pictures // 2 + 90, CAPTIONS, real=True)
        metric.update(pictures // 4 + 100, CAPTIONS, real=False)
        said = judge.encode_texts(["a picture of " + caption for caption in CAPTIONS])
        above, below = (
            caption_similarity(judge.encode_images(side), said).mean()
            for side in (pictures // 4 + 100, pictures // 2 + 90)
        )
        assert float(metric.compute()) == pytest.approx(float(above / below), rel=1e-9)
        assert metric.estimates()[0].name == "RM"

    def test_real_pictures_match_as_well_as_they_do(self, sprites_set):
        images, captions = sprites_set
        metric = RelativeMatching()
        for real in (True, False):
            metric.update(images, captions, real=real)
        estimate = metric.estimates()[0]
        assert estimate.value == 1.0
        assert estimate.ci95 == (1.0, 1.0)  # captions are drawn together

    def test_scale_does_not_matter(self):
        g = torch.Generator().manual_seed(0)
        sides = [torch.rand(50, generator=g, dtype=torch.float64) for _ in range(2)]
        one, other = (
            relative_matching(*sides, dataclasses.replace(OPEN, metric="rm", scale=scale)) for scale in (1.0, 100.0)
        )
        assert one.value == pytest.approx(other.value)
        np.testing.assert_allclose(one.ci95, other.ci95)

    def test_real_pictures_have_to_match(self):
        with pytest.raises(
            ValueError, match=r"expected real pictures that match their captions, got a mean cosine of -0\.1"
        ):
            relative_matching(torch.ones(4), torch.full((4,), -0.1), OPEN)

    @pytest.mark.parametrize(("n", "m", "what"), [(0, 4, "generated"), (4, 1, "real")])
    def test_too_few(self, n, m, what):
        with pytest.raises(ValueError, match=f"{what} pictures: expected at least 2"):
            relative_matching(torch.ones(n), torch.ones(m), OPEN)


class TestBestOf:
    def test_the_best_by_its_caption(self, sprites_set):
        images, captions = sprites_set
        candidates = torch.stack([images.roll(k, 0) for k in (3, 0, 1)], 1)
        judge = load_clip_judge()
        scores = caption_scores(judge, candidates, captions, batch=7)
        assert scores.shape == (24, 3)
        own = judge.encode_images(images), judge.encode_texts(captions)
        torch.testing.assert_close(scores[:, 1], caption_similarity(*own), rtol=0, atol=1e-6)
        best = best_of(candidates, scores)
        assert best.shape == images.shape
        assert float((best == images).flatten(1).all(1).double().mean()) > 0.9
        chosen = clipsim(scores.max(1).values, sprites.CLIPSIM).value
        assert chosen > clipsim(scores[:, 0], sprites.CLIPSIM).value

    def test_the_first_among_equals(self):
        assert best_of(torch.tensor([[5, 6, 7]]), torch.tensor([[0.1, 0.3, 0.3]])).tolist() == [6]

    @pytest.mark.parametrize(
        ("use", "message"),
        [
            (lambda c: caption_scores(Judge(), c[0], CAPTIONS), r"expected \(captions, K, 3, h, w\) uint8"),
            (lambda c: caption_scores(Judge(), c / 255, CAPTIONS), "torch.float32; stack"),
            (lambda c: caption_scores(Judge(), c, CAPTIONS), "expected one for each of 2 pictures, got 4"),
            (lambda c: best_of(c, torch.zeros(2, 2)), r"scores: expected \(2, 3\)"),
        ],
    )
    def test_wrong_use_is_caught(self, use, message):
        with pytest.raises(ValueError, match=message):
            use(torch.zeros(2, 3, 3, 8, 8, dtype=torch.uint8))


@pytest.mark.parametrize(
    ("images", "texts", "message"),
    [
        (torch.zeros(2, 3, 8, 8), ["a ring"], "expected one for each of 2 pictures, got 1"),
        (torch.zeros(2, 3, 8, 8), "a ring", "got a single string"),
        (torch.zeros(2, 3, 8, 8), ["a ring", ""], "caption 1: expected words"),
        (torch.full((2, 3, 8, 8), 200.0), CAPTIONS[:2], "divide by 255"),
        (torch.zeros(2, 8, 8, 3), CAPTIONS[:2], "channels last"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.int64), CAPTIONS[:2], "convert with"),
        (torch.zeros(2, 4, 8, 8, 3), CAPTIONS[:2], "channels last"),
    ],
)
@pytest.mark.parametrize("kind", [CLIPSIM, RelativeMatching])
def test_wrong_use_is_caught(kind, images, texts, message):
    metric = kind(dataclasses.replace(OPEN, metric=kind.metric), judge=Judge())
    with pytest.raises(ValueError, match=message):
        metric.update(images, texts, **({} if kind is CLIPSIM else {"real": True}))


@pytest.mark.parametrize(
    ("kind", "name"),
    [(CLIPSIM, "openai-b32"), (CLIPSIM, "openai-b32-x100"), (RelativeMatching, "openai-b32"), (CLIPScore, "hessel")],
)
def test_published_networks_are_missed_when_they_are_needed(kind, name, pictures):
    metric = kind(protocol=name)
    side = {} if kind is not RelativeMatching else {"real": True}
    metric.update(torch.eye(3), torch.eye(3), **side)
    with pytest.raises(
        MissingWeightsError, match=r"ViT-B-32\.pt .*40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58"
    ):
        metric.update(pictures, CAPTIONS, **side)


def test_clip_protocols_name_their_model():
    assert {p.network for p in (openai_clip.CLIPSIM_B32, openai_clip.CLIPSIM_B16, openai_clip.CLIPSIM_L14)} == {
        *("clip-vit-b-32", "clip-vit-b-16", "clip-vit-l-14")
    }
