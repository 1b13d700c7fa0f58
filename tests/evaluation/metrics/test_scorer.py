import dataclasses
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from evaluation.metrics import PictureProtocols, PictureScorer, SmallSampleWarning
from evaluation.metrics.blur import blur
from evaluation.metrics.caption_accuracy import outcomes
from evaluation.metrics.fid import fid
from evaluation.protocols import sprites
from nuwa.data.sprites.scenes import Scenes, draw

WEIGHTS = "a" * 64
COMMON = {"weights_sha256": WEIGHTS, "replicates": 10}
PROTOCOLS = PictureProtocols(
    fid=dataclasses.replace(sprites.FID, width=6, blur_picture_px=256, **COMMON),
    inception_score=dataclasses.replace(sprites.INCEPTION_SCORE, classes=4, splits=2, **COMMON),
    clipsim=dataclasses.replace(sprites.CLIPSIM, prefix="a picture of ", **COMMON),
    caption_accuracy=dataclasses.replace(sprites.CAPTION_ACCURACY, **COMMON),
)


@cache
def projection(pixels: int) -> torch.Tensor:
    return torch.randn(pixels, 176, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class ImageJudge:
    """Random projections of the pixels, and a count of the pictures seen."""

    sha256 = WEIGHTS

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, images: torch.Tensor) -> SimpleNamespace:
        self.seen += len(images)
        pixels = images.flatten(1).double() / 255
        features, classes, shape, colour, size, ground = (pixels @ projection(pixels.shape[1])).split(
            [6, 4, 63, 72, 27, 4], 1
        )
        return SimpleNamespace(
            features=features,
            class_logits=classes,
            shape_logits=shape.view(-1, 9, 7),
            colour_logits=colour.view(-1, 9, 8),
            size_logits=size.view(-1, 9, 3),
            background_logits=ground,
        )


class ClipJudge:
    """Embeds a caption by its length and a picture by its mean colour."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def encode_images(self, images: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(images.double().mean((2, 3)), dim=-1)

    def encode_texts(self, captions: list[str]) -> torch.Tensor:
        self.texts += captions
        lengths = torch.tensor([[len(caption), 10.0, 1.0] for caption in captions], dtype=torch.float64)
        return torch.nn.functional.normalize(lengths, dim=-1)


def pictures(n: int = 30, size: int = 32, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (n, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


CAPTIONS = ["a red circle", "a blue bar", "a ring"] * 10
SCENES = draw("val", np.arange(30))


def scored(
    images: torch.Tensor, *, batch: int = 30, captions: list[str] | None = CAPTIONS, scenes: Scenes | None = SCENES, **k
) -> PictureScorer:
    scorer = PictureScorer(ImageJudge(), ClipJudge(), protocols=PROTOCOLS, **k)
    for start in range(0, len(images), batch):
        part = slice(start, start + batch)
        groups = ["one" if n == 1 else "more" for n in SCENES.num_objects[part]]
        scorer.update(
            images[part],
            None if captions is None else captions[part][: len(images[part])],
            None if scenes is None else scenes[part][: len(images[part])],
            group=groups[: len(images[part])],
        )
    return scorer


def by_name(metrics) -> dict[str, float]:
    return {metric.name: metric.value for metric in metrics}


@pytest.fixture(scope="module")
def reference() -> PictureScorer:
    return scored(pictures(seed=1) // 2)


def test_one_row_has_all_numbers(reference):
    metrics = scored(pictures()).against(reference)
    assert [m.name for m in metrics] == [
        *("FID-0", "FID-1", "FID-2", "FID-4", "FID-8", "IS", "CLIPSIM"),
        *(f"{name} accuracy" for name in ("caption", "background", "place", "shape", "colour", "size")),
    ]
    assert {m.protocol for m in metrics} == {
        *("fid@sprites-1", "is@sprites-1", "clipsim@sprites-1", "caption-accuracy@sprites-1")
    }
    assert all(m.ci95[0] <= m.value <= m.ci95[1] for m in metrics)


def test_numbers_are_those_of_the_metrics(reference):
    images, judge, clip = pictures(), ImageJudge(), ClipJudge()
    found = by_name(scored(images, batch=7).against(reference))
    real = pictures(seed=1) // 2
    for k in (0, 8):  # at 32 px a radius of 8 at 256 px is 1 px
        sides = (judge(blur(side, k / 8, "gaussian")).features for side in (images, real))
        assert found[f"FID-{k}"] == pytest.approx(fid(*sides, PROTOCOLS.fid).value, rel=1e-9)
    texts = clip.encode_texts(["a picture of " + caption for caption in CAPTIONS])
    assert found["CLIPSIM"] == pytest.approx(float((clip.encode_images(images) * texts).sum(1).mean()))
    right = outcomes(judge(images), SCENES, PROTOCOLS.caption_accuracy).background
    assert found["background accuracy"] == pytest.approx(float(right.double().mean()))


@pytest.mark.parametrize("batch", [1, 7, 29])
def test_batches_do_not_change_a_number(reference, batch):
    whole, parts = (by_name(scored(pictures(), batch=size).against(reference)) for size in (30, batch))
    assert parts == pytest.approx(whole, rel=1e-9)


def test_bytes_and_floats_are_the_same_pictures(reference):
    assert scored(pictures() / 255).against(reference) == scored(pictures()).against(reference)


def test_each_picture_is_judged_once_for_each_radius_that_shows():
    judge, clip = ImageJudge(), ClipJudge()
    scorer = PictureScorer(judge, clip, protocols=PROTOCOLS)
    scorer.update(pictures(10, size=16), CAPTIONS[:10])  # 16 px: no radius up to 4 changes a byte
    assert judge.seen == 20
    scorer.update(pictures(10, size=16), CAPTIONS[:10])
    assert sorted(clip.texts) == sorted({"a picture of " + caption for caption in CAPTIONS})


def test_radii_that_show_nothing_share_their_number():
    sides = [PictureScorer(ImageJudge(), None, protocols=PROTOCOLS) for _ in range(2)]
    for seed, side in enumerate(sides):
        side.update(pictures(10, size=16, seed=seed), None)
    found = by_name(sides[0].against(sides[1]))
    assert found["FID-0"] == found["FID-1"] == found["FID-4"] != found["FID-8"]


def test_without_captions_and_scenes_there_are_fewer_numbers(reference):
    assert list(by_name(scored(pictures(), captions=None, scenes=None, ks=(0,)).against(reference))) == ["FID-0", "IS"]
    assert list(by_name(scored(pictures(), scenes=None).alone())) == ["IS", "CLIPSIM"]


def test_too_few_pictures_for_the_splits_leave_that_score_out_and_say_why():
    few = scored(pictures(3), captions=CAPTIONS[:3], scenes=None)  # two splits of two
    assert list(by_name(few.alone())) == ["CLIPSIM"]
    assert few.impossible == {"IS": f"{PROTOCOLS.inception_score.id}: expected at least 4 pictures for 2 splits, got 3"}
    assert not scored(pictures(4), captions=CAPTIONS[:4], scenes=None).impossible


def test_only_the_real_side_is_blurred_where_the_protocol_says_so():
    protocols = dataclasses.replace(PROTOCOLS, fid=dataclasses.replace(PROTOCOLS.fid, blur_target="real"))
    sides = []
    for seed in (0, 1):
        sides.append(PictureScorer(ImageJudge(), None, (0, 8), protocols))
        sides[-1].update(pictures(seed=seed), None)
    judge = ImageJudge()
    expected = fid(judge(pictures()).features, judge(blur(pictures(seed=1), 1, "gaussian")).features, protocols.fid)
    assert by_name(sides[0].against(sides[1]))["FID-8"] == pytest.approx(expected.value)


def test_groups(reference):
    scorer = scored(pictures(), batch=11)
    single = torch.from_numpy(SCENES.num_objects == 1)
    assert scorer.groups == {"one": int(single.sum()), "more": 30 - int(single.sum())}
    assert len(scorer.select("one")) == int(single.sum())
    assert scorer.select("one").accuracies() == scorer.select(single).accuracies()
    assert scorer.select("one").accuracies()[0].n + scorer.select("more").accuracies()[0].n == 30
    assert torch.equal(scorer.select(single).right, scorer.right[single])
    assert by_name(scorer.select(single | True).against(reference)) == by_name(scorer.against(reference))


def test_two_rows_are_compared_draw_by_draw(reference):
    images = pictures()
    ours, theirs = (scored(side).estimates(reference) for side in (images, images // 3 * 2))
    differences = {mine.name: mine.minus(other) for mine, other in zip(ours, theirs, strict=True)}
    assert differences["FID-0"].value == pytest.approx(ours[0].value - theirs[0].value)
    assert 0 < differences["FID-0"].p_value <= 1


def test_the_same_pictures_do_not_differ(reference):
    mine, other = (scored(pictures()).estimates(reference)[0] for _ in range(2))
    assert mine.minus(other).p_value == 1.0


def test_weights_are_those_of_the_protocol():
    with pytest.raises(ValueError, match=f"fid@sprites-1: expected the weights .*, got {WEIGHTS}; a number of other"):
        PictureScorer(ImageJudge(), None)


@pytest.mark.filterwarnings("ignore:is@sprites-1")
def test_small_sets_are_warned_about(reference):
    with pytest.warns(SmallSampleWarning, match="4 generated pictures for 6 features"):
        scored(pictures(4), scenes=None, ks=(0,)).against(reference)


@pytest.mark.parametrize(
    ("images", "captions", "message"),
    [
        (pictures(4).float(), CAPTIONS[:4], "divide by 255"),
        (pictures(4).permute(0, 2, 3, 1), CAPTIONS[:4], "channels last"),
        (pictures(4), CAPTIONS[:3], "expected one for each of 4 pictures, got 3"),
        (pictures(4), "ring", "got a single string"),
        (pictures(4, size=16), CAPTIONS[:4], r"expected \(32, 32\) pixels as before"),
        (pictures(4), None, "captions: expected for all batches"),
    ],
)
def test_wrong_pictures_are_caught(images, captions, message):
    scorer = PictureScorer(ImageJudge(), ClipJudge(), protocols=PROTOCOLS)
    scorer.update(pictures(4), CAPTIONS[:4])
    with pytest.raises(ValueError, match=message):
        scorer.update(images, captions)
    assert len(scorer) == 4


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (
            lambda s, r: PictureScorer(ImageJudge(), None, protocols=PROTOCOLS).against(r),
            "expected at least 2, got an empty set",
        ),
        (lambda s, r: scored(pictures(1)).against(r), "expected at least 2, got one"),
        (lambda s, r: s.select("two"), "unknown group 'two'; expected one of the labels given to update: more, one"),
        (lambda s, r: s.select(torch.ones(3, dtype=torch.bool)), r"mask: expected \(30,\) bool"),
        (lambda s, r: s.against(scored(pictures(size=16))), r"expected \(32, 32\) pixels, got \(16, 16\)"),
        (lambda s, r: s.against(scored(pictures(), ks=(0,))), r"with radii \(0, 1, 2, 4, 8\)"),
        (lambda s, r: scored(pictures(), scenes=None).accuracies(), "pass expected= to update"),
        (lambda s, r: scored(pictures(), scenes=None).right, "pass expected= to update"),
        (lambda s, r: PictureScorer(ImageJudge(), None, ks=(0, 3)), "expected some of the radii"),
        (lambda s, r: PictureScorer(ImageJudge(), None, ks=(0, 0)), "expected some of the radii"),
        (lambda s, r: s.update(pictures(2), CAPTIONS[:2], group=["one"]), "expected one label or 2, got 1"),
    ],
)
def test_wrong_use_is_caught(reference, use, message):
    with pytest.raises(ValueError, match=message):
        use(scored(pictures()), reference)
