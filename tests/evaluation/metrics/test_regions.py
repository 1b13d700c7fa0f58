"""SSIM of a region and the share of regions that came back, on made-up pictures."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.image import structural_similarity_index_measure

from evaluation.metrics import SSIM, MaskedSSIM, Unchanged, paired
from evaluation.metrics.regions import masked_ssim
from evaluation.protocols import regions

B, SIDE = 4, 24


def pictures(b: int = B, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    real = torch.randint(0, 256, (b, 3, SIDE // 4, SIDE // 4), dtype=torch.uint8, generator=g)
    real = real.repeat_interleave(4, 2).repeat_interleave(4, 3)
    return (real + torch.randint(-60, 60, real.shape, generator=g)).clamp(0, 255).byte(), real


def box(top: int, left: int, size: int = 8, b: int = B) -> torch.Tensor:
    region = torch.zeros(b, SIDE, SIDE, dtype=torch.bool)
    region[:, top : top + size, left : left + size] = True
    return region


def of(generated: torch.Tensor, real: torch.Tensor, region: torch.Tensor) -> float:
    metric = MaskedSSIM()
    metric.update(generated, real, region)
    return float(metric.compute())


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), top=st.integers(0, SIDE - 8), left=st.integers(0, SIDE - 8))
def test_only_the_region_counts(seed: int, top: int, left: int) -> None:
    generated, real = pictures(seed=seed)
    region = box(top, left)
    found = masked_ssim(generated, real, region, regions.MASKED_SSIM)
    assert ((found > -1) & (found < 1)).all()
    scribbled = torch.where(region[:, None], generated, 255 - generated)
    assert torch.equal(found, masked_ssim(scribbled, real, region, regions.MASKED_SSIM))
    mended = torch.where(region[:, None], real, generated)
    torch.testing.assert_close(masked_ssim(mended, real, region, regions.MASKED_SSIM), torch.ones(B).double())


def test_of_everything_it_is_plain_ssim() -> None:
    generated, real = pictures()
    plain = SSIM()
    plain.update(generated, real)
    everything = torch.ones(B, SIDE, SIDE, dtype=torch.bool)
    assert of(generated, real, everything) == pytest.approx(float(plain.compute()), rel=1e-12)


def test_second_opinion_torchmetrics() -> None:
    """Its map, of pictures that are equal outside."""
    generated, real = pictures()
    region = box(3, 9)
    shown = torch.where(region[:, None], generated, real)
    _, found = structural_similarity_index_measure(
        shown.double() / 255, real.double() / 255, data_range=1.0, return_full_image=True
    )
    expected = torch.stack([each[:, mask].mean() for each, mask in zip(found, region, strict=True)])
    torch.testing.assert_close(masked_ssim(generated, real, region, regions.MASKED_SSIM), expected, rtol=1e-10, atol=0)


def test_samples_count_alike_whatever_the_size_of_their_region() -> None:
    generated, real = pictures()
    mixed = torch.cat([box(0, 0, 4, b=2), box(2, 2, 20, b=2)])
    halves = [of(generated[part], real[part], mixed[part]) for part in (slice(2), slice(2, 4))]
    assert of(generated, real, mixed) == pytest.approx(sum(halves) / 2)


def test_one_mask_holds_for_all_frames_of_a_clip() -> None:
    generated, real = (side.unflatten(0, (2, 2)) for side in pictures())
    region = box(5, 5, b=2)
    each = region[:, None].expand(2, 2, SIDE, SIDE)
    assert of(generated, real, region) == of(generated, real, each)
    assert of(generated, real, region) == pytest.approx(
        of(generated.flatten(0, 1), real.flatten(0, 1), each.flatten(0, 1))
    )


def test_frames_are_compared_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    generated, real = pictures(7)
    whole = of(generated, real, box(4, 4, b=7))
    monkeypatch.setattr(paired, "PIXELS", 2 * SIDE * SIDE)
    assert of(generated, real, box(4, 4, b=7)) == whole


def test_the_name_says_where() -> None:
    generated, real = pictures()
    metric = MaskedSSIM(where="inside the hole")
    metric.update(generated, real, box(0, 0))
    estimate = metric.estimates()[0]
    assert (estimate.name, estimate.protocol, estimate.n) == ("SSIM inside the hole", "masked-ssim@nuwa-1", B)


@pytest.mark.parametrize(("changed", "share"), [([], 1.0), ([1], 0.75), ([0, 3], 0.5)])
@pytest.mark.parametrize("inside", [True, False])
def test_a_single_level_of_a_known_pixel_is_a_change(changed: list[int], share: float, inside: bool) -> None:
    _, given_pictures = pictures()
    made, region = given_pictures.clone(), box(8, 8)
    place = (10, 10) if inside else (2, 2)
    made[changed, 1, place[0], place[1]] ^= 1
    metric = Unchanged()
    metric.update(made, given_pictures, region)
    assert float(metric.compute()) == (share if inside else 1.0)
    low, high = metric.estimates()[0].ci95
    assert low <= float(metric.compute()) <= high
    assert low < 1.0


@pytest.mark.parametrize(("tolerance", "share"), [(0, 0.0), (1, 0.5), (2, 1.0)])
def test_a_protocol_may_forgive_some_levels(tolerance: int, share: float) -> None:
    given_pictures = torch.full((4, 3, SIDE, SIDE), 100, dtype=torch.uint8)
    made = given_pictures.clone()
    made[:2, 0, 9, 9] += 1
    made[2:, 2, 9, 9] -= 2
    metric = Unchanged(dataclasses.replace(regions.UNCHANGED, family="lenient-1", tolerance=tolerance))
    metric.update(made, given_pictures, box(8, 8))
    assert float(metric.compute()) == share


def test_every_pixel_needs_a_window() -> None:
    with pytest.raises(
        ValueError, match="expected the border 'reflect', which has a window for every pixel, got 'crop'"
    ):
        dataclasses.replace(regions.MASKED_SSIM, border="crop")


def test_a_clip_is_unchanged_as_a_whole() -> None:
    _, given_clips = pictures(6)
    clips = given_clips.unflatten(0, (2, 3))
    made = clips.clone()
    made[0, 2, 0, 9, 9] ^= 1
    metric = Unchanged()
    metric.update(made, clips, box(8, 8, b=2))
    assert float(metric.compute()) == 0.5


GENERATED, REAL = pictures()


@pytest.mark.parametrize("metric", [MaskedSSIM, Unchanged])
@pytest.mark.parametrize(
    ("region", "message"),
    [
        (box(0, 0)[:2], r"expected a region bool \(4, 24, 24\), True where to look, got torch.bool \(2, 24, 24\)"),
        (box(0, 0).byte(), "got torch.uint8"),
        (box(0, 0) & False, "expected a region of at least one pixel in every frame, got an empty one"),
        (torch.cat([box(0, 0, b=3), box(0, 0, 0, b=1)]), "got an empty one"),
    ],
)
def test_a_wrong_region_is_named(
    metric: type[MaskedSSIM] | type[Unchanged], region: torch.Tensor, message: str
) -> None:
    with pytest.raises(ValueError, match=f"{metric().protocol.id}: .*{message}"):
        metric().update(GENERATED, REAL, region)


def test_unequal_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match="masked-ssim@nuwa-1: expected each sample beside its real one"):
        MaskedSSIM().update(GENERATED, REAL[..., :20], box(0, 0))
    with pytest.raises(ValueError, match="unchanged@nuwa-1: expected each sample beside what was given"):
        Unchanged().update(GENERATED, REAL[:2], box(0, 0))
    with pytest.raises(ValueError, match=r"unchanged@nuwa-1: expected bytes, uint8, got torch\.float32"):
        Unchanged().update(GENERATED.float() / 255, REAL, box(0, 0))
