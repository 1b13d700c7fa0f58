"""What is particular to COCO, Conceptual Captions and VSPW."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import small_datasets as build
from PIL import Image
from small_media import picture

from nuwa.data.check import check
from nuwa.data.images import UnreadableImage
from nuwa.data.readers import READERS
from nuwa.data.video import FrameRule


class TestCoco:
    def test_one_sample_a_photograph(self, root):
        build.coco(root)
        listing = READERS["coco"](root)
        assert (listing.version, [sample.id for sample in listing.samples]) == ("2017", ["7", "8", "9"])
        assert [sample.captions for sample in listing.samples] == [
            ("A red bus.",),
            ("a cat", "one cat"),
            ("Two dogs", "dogs play"),
        ]
        assert listing.samples[2].caption_ids == ("12", "14")

    def test_maps_are_cocos(self, root):
        build.coco(root)
        listing = READERS["coco"](root)
        assert listing.classes == ("background", "cat")
        labels = listing.samples[0].map.labels()
        assert (labels.shape, int(labels.sum())) == ((16, 24), 12)

    def test_a_photograph_of_another_size_is_broken(self, root, tmp_path):
        picture(build.coco(root), (25, 16))
        report, _ = check(READERS["coco"](root), tmp_path, max_broken=1)
        assert [each["reason"] for each in report["broken"]] == ["25 x 16 pixels, expected 24 x 16 by the table"]

    def test_paths_in_the_table_are_refused(self, root):
        build.coco(root)
        path = root / "annotations/captions_val2017.json"
        document = json.loads(path.read_text())
        document["images"][0]["file_name"] = "../x.jpg"
        path.write_text(json.dumps(document))
        assert [skip.reason for skip in READERS["coco"](root).skipped] == ["refused: '../x.jpg' is outside val2017/"]

    @pytest.mark.real_files
    def test_the_real_files(self, request, tmp_path):
        root = Path(request.config.getoption("--data")) / "coco-mini"
        listing = READERS["coco"](root)
        report, sheet = check(listing, tmp_path, workers=2)
        assert (report["samples"], report["captions"], report["broken"]) == (25, 125, [])
        assert report["fingerprint"] == "4e7ad8d0e7ba1eef7277af06c5cf277103545c7107e25b848429be38893db433"
        assert len(sheet) == 25


class TestConceptualCaptions:
    def test_captions_of_the_tsv(self, root):
        build.conceptual_captions(root)
        samples = READERS["conceptual-captions"](root).samples
        assert [sample.id for sample in samples] == ["0", "1", "2"]
        assert samples[1].captions == ('sierra looked "stunning"',)  # quotes are ordinary signs

    @pytest.mark.parametrize("name", ["1", "1.jpg", "00000001.png", "000000001.jpg", "1_{sum}.jpeg"])
    def test_the_names_that_tools_give(self, root, name):
        path = build.conceptual_captions(root)
        path.rename(path.with_name(name.format(sum=zlib.crc32(b"http://a/2"))))
        assert [sample.id for sample in READERS["conceptual-captions"](root).samples] == ["0", "1", "2"]

    def test_pictures_that_are_no_longer_online_are_missing(self, root):
        build.conceptual_captions(root).unlink()
        listing = READERS["conceptual-captions"](root)
        assert [sample.id for sample in listing.missing] == ["1"]

    def test_archives_of_img2dataset(self, root):
        build.webdataset(root / "validation")
        listing = READERS["conceptual-captions"](root)
        assert listing.name == "conceptual-captions"
        assert [sample.id for sample in listing.samples] == [f"validation/00000/00000000{n}" for n in (1, 2, 3)]

    def test_lines_without_address_or_words_are_named(self, root):
        build.conceptual_captions(root)
        with (root / "Validation_GCC-1.1.0-Validation.tsv").open("a") as handle:
            handle.write("no address\n \thttp://c\n\n")
        assert [(skip.id.rpartition(":")[2], skip.reason) for skip in READERS["conceptual-captions"](root).skipped] == [
            ("4", "expected 2 columns, got 1"),
            ("5", "empty caption"),
        ]


class TestVspw:
    def test_frames_and_maps(self, root):
        build.vspw(root)
        listing = READERS["vspw"](root)
        assert [sample.id for sample in listing.samples] == ["1001_5z_aViGHgxs", "127_-hIVCYO4C90", "99_a"]
        assert (len(listing.classes), listing.classes[0]) == (124, "thing 1")
        labels = listing.samples[0].map.labels()
        assert labels.shape == (4, 16, 24)
        assert [sorted(np.unique(frame)) for frame in labels] == [[-1, 0], [-1, 1], [-1, 2], [-1, 3]]

    def test_fifteen_frames_a_second(self, root):
        build.vspw(root)
        stored = READERS["vspw"](root).samples[0].stored
        assert stored.choose(FrameRule(num_frames=2, fps=7.5)) == ([0, 2], 0)
        assert stored.facts().seconds == pytest.approx(4 / 15)

    def test_unknown_classes_are_named(self, root, tmp_path):
        build.vspw(root)
        path = root / "data/99_a/mask/00000003.png"
        numbers = np.array(Image.open(path))
        numbers[0, :5], numbers[1, 0] = 125, 254
        Image.fromarray(numbers).save(path)
        report, _ = check(READERS["vspw"](root), tmp_path, max_broken=1)
        assert report["broken"] == [
            {"id": "99_a", "reason": "unknown classes 125, 254 in 6 pixels; there are 124 from 1 on"}
        ]
        assert report["samples"] == 2

    def test_a_map_in_colours_is_refused(self, root):
        build.vspw(root)
        path = root / "data/99_a/mask/00000003.png"
        Image.new("RGB", (24, 16)).save(path)
        with pytest.raises(UnreadableImage, match="one number a pixel, not mode RGB"):
            READERS["vspw"](root).samples[2].map.labels()

    @pytest.mark.parametrize(("folder", "lacks"), [("mask", "map"), ("origin", "frame")])
    def test_a_frame_without_its_counterpart(self, root, folder, lacks):
        build.vspw(root)
        (path,) = (root / "data/99_a" / folder).glob("00000002.*")
        path.unlink()
        (skip,) = READERS["vspw"](root).skipped
        assert skip.reason == f"1 frames without their counterpart, the first 00000002 has no {lacks}"

    def test_a_map_of_another_size(self, root, tmp_path):
        build.vspw(root)
        for path in (root / "data/99_a/mask").iterdir():
            Image.new("L", (25, 16), 1).save(path)
        report, _ = check(READERS["vspw"](root), tmp_path, max_broken=1)
        assert report["broken"][0]["reason"] == "its map has 25 x 16 pixels, it has 24 x 16"

    def test_videos_of_test_have_no_maps(self, root):
        build.vspw(root)
        (root / "val.txt").rename(root / "test.txt")
        for path in (root / "data").glob("*/mask/*"):
            path.unlink()
        assert [sample.map for sample in READERS["vspw"](root, "test").samples] == [None] * 3

    @pytest.mark.parametrize("name", ["..", "a/b", "../x"])
    def test_paths_in_the_list_are_refused(self, root, name):
        build.vspw(root)
        with (root / "val.txt").open("a") as handle:
            handle.write(f"{name}\n")
        (skip,) = READERS["vspw"](root).skipped
        assert skip.reason == f"refused: {name!r} is no name of a video"

    def test_other_names_of_classes_are_refused(self, root):
        build.vspw(root)
        (root / "label_num_dic_final.json").write_text('{"wall": "1"}')
        with pytest.raises(ValueError, match="expected names with the numbers 1 to 124"):
            READERS["vspw"](root)
