from __future__ import annotations

import struct

import h5py
import numpy as np
import pytest
import small_datasets as build
from PIL import Image

from nuwa.data.check import check
from nuwa.data.images import UnreadableImage
from nuwa.data.readers import READERS
from nuwa.data.video import FrameRule

CLIPS = build.robot_clips(3, 20)
RULE = FrameRule(num_frames=16, fps=10)


def write(root, form: str) -> None:
    if form == "tfrecords":
        (root / "softmotion30_44k/test").mkdir(parents=True)
        build.bair_records(root / "softmotion30_44k/test/traj_0_to_255.tfrecords", CLIPS)
    elif form == "videogpt":
        with h5py.File(root / "bair.hdf5", "w") as file:
            for split in ("train", "test"):
                file[f"{split}_data"] = CLIPS.reshape(-1, 64, 64, 3)
                file[f"{split}_idx"] = np.arange(3) * 20
    elif form == "hdf5":
        with h5py.File(root / "bair.h5", "w") as file:
            file["test"], file["train"] = CLIPS, CLIPS[:1]
    elif form == "npz":
        np.savez_compressed(root / "bair.npz", test=CLIPS, train=CLIPS[:1])
    elif form == "npy":
        (root / "test").mkdir()
        np.save(root / "test/clips.npy", CLIPS)
    elif form == "png":
        for number, clip in enumerate(CLIPS):
            folder = root / "processed_data/test/traj_0_to_255" / str(number)
            folder.mkdir(parents=True)
            for place, frame in enumerate(clip):
                Image.fromarray(frame).save(folder / f"{place}.png")


FORMS = ["tfrecords", "videogpt", "hdf5", "npz", "npy", "png"]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_clips(root, form):
    write(root, form)
    listing = READERS["bair"](root)
    assert len(listing) == 3
    for sample, clip in zip(listing.samples, CLIPS, strict=True):
        frames = sample.stored.clip(RULE, 64).frames
        assert np.array_equal(frames.permute(0, 2, 3, 1).numpy(), clip[:16])
        assert sample.stored.facts().num_frames == 20


@pytest.mark.parametrize("form", FORMS)
def test_a_clip_that_is_too_short(root, form):
    write(root, form)
    stored = READERS["bair"](root).samples[0].stored
    with pytest.raises(UnreadableImage, match="too short for 25 frames"):
        stored.clip(FrameRule(num_frames=25), 64)
    assert stored.clip(FrameRule(num_frames=25, short="hold"), 64).held == 5


def test_ids_count_within_their_file(root):
    write(root, "tfrecords")
    assert [sample.id for sample in READERS["bair"](root).samples] == [f"traj_0_to_255/00{n}" for n in range(3)]


@pytest.mark.parametrize("place", [20, 5000, -1])
def test_a_changed_byte_is_found_by_its_sum(root, tmp_path, place):
    write(root, "tfrecords")
    path = root / "softmotion30_44k/test/traj_0_to_255.tfrecords"
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(bytes(data))
    report, _ = check(READERS["bair"](root), tmp_path, max_broken=1)
    (broken,) = report["broken"]
    assert broken["id"] == ("traj_0_to_255/002" if place < 0 else "traj_0_to_255/000")
    assert "is damaged: its sum differs" in broken["reason"]


def test_what_follows_a_damaged_head_is_lost_and_named(root):
    write(root, "tfrecords")
    path = root / "softmotion30_44k/test/traj_0_to_255.tfrecords"
    data = bytearray(path.read_bytes())
    second = 12 + struct.unpack("<Q", data[:8])[0] + 4
    data[second] ^= 1
    path.write_bytes(bytes(data))
    listing = READERS["bair"](root)
    assert len(listing) == 1
    assert listing.skipped[0].reason == f"damaged from byte {second} on: the head of record 1"


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (CLIPS[0], r"expected uint8 \(n, t, h, w, 3\), got uint8 \(20, 64, 64, 3\)"),
        (CLIPS.astype(np.float32), "got float32"),
        (np.array([{}], dtype=object), "pickle|allow_pickle"),
    ],
)
def test_arrays_that_are_no_clips(root, array, reason):
    np.savez(root / "bair.npz", test=array)
    with pytest.raises(ValueError, match=reason):
        READERS["bair"](root)


@pytest.mark.parametrize("starts", [[0, 20, 80], [20, 0, 40], [-1, 20, 40]])
def test_starts_that_lie_outside(root, starts):
    write(root, "videogpt")
    with h5py.File(root / "bair.hdf5", "a") as file:
        file["test_idx"][:] = starts
    with pytest.raises(ValueError, match=r"test_idx\[\d\] is"):
        READERS["bair"](root)


def test_two_forms_are_refused(root):
    write(root, "hdf5")
    write(root, "npz")
    with pytest.raises(ValueError, match="expected one form, found hdf5, npz"):
        READERS["bair"](root)


def test_a_record_of_something_else(root):
    from tfrecord.writer import TFRecordWriter

    (root / "test").mkdir()
    writer = TFRecordWriter(str(root / "test/a.tfrecords"))
    writer.write({"x": (1, "int")})
    writer.write({"0/image_aux1/encoded": (b"short", "byte")})
    writer.close()
    first, second = (sample.stored for sample in READERS["bair"](root).samples)
    with pytest.raises(UnreadableImage, match="record 0 has no 0/image_aux1/encoded"):
        first.facts()
    with pytest.raises(UnreadableImage, match="record 1: 0/image_aux1/encoded is no frame of 64 x 64 x 3 bytes"):
        second.facts()
