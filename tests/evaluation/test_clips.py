import dataclasses

import pytest
import torch

from evaluation.clips import as_clip_bytes, as_frames, check_frames
from evaluation.protocols import google, kinetics

GREY = torch.full((2, 5, 3, 4, 6), 128, dtype=torch.uint8)


def test_bytes_pass_as_they_are():
    assert torch.equal(as_clip_bytes(GREY), GREY)


@pytest.mark.parametrize(("quantise", "expected"), [("round", 128), ("truncate", 127)])
def test_floats_become_bytes_by_the_rule_of_the_protocol(quantise, expected):
    clips = as_clip_bytes(torch.full((1, 2, 3, 4, 4), 127.6 / 255), quantise)
    assert clips.dtype == torch.uint8
    assert (clips == expected).all()


def test_a_picture_is_a_clip_of_one_frame():
    assert torch.equal(as_frames(GREY[:, 0]), GREY[:, :1])
    assert torch.equal(as_frames(GREY), GREY)


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        (GREY.permute(0, 1, 3, 4, 2), r"channels last; use \.permute\(0, 1, 4, 2, 3\)"),
        (GREY.transpose(1, 2), r"channels before frames; use \.transpose\(1, 2\)"),
        (GREY[0], r"add the batch axis to a clip with clip\[None\]"),
        (GREY[0, 0], r"expected \(b, t, 3, h, w\), got \(3, 4, 6\)"),
        (GREY[:, :, :1], r"expected 3 channels \(RGB\), got 1"),
        (GREY[:0], "at least one clip with one frame"),
        (GREY[:, :0], "at least one clip with one frame"),
        (GREY.float(), "divide by 255"),
        (GREY.float() / 255 - 1, r"use \(images \+ 1\) / 2"),
        (torch.full((1, 2, 3, 4, 4), torch.nan), "NaN or infinity"),
        (torch.ones(1, 2, 3, 4, 4, dtype=torch.uint8), "got only 0 and 1"),
        (GREY.long(), "expected uint8 or floats, got torch.int64"),
        (GREY.numpy(), "expected a tensor, got ndarray"),
    ],
)
def test_wrong_use_is_caught(clips, message):
    with pytest.raises(ValueError, match=message):
        as_clip_bytes(clips)


@pytest.mark.parametrize(
    ("protocol", "frames", "message"),
    [
        (google.FVD, 9, "fvd@google-1: expected clips of at least 10 frames, which i3d-torchscript needs, got 9"),
        (
            google.FVD,
            15,
            r"expected clips of 16 frames, got 15; sample longer ones, or take protocol.of_frames\(15\)",
        ),
        (google.FVD, 32, r"cut them with clips\[:, :16\]"),
        (kinetics.FID_VID["s3d"], 10, "fid-vid@s3d-1: expected clips of at least 14 frames, which s3d needs, got 10"),
        (kinetics.FID_VID["mvit-v2-s"], 32, "expected clips of 16 frames, got 32"),
    ],
)
def test_lengths_are_said_and_never_mended(protocol, frames, message):
    with pytest.raises(ValueError, match=message):
        check_frames(frames, protocol)


@pytest.mark.parametrize(
    ("protocol", "frames"),
    [(google.FVD, 16), (google.FVD_15F, 15), (google.FVD.of_frames(30), 30), (kinetics.FID_VID["r3d-18"], 7)],
    ids=lambda value: getattr(value, "id", value),
)
def test_right_lengths_pass(protocol, frames):
    check_frames(frames, protocol)


def test_the_id_says_the_number_of_frames():
    assert google.FVD.of_frames(30).id == "fvd@google-30f-1"
    assert google.FVD.of_frames(30).of_frames(12) == dataclasses.replace(google.FVD, family="google-12f-1", frames=12)
    with pytest.raises(ValueError, match="expected at least 10 frames, got 8"):
        google.FVD.of_frames(8)
