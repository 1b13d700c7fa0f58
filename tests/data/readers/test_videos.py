"""What is particular to Kinetics, MSR-VTT, VATEX and Moments in Time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import small_datasets as build
from small_media import video

from nuwa.data.readers import READERS


def change(path: Path, **tables) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | tables))


class TestKinetics:
    def test_the_csv_says_ids_and_classes(self, root):
        build.kinetics(root)
        samples = READERS["kinetics"](root).samples
        assert [sample.id for sample in samples] == [
            "-0IErS_cisg_000021_000031",
            "_4YTwq0-73Y_000005_000015",
            "0Uo3wkNmVT8_000100_000110",
        ]
        assert [sample.label for sample in samples] == ["arm wrestling", "abseiling", "abseiling"]
        assert [sample.captions for sample in samples] == [("arm wrestling",), ("abseiling",), ("abseiling",)]

    def test_without_csv_folders_are_classes(self, root):
        build.kinetics(root)
        (root / "val.csv").unlink()
        (root / "val/arm wrestling").rename(root / "val/arm_wrestling")
        samples = READERS["kinetics"](root).samples
        assert [sample.label for sample in samples] == ["abseiling", "abseiling", "arm wrestling"]

    def test_the_root_may_be_one_split(self, root):
        build.kinetics(root / "all")
        (root / "all/val.csv").unlink()
        assert len(READERS["kinetics"](root / "all/val")) == 3

    def test_another_split_is_not_taken_for_this_one(self, root):
        build.kinetics(root)
        with pytest.raises(ValueError, match=r"kinetics train: expected a folder .*train, found those of val"):
            READERS["kinetics"](root, "train")

    def test_videos_that_are_no_longer_online_are_missing_and_not_broken(self, root):
        build.kinetics(root).unlink()
        listing = READERS["kinetics"](root)
        assert (len(listing), listing.skipped) == (2, ())
        assert [sample.id for sample in listing.missing] == ["_4YTwq0-73Y_000005_000015"]

    def test_some_tools_name_files_by_the_address_alone(self, root):
        path = build.kinetics(root)
        path.rename(path.with_name("_4YTwq0-73Y.mp4"))
        assert len(READERS["kinetics"](root)) == 3

    def test_the_csv_of_test_has_no_labels(self, root):
        video(root / "test" / "0Uo3wkNmVT8_000100_000110.mp4", 4)
        (root / "test.csv").write_text("youtube_id,time_start,time_end,split\n0Uo3wkNmVT8,100,110,test\n")
        (sample,) = READERS["kinetics"](root, "test").samples
        assert (sample.label, sample.captions) == (None, ())

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            ("abseiling,abc", "expected 3 columns, got 2"),
            ("abseiling,abc,x,5,validate", "expected numbers of seconds"),
            ("abseiling,abc,nan,5,validate", "expected numbers of seconds"),
            ("abseiling,../abc,0,5,validate", "no YouTube id: '../abc'"),
            (",abcdefghijk,0,5,validate", "empty label"),
            ("abseiling,-0IErS_cisg,21,31,validate", "the id '-0IErS_cisg_000021_000031' is taken"),
            ("caf\udce9,abcdefghijk,0,5,validate", "not UTF-8"),
        ],
    )
    def test_a_damaged_line_is_named(self, root, line, reason):
        build.kinetics(root)
        with (root / "val.csv").open("ab") as handle:
            handle.write(line.encode("utf-8", "surrogateescape") + b"\n")
        listing = READERS["kinetics"](root)
        assert len(listing) == 3
        (skip,) = listing.skipped
        assert reason in skip.reason

    def test_another_table_is_refused(self, root):
        build.kinetics(root)
        (root / "val.csv").write_text("a,b,c\n1,2,3\n")
        with pytest.raises(
            ValueError, match="expected columns youtube_id, time_start, time_end in the first line, got a, b"
        ):
            READERS["kinetics"](root)

    def test_videos_of_no_line_are_noted(self, root):
        build.kinetics(root)
        video(root / "val/abseiling/extra.mp4", 4)
        assert "1 other file passed over, not in val.csv: 'val/abseiling/extra.mp4'" in READERS["kinetics"](root).notes


class TestMsrVtt:
    def test_captions_and_category(self, root):
        build.msr_vtt(root)
        sample = READERS["msr-vtt"](root).samples[1]
        assert (sample.id, sample.label) == ("video7011", "howto")
        assert sample.captions == ("a man is cooking", "a man is talking")
        assert sample.caption_ids == ("20", "21")

    def test_without_names_the_category_is_a_number(self, root):
        build.msr_vtt(root)
        (root / "category.txt").unlink()
        assert READERS["msr-vtt"](root).samples[0].label == "9"

    def test_one_json_may_hold_all_splits(self, root):
        build.msr_vtt(root)
        (root / "test_videodatainfo.json").rename(root / "MSRVTT_data.json")
        video(root / "TrainValVideo/video1.mp4", 4)
        assert [sample.id for sample in READERS["msr-vtt"](root, "train").samples] == ["video1"]

    def test_a_json_that_ends_in_the_middle_is_named(self, root):
        build.msr_vtt(root)
        path = root / "test_videodatainfo.json"
        path.write_bytes(path.read_bytes()[:300])
        with pytest.raises(ValueError, match=r"test_videodatainfo\.json is no json .*get it again"):
            READERS["msr-vtt"](root)

    @pytest.mark.parametrize("document", [[], {}, {"videos": [], "sentences": 3}])
    def test_another_json_is_refused(self, root, document):
        (root / "test_videodatainfo.json").write_text(json.dumps(document))
        with pytest.raises(ValueError, match="expected"):
            READERS["msr-vtt"](root)

    def test_damaged_entries_are_named(self, root):
        build.msr_vtt(root)
        path = root / "test_videodatainfo.json"
        document = json.loads(path.read_text())
        videos = [
            *document["videos"],
            {"video_id": 5, "split": "test"},
            {"video_id": "../x", "split": "test"},
            "nonsense",
        ]
        sentences = [*document["sentences"], {"sen_id": 99, "video_id": "video7010", "caption": "  "}]
        change(path, videos=videos, sentences=sentences)
        reasons = [skip.reason for skip in READERS["msr-vtt"](root).skipped]
        assert reasons == [
            "empty caption",
            "expected 'video_id' of type str",
            "refused: a path instead of a name",
            "expected 'video_id' of type str",
        ]


class TestVatex:
    def test_english_captions(self, root):
        build.vatex(root)
        listing = READERS["vatex"](root)
        assert listing.version == "1.0"
        assert listing.samples[0].captions == ("A man throws.", "He throws a ball.")

    @pytest.mark.parametrize(
        "row", [{"videoID": "a", "enCap": "one"}, {"videoID": "a", "enCap": [""]}, {"enCap": []}, {"videoID": "a/b"}]
    )
    def test_damaged_entries_are_named(self, root, row):
        build.vatex(root)
        path = root / "vatex_validation_v1.0.json"
        path.write_text(json.dumps([*json.loads(path.read_text()), row]))
        listing = READERS["vatex"](root)
        assert (len(listing), len(listing.skipped)) == (3, 1)

    def test_the_public_test_set(self, root):
        build.vatex(root)
        (root / "vatex_validation_v1.0.json").rename(root / "vatex_public_test_english_v1.1.json")
        assert READERS["vatex"](root, "public-test").version == "1.1"


class TestMoments:
    def test_plus_signs_are_spaces(self, root):
        build.moments(root)
        sample = READERS["moments"](root).samples[0]
        assert (sample.id, sample.label) == ("adult+male+singing/yt-a_1", "adult male singing")
        assert sample.captions == ("adult male singing",)

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            ("../x.mp4,clapping,3,0", "refused: '../x.mp4' is outside validation/"),
            ("/etc/x.mp4,clapping,3,0", "refused"),
            ("clapping/x.mp4,flapping,3,0", "unknown label 'flapping'"),
            ("clapping/x.mp4", "expected 2 columns, got 1"),
        ],
    )
    def test_damaged_lines_are_named(self, root, line, reason):
        build.moments(root)
        with (root / "validationSet.csv").open("a") as handle:
            handle.write(f"{line}\n")
        (skip,) = READERS["moments"](root).skipped
        assert reason in skip.reason
        assert skip.id == "validationSet.csv:4"
