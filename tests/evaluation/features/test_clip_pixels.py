"""Preparation of clips against the published steps, written out with other means."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torchvision.models.video import R3D_18_Weights, Swin3D_T_Weights

from evaluation.features.clip_pixels import normalise, prepare, stored
from evaluation.protocols import PROTOCOLS, cd_fvd, google, kinetics, stylegan_v, videogpt


def clips(h: int = 40, w: int = 56, t: int = 3) -> torch.Tensor:
    return torch.randint(0, 256, (2, t, 3, h, w), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def frames_of(prepared: torch.Tensor) -> torch.Tensor:
    return prepared.transpose(1, 2).flatten(0, 1)


def tf1_rows(values: np.ndarray, size: int) -> np.ndarray:
    """TensorFlow 1's rule along the first axis."""
    where = np.arange(size, dtype=np.float32) * np.float32(len(values) / size)
    low = where.astype(int)
    share = (where - low).reshape(-1, *[1] * (values.ndim - 1))
    return values[low] + (values[np.minimum(low + 1, len(values) - 1)] - values[low]) * share


def test_google_resizes_as_tensorflow_did():
    found = frames_of(prepare(clips(), google.FVD))
    for got, frame in zip(found, clips().flatten(0, 1).numpy(), strict=True):
        rows = tf1_rows(frame.transpose(1, 2, 0).astype(np.float32), 224)
        both = tf1_rows(rows.transpose(1, 0, 2), 224).transpose(1, 0, 2)
        np.testing.assert_allclose(got.permute(1, 2, 0), 2 * both / 255 - 1, atol=1e-5)


@pytest.mark.parametrize(("h", "w"), [(40, 56), (56, 40), (64, 64), (64, 67)])
def test_videogpt_keeps_the_aspect_and_crops_the_centre(h, w):
    scale = 224 / min(h, w)
    size = (int(np.ceil(h * scale)), int(np.ceil(w * scale)))
    resized = F.interpolate(clips(h, w).flatten(0, 1).float() / 255, size, mode="bilinear", align_corners=False)
    top, left = (size[0] - 224) // 2, (size[1] - 224) // 2
    expected = (resized[..., top : top + 224, left : left + 224] - 0.5) * 2
    torch.testing.assert_close(frames_of(prepare(clips(h, w), videogpt.FVD)), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size_px", [24, 128], ids=["smaller", "larger"])
def test_cd_fvd_stores_clips_first(size_px):
    protocol = dataclasses.replace(cd_fvd.FVD, stored_px=size_px)
    small = stored(clips().flatten(0, 1), size_px)
    assert small.dtype == torch.uint8
    expected = 2 * F.interpolate(small.float(), (224, 224), mode="bilinear", align_corners=False) / 255 - 1
    torch.testing.assert_close(frames_of(prepare(clips(), protocol)), expected)


def test_storing_filters_and_cuts_levels():
    frame = clips(40, 40)[0, :1]
    found = stored(frame, 20)[0].permute(1, 2, 0).numpy()
    # Pillow's filter on floats is the antialiased one; cutting to bytes afterwards is theirs
    planes = [Image.fromarray(plane.astype(np.float32)).resize((20, 20), Image.BILINEAR) for plane in frame[0].numpy()]
    exact = np.stack([np.asarray(plane) for plane in planes], -1)
    sure = np.abs(exact - exact.round()) > 1e-3  # not where rounding decides
    np.testing.assert_array_equal(found[sure], np.floor(exact)[sure])
    assert (found != exact.round()).mean() > 0.3  # rounding would have been seen


def test_storing_at_the_same_size_changes_nothing():
    assert torch.equal(stored(clips(128, 128)[0], 128), clips(128, 128)[0])


@pytest.mark.parametrize(("rule", "dtype"), [("none", torch.uint8), ("over-127.5-minus-1", torch.float32)])
def test_clips_as_they_come(rule, dtype):
    protocol = dataclasses.replace(google.FVD, resize="none", size_px=None, normalise=rule)
    prepared = prepare(clips(), protocol)
    assert prepared.dtype == dtype
    levels = clips().transpose(1, 2)
    torch.testing.assert_close(prepared, levels if dtype == torch.uint8 else 2 * levels.float() / 255 - 1)


def test_stylegan_v_hands_over_bytes():
    prepared = prepare(clips(), stylegan_v.FVD)
    assert torch.equal(prepared, clips().transpose(1, 2))


@pytest.mark.parametrize(("name", "published"), [("r3d-18", R3D_18_Weights), ("swin3d-t", Swin3D_T_Weights)])
def test_second_opinion_torchvision(name, published):
    expected = published.KINETICS400_V1.transforms()(clips())
    torch.testing.assert_close(prepare(clips(), kinetics.FID_VID[name]), expected)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("none", [0.0, 255.0]),
        ("over-127.5-minus-1", [-1.0, 1.0]),
        ("mean-std", [-0.43216 / 0.22803, 0.56784 / 0.22803]),
    ],
)
def test_ranges(rule, expected):
    protocol = dataclasses.replace(kinetics.FID_VID["r3d-18"], normalise=rule)
    levels = torch.tensor([0.0, 255.0]).expand(1, 3, 1, 2)
    torch.testing.assert_close(normalise(levels, protocol)[0, 0, 0], torch.tensor(expected))


@pytest.mark.parametrize("name", [name for name in PROTOCOLS if hasattr(PROTOCOLS[name], "frames")])
def test_every_protocol_prepares_clips(name):
    protocol = PROTOCOLS[name]
    prepared = prepare(clips(t=2), protocol)
    size = (40, 56) if protocol.resize == "inside-network" else (protocol.size_px,) * 2
    assert prepared.shape == (2, 3, 2, *size)
    assert prepared.dtype == (torch.uint8 if protocol.normalise == "none" else torch.float32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size_px": None}, "expected a size_px with the resize rule 'tf1-bilinear', got none"),
        ({"resize": "nearest"}, "unknown resize rule 'nearest'"),
        ({"normalise": "sqrt"}, "unknown range 'sqrt'"),
    ],
)
def test_unknown_rules_are_caught(changes, message):
    with pytest.raises(ValueError, match=message):
        prepare(clips(), dataclasses.replace(google.FVD, **changes))


@pytest.mark.parametrize("wrong", [clips().float(), clips()[0]], ids=["floats", "one clip"])
def test_it_takes_clips_of_bytes(wrong):
    with pytest.raises(ValueError, match="use as_clip_bytes"):
        prepare(wrong, google.FVD)
