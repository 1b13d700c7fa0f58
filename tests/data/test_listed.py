from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import small_datasets as build
import torch
from PIL import Image
from small_media import numbers, video

from nuwa.data.captioned import CaptionedClips, CaptionedPictures
from nuwa.data.check import check
from nuwa.data.limits import TooManyBroken
from nuwa.data.listed import WITHOUT_WORDS, open_clips, open_pictures, read_clips
from nuwa.data.readers import READERS
from nuwa.data.video import FrameRule

RULE = FrameRule(num_frames=3, fps=5)


class TestClips:
    @pytest.fixture
    def root(self, tmp_path) -> Path:
        build.kinetics(tmp_path / "data")
        return tmp_path / "data"

    def test_captions_and_clips(self, root):
        data: CaptionedClips = open_clips("kinetics", root, rule=RULE, size_px=16)
        assert isinstance(data, CaptionedClips)
        assert (data.name, data.split, data.frames, len(data)) == ("kinetics", "val", 3, 3)
        read = read_clips(data)
        assert read.clips.shape == (3, 3, 3, 16, 16)
        assert read.clips.dtype == torch.uint8
        assert [numbers(clip) for clip in read.clips] == [[0, 2, 4]] * 3
        assert read.captions == read.labels == [sample.label for sample in data.samples]
        assert read.ids == data.ids
        assert read.skipped == []

    def test_rows_are_kept_in_their_order(self, root):
        data = open_clips("kinetics", root, rule=RULE, size_px=16)
        read = read_clips(data, [2, 0])
        assert read.ids == [data.ids[2], data.ids[0]]

    def test_too_many_that_cannot_be_read_stop_it(self, root):
        data = open_clips("kinetics", root, rule=RULE, size_px=16)
        data.samples[1].stored.path.write_bytes(b"")
        with pytest.raises(TooManyBroken, match="1 of 3 samples are broken"):
            read_clips(data)
        read = read_clips(data, max_broken=0.4)
        assert read.clips.shape[0] == 2
        assert [(skip.id, skip.reason) for skip in read.skipped] == [(data.ids[1], "the file is empty")]

    def test_a_rule_that_no_video_is_long_enough_for(self, root):
        data = open_clips("kinetics", root, size_px=16)
        with pytest.raises(ValueError, match=r"too short for 10 frames at 2\.5 fps"):
            read_clips(data)

    def test_the_fingerprint_knows_rule_and_size(self, root):
        def fingerprint(rule: FrameRule = RULE, size_px: int = 16) -> str:
            return open_clips("kinetics", root, rule=rule, size_px=size_px).fingerprint

        assert fingerprint() == fingerprint()
        others = {
            fingerprint(size_px=8),
            fingerprint(FrameRule(num_frames=2, fps=5)),
            fingerprint(FrameRule(num_frames=3, fps=4)),
        }
        assert len({*others, fingerprint()}) == 4

    def test_a_part_is_chosen_by_ids(self, root):
        whole = open_clips("kinetics", root, rule=RULE).ids
        parts = [open_clips("kinetics", root, rule=RULE, num=2, seed=seed).ids for seed in range(8)]
        assert all(set(part) < set(whole) for part in parts)
        assert len(set(map(tuple, parts))) > 1

    def test_what_is_not_in_the_manifest_is_left_out(self, root, tmp_path):
        listing = READERS["kinetics"](root)
        listing.samples[1].stored.path.write_bytes(b"")
        check(listing, tmp_path, max_broken=0.5)
        data = open_clips("kinetics", root, rule=RULE, checked=tmp_path / "manifest.jsonl")
        assert data.ids == [listing.samples[0].id, listing.samples[2].id]
        assert [skip.id for skip in data.skipped] == [listing.samples[1].id]

    def test_broken_tables_stop_it(self, root):
        with (root / "val.csv").open("a") as handle:
            handle.write("abseiling,x\n")
        with pytest.raises(TooManyBroken, match="expected 3 columns"):
            open_clips("kinetics", root)

    def test_a_list_of_another_dataset_is_refused(self, root):
        with pytest.raises(ValueError, match="list 'bair-256' is over bair test, not kinetics 1 val"):
            open_clips("kinetics", root, frozen="bair-256")


def test_a_frozen_list_chooses_captions(tmp_path) -> None:
    build.msr_vtt(tmp_path)
    data = open_clips("msr-vtt", tmp_path, rule=RULE, frozen="msr-vtt-2990")
    assert len(data) == 3
    assert data.choice.ids == tuple(
        sample.caption_ids[sample.captions.index(caption)]
        for sample, caption in zip(data.samples, data.captions, strict=True)
    )


def test_clips_without_words_have_the_papers_text(tmp_path) -> None:
    build.bair(tmp_path)
    data = open_clips("bair", tmp_path, rule=FrameRule(num_frames=16), size_px=64)
    assert data.captions == [WITHOUT_WORDS] * 3
    assert read_clips(data).clips.shape == (3, 16, 3, 64, 64)


def test_maps_follow_the_frames(tmp_path) -> None:
    build.vspw(tmp_path)
    data = open_clips("vspw", tmp_path, rule=FrameRule(num_frames=2, fps=7.5), size_px=8)
    labels = data.segmentation(0)
    assert (labels.shape, labels.dtype) == ((2, 8, 8), torch.int64)
    assert [sorted(frame.unique().tolist()) for frame in labels] == [[-1, 0], [-1, 2]]


def test_pictures_with_maps(tmp_path) -> None:
    build.coco(tmp_path)
    data = open_pictures("coco", tmp_path, size_px=16)
    assert isinstance(data, CaptionedPictures)
    assert (data.image(0).shape, data.image(0).dtype) == ((3, 16, 16), torch.uint8)
    assert sorted(data.segmentation(data.ids.index("7")).unique().tolist()) == [0, 1]
    with pytest.raises(ValueError, match="has no segmentation map"):
        open_pictures("webdataset", build.webdataset(tmp_path / "w").parent).segmentation(0)


def test_samples_of_the_other_kind_are_named(tmp_path) -> None:
    video(tmp_path / "a.mp4", 8)
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "b.png")
    assert [skip.reason for skip in open_clips("folder", tmp_path, rule=RULE).skipped] == ["a picture, not a clip"]
    (tmp_path / "b.png").unlink()
    with pytest.raises(ValueError, match=r"folder all: expected pictures in .*, found none that can be used"):
        open_pictures("folder", tmp_path)


@pytest.mark.real_files
def test_the_real_clips(request) -> None:
    root = Path(request.config.getoption("--data")) / "kinetics-mini"
    read = read_clips(open_clips("kinetics", root))
    assert read.clips.shape == (4, 10, 3, 128, 128)
    assert read.captions == ["applying eye makeup", "arm wrestling", "cleaning pool", "flipping pancake"]
    assert all(np.ptp(clip.float().mean((1, 2, 3)).numpy()) > 0.1 for clip in read.clips)
