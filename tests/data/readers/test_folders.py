"""Folders and tar archives from strangers: odd names, links, paths that lead outside, files that change meanwhile."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
import small_datasets as build
import webdataset
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from small_media import picture, video

from nuwa.data import manifest
from nuwa.data.check import CheckOptions, check, run
from nuwa.data.images import UnreadableImage
from nuwa.data.readers import READERS
from nuwa.data.readers.tars import split_name
from nuwa.data.readers.walk import natural, walk
from nuwa.data.video import FrameRule

ODD = [
    "with space",
    "ünïcödé 图",
    "line\nbreak",
    "tab\tand 'quote\"",
    "#hash",
    "-rf",
    "a.b.c",
    "\udcff no text",
    "%s{}",
    "…" * 60,
]


def jpeg(grey: int = 90) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (24, 16), (grey, grey, grey)).save(data, format="JPEG")
    return data.getvalue()


class TestFolder:
    def test_what_lies_beside_a_picture(self, root):
        build.folder(root)
        samples = READERS["folder"](root).samples
        assert [sample.id for sample in samples] == ["cats/1", "dogs/2", "dogs/10"]
        assert [sample.label for sample in samples] == ["cats", "dogs", "dogs"]
        assert samples[1].captions == ("one of dogs/2", "another line")
        assert samples[0].map.labels().tolist() == [[3] * 24] * 16

    def test_json_beside_a_video(self, root):
        video(root / "a.mp4", 8)
        (root / "a.json").write_text(json.dumps({"caption": "a grey wall", "label": 7}))
        (sample,) = READERS["folder"](root).samples
        assert (sample.kind, sample.captions, sample.label) == ("clip", ("a grey wall",), "7")

    @pytest.mark.parametrize(
        ("name", "content", "reason"),
        [
            ("a.txt", b"", "captions: the file has no words"),
            ("a.txt", b" \n\n", "captions: the file has no words"),
            ("a.txt", b"caf\xe9", "captions: not UTF-8 (byte 3)"),
            ("a.json", b'{"caption": "a b', "no json: Unterminated string"),
            ("a.json", b"[1]", "json: expected an object, got list"),
            ("a.json", b'{"caption": 3}', "json: expected captions to be text"),
        ],
    )
    def test_what_is_damaged_beside_a_picture_is_named(self, root, name, content, reason):
        for stem in "ab":
            picture(root / f"{stem}.jpg")
        (root / name).write_bytes(content)
        listing = READERS["folder"](root)
        assert [sample.id for sample in listing.samples] == ["b"]
        (skip,) = listing.skipped
        assert skip.id == "a.jpg"
        assert skip.reason.startswith(reason)

    def test_two_files_of_one_id_are_named(self, root):
        picture(root / "a.jpg")
        picture(root / "a.png")
        listing = READERS["folder"](root)
        assert [skip.reason for skip in listing.skipped] == ["the id 'a' is taken by 'a.jpg'"]

    def test_other_files_are_noted(self, root):
        picture(root / "a.jpg")
        (root / "README").write_text("x")
        assert READERS["folder"](root).notes == (
            "1 other file passed over, no pictures, no videos and beside none: 'README'",
        )

    def test_odd_names_pass_through_everything(self, root, tmp_path, capsys):
        for name in ODD:
            picture(Path(os.fsdecode(os.fsencode(root / f"{name}.jpg"))))
        picture(root / "broken.jpg").write_bytes(b"")
        (root / "line\nbroken.jpg").write_bytes(b"x")
        run(CheckOptions(data="folder", root=root, out=tmp_path / "out", max_broken=0.5))
        shown = capsys.readouterr().out
        assert "'line\\nbroken': not a PNG, JPEG, WEBP, BMP, TIFF, GIF picture" in shown
        read = manifest.read(tmp_path / "out" / "manifest.jsonl")
        assert {entry.id for entry in read.entries} == set(ODD)
        report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
        assert report["samples"] == len(ODD)
        assert len(manifest.only(READERS["folder"](root), read)) == len(ODD)


class TestWalk:
    def test_links_that_lead_nowhere_or_back_are_named(self, root):
        picture(root / "a/b/c.jpg")
        (root / "a/b/up").symlink_to(root / "a")
        (root / "itself").symlink_to(root / "itself")
        (root / "nothing.jpg").symlink_to(root / "gone.jpg")
        (root / "again.jpg").symlink_to(root / "a/b/c.jpg")
        tree = walk(root)
        assert sorted(tree.files) == ["a/b/c.jpg", "again.jpg"]
        assert {skip.id: skip.reason for skip in tree.skipped} == {
            "a/b/up": "a symbolic link to a folder that it lies in",
            "itself": "a symbolic link that leads to itself",
            "nothing.jpg": "a symbolic link to nothing",
        }

    def test_two_links_that_lead_to_each_other(self, root):
        (root / "x").mkdir()
        (root / "y").mkdir()
        (root / "x/to").symlink_to(root / "y")
        (root / "y/to").symlink_to(root / "x")
        picture(root / "x/a.jpg")
        assert sorted(walk(root).files) == ["x/a.jpg", "y/to/a.jpg"]
        assert len(walk(root).skipped) == 2

    def test_what_is_no_file_is_named(self, root):
        os.mkfifo(root / "pipe.jpg")
        assert [skip.reason for skip in walk(root).skipped] == ["neither a file nor a folder"]

    def test_a_folder_that_vanishes_is_named(self, root):
        tree = walk(root / "gone")
        assert [(skip.id, skip.reason) for skip in tree.skipped] == [(".", "folder: No such file or directory")]

    def test_hidden_files_are_passed_over(self, root):
        picture(root / ".a.jpg")
        picture(root / ".b/a.jpg")
        assert walk(root).files == {}

    def test_numbers_count_as_numbers(self):
        assert sorted(["f10", "f2", "f1a", "²"], key=natural) == ["f1a", "f2", "f10", "²"]

    @given(st.lists(st.text(max_size=8)))
    def test_every_name_can_be_sorted(self, names):
        assert sorted(sorted(names, key=natural)) == sorted(names)


class TestChanges:
    def test_a_file_that_changes_while_it_is_read(self, root, tmp_path, monkeypatch):
        build.folder(root)
        listing = READERS["folder"](root)
        kind = type(listing.samples[0].stored)
        facts = kind.facts

        def meanwhile(self):
            found = facts(self)
            if self.path.name == "2.jpg":
                self.path.write_bytes(jpeg(7) + b"more")
            return found

        monkeypatch.setattr(kind, "facts", meanwhile)
        report, _ = check(listing, tmp_path, max_broken=0.5)
        assert report["broken"] == [{"id": "dogs/2", "reason": "it changed while it was read"}]

    def test_files_that_come_and_go(self, root, tmp_path):
        build.folder(root)
        listing = READERS["folder"](root)
        picture(root / "dogs/11.jpg")
        (root / "dogs/10.jpg").rename(root / "elsewhere.jpg")
        report, _ = check(listing, tmp_path, max_broken=0.5, again=lambda: READERS["folder"](root))
        assert report["broken"] == [{"id": "dogs/10", "reason": "No such file or directory"}]
        assert report["notes"] == [
            "2 samples came while the folder was read, such as 'dogs/11'; check it again",
            "1 samples went while the folder was read, such as 'dogs/10'; check it again",
        ]


class TestWebdataset:
    def test_samples_are_those_of_the_library(self, root):
        path = build.webdataset(root)
        with tarfile.open(path, "a") as archive:
            for name in ("deep/er.x/4.seg.png", "deep/er.x/4.jpg"):
                data = io.BytesIO()
                Image.fromarray(np.full((16, 24), 5, np.uint8)).save(data, format="PNG" if "png" in name else "JPEG")
                build.add_member(archive, name, data.getvalue())
        with path.open("rb") as handle:
            files = webdataset.tariterators.tar_file_expander([{"url": path.name, "stream": handle}])
            grouped = list(webdataset.tariterators.group_by_keys(files))
        theirs = {each["__key__"]: each for each in grouped}
        ours = READERS["webdataset"](root).samples
        assert [sample.id for sample in ours] == [f"00000/{key}" for key in theirs]
        for sample, their in zip(ours, theirs.values(), strict=True):
            assert b"".join(sample.stored.content()) == their["jpg"]
            assert [caption.encode() for caption in sample.captions] == ([their["txt"]] if "txt" in their else [])
        assert ours[3].map.labels().tolist() == [[5] * 24] * 16

    def test_videos_and_classes(self, root, tmp_path):
        root.mkdir(exist_ok=True)
        with tarfile.open(root / "a.tar", "w") as archive:
            build.add_member(archive, "1.mp4", video(tmp_path / "x.mp4", 8).read_bytes())
            build.add_member(archive, "1.cls", b"12\n")
        (sample,) = READERS["webdataset"](root).samples
        assert (sample.kind, sample.label) == ("clip", "12")
        assert sample.stored.clip(FrameRule(num_frames=2, fps=5), 16).frames.shape == (2, 3, 16, 16)

    @pytest.mark.parametrize(
        ("name", "attributes", "reason"),
        [
            ("../a.jpg", {}, "refused: a path that leaves the archive"),
            ("x/../../a.jpg", {}, "refused: a path that leaves the archive"),
            ("..\\a.jpg", {}, "refused: a path that leaves the archive"),
            ("/etc/a.jpg", {}, "refused: an absolute path"),
            ("C:\\a.jpg", {}, "refused: an absolute path"),
            ("a.jpg", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, "refused: a link or a device"),
            ("a.jpg", {"type": tarfile.LNKTYPE, "linkname": "1.jpg"}, "refused: a link or a device"),
            ("a.jpg", {"type": tarfile.CHRTYPE}, "refused: a link or a device"),
        ],
    )
    def test_what_no_honest_archive_has_is_refused(self, root, name, attributes, reason):
        with tarfile.open(root / "a.tar", "w") as archive:
            build.add_member(archive, "1.jpg", jpeg())
            build.add_member(archive, name, b"" if attributes else jpeg(), **attributes)
            build.add_member(archive, "2.jpg", jpeg())
        listing = READERS["webdataset"](root)
        assert [sample.id for sample in listing.samples] == ["a/1", "a/2"]
        assert [(skip.id, skip.reason) for skip in listing.skipped] == [(f"a.tar#{name}", reason)]

    @pytest.mark.parametrize(
        ("parts", "reason"),
        [
            ({"a.txt": b"words"}, "expected one picture or video, got txt"),
            ({"a.jpg": b"x", "a.png": b"y"}, "expected one picture or video, got jpg, png"),
            ({"a.jpg": b"x", "a.json": b'{"caption'}, "no json"),
            ({"a.jpg": b"x", "a.txt": b"\xff"}, "captions: not UTF-8 (byte 0)"),
            ({"a.jpg": b"x", "a.JPG": b"y"}, "the sample 'a' has a second .jpg"),
        ],
    )
    def test_damaged_samples_are_named(self, root, parts, reason):
        with tarfile.open(root / "a.tar", "w") as archive:
            for name, data in parts.items():
                build.add_member(archive, name, data)
            build.add_member(archive, "b.jpg", jpeg())
        listing = READERS["webdataset"](root)
        assert listing.samples[-1].id == "a/b"
        (skip,) = listing.skipped
        assert skip.reason.startswith(reason)

    def test_a_damaged_header_in_the_middle_is_named(self, root):
        path = build.webdataset(root)
        data = bytearray(path.read_bytes())
        data[data.index(b"000000002.jpg") + 100] ^= 0xFF  # in the header's mode, so its sum is wrong
        path.write_bytes(bytes(data))
        listing = READERS["webdataset"](root)
        assert len(listing) == 1
        assert [skip.reason for skip in listing.skipped] == ["damaged from here on: no header where one has to be"]

    def test_an_archive_cut_between_two_members_is_named(self, root):
        path = build.webdataset(root)
        data = path.read_bytes()
        path.write_bytes(data[: data.index(b"000000002.jpg")])
        listing = READERS["webdataset"](root)
        assert len(listing) == 1
        assert [skip.reason for skip in listing.skipped] == [
            "the archive ends without its end mark; it may have been cut"
        ]

    def test_an_archive_that_shrinks_after_it_was_listed(self, root):
        path = build.webdataset(root)
        last = READERS["webdataset"](root).samples[2].stored
        os.truncate(path, last.offset + 5)
        with pytest.raises(UnreadableImage, match=r"it ends within its member '000000003\.jpg'"):
            last.facts()

    def test_a_compressed_archive_is_named(self, root, tmp_path):
        build.webdataset(root)
        with tarfile.open(root / "b.tar", "w:gz") as archive:
            build.add_member(archive, "1.jpg", jpeg())
        (skip,) = READERS["webdataset"](root).skipped
        assert skip.id == "b.tar"
        assert skip.reason.startswith("no whole uncompressed tar archive")

    @pytest.mark.parametrize("name", ["a", "a.jpg", "x/a.b.c", "x.y/a.JPG", "x.y/a"])
    def test_keys_are_those_of_the_library(self, name):
        key, ending = webdataset.tariterators.base_plus_ext(name)
        if key is not None:
            assert split_name(name) == (key, ending.lower())


@pytest.mark.real_files
def test_the_damaged_video_is_named(request, tmp_path) -> None:
    root = Path(request.config.getoption("--data"))
    for name, path in {
        "good": next((root / "kinetics-mini").rglob("*.mkv")),
        "bad": root / "bad-input/corrupted.mp4",
    }.items():
        (tmp_path / "clips").mkdir(exist_ok=True)
        (tmp_path / "clips" / f"{name}{path.suffix}").symlink_to(path.resolve())
    report, _ = check(READERS["folder"](tmp_path / "clips"), tmp_path / "out", max_broken=0.5)
    assert report["broken"] == [{"id": "bad", "reason": "2 of 50 frames cannot be decoded"}]
    assert report["samples"] == 1
