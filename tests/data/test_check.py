from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import small_datasets as build
from PIL import Image
from small_media import picture, video

from nuwa.data import manifest
from nuwa.data.captioned import Skipped
from nuwa.data.check import CheckOptions, check, run
from nuwa.data.check.examine import examine
from nuwa.data.check.sheet import colours, contact_sheet
from nuwa.data.check.tally import balance
from nuwa.data.limits import TooManyBroken, guard
from nuwa.data.readers import READERS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    build.folder(tmp_path / "data")
    return tmp_path / "data"


def report_of(root: Path, out: Path, **options) -> dict:
    return check(READERS["folder"](root), out, **options)[0]


class TestReport:
    def test_counts(self, root, tmp_path):
        picture(root / "dogs/wide.png", (40, 10), 7)
        report = report_of(root, tmp_path)
        assert report["samples"] == 4
        assert report["kinds"] == {"picture": 4}
        assert report["sizes_px"] == {"24x16": 3, "40x10": 1}
        pictures = [*root.rglob("*.jpg"), root / "dogs/wide.png"]
        assert report["bytes"] == sum(path.stat().st_size for path in pictures)
        assert (report["captions"], report["without_captions"]) == (6, 1)
        assert report["map_pixels"] == {"3": 3 * 24 * 16}

    def test_duplicates_have_the_same_bytes(self, root, tmp_path):
        picture(root / "dogs/other.jpg", grey=101)
        assert report_of(root, tmp_path)["duplicates"] == [["cats/1", "dogs/2", "dogs/10"]]

    def test_captions_that_clip_would_cut_are_named(self, root, tmp_path):
        (root / "dogs/2.txt").write_text("dog " * 75 + "\n" + "dog " * 76 + "\n")
        assert report_of(root, tmp_path)["captions_over_77_tokens"] == [{"caption": "dogs/2#1", "tokens": 78}]

    def test_clips_have_frames_and_seconds(self, tmp_path):
        for name, frames in {"a": 5, "b": 10, "c": 20}.items():
            video(tmp_path / "clips" / f"{name}.mp4", frames)
        report = report_of(tmp_path / "clips", tmp_path / "out")
        assert report["frames"] == {"min": 5, "median": 10, "max": 20, "sum": 35}
        assert report["seconds"]["sum"] == pytest.approx(3.5)
        assert report["decoder"].startswith("pyav")

    def test_balance_of_classes(self):
        assert balance({}) is None
        even, one = balance({"a": 5, "b": 5, "c": 5, "d": 5}), balance({"a": 9})
        assert (even["effective"], one["effective"]) == (4, 1)
        uneven = balance({"a": 1, "b": 99, "c": 20})
        assert (uneven["smallest"], uneven["median"], uneven["largest"]) == (1, 20, 99)
        assert uneven["effective"] < 2
        assert list(uneven["counts"]) == ["b", "c", "a"]

    def test_workers_do_not_change_it(self, root, tmp_path):
        one, four = (report_of(root, tmp_path / str(workers), workers=workers) for workers in (1, 4))
        assert one == four
        assert (tmp_path / "1/manifest.jsonl").read_bytes() == (tmp_path / "4/manifest.jsonl").read_bytes()


class TestFingerprint:
    def test_it_does_not_depend_on_the_place(self, root, tmp_path):
        before = report_of(root, tmp_path)["fingerprint"]
        root.rename(tmp_path / "elsewhere")
        assert report_of(tmp_path / "elsewhere", tmp_path)["fingerprint"] == before

    @pytest.mark.parametrize(
        "change",
        [
            lambda root: picture(root / "dogs/2.jpg", grey=101),
            lambda root: (root / "dogs/2.txt").write_text("other words"),
            lambda root: (root / "dogs/2.jpg").rename(root / "dogs/3.jpg"),
            lambda root: picture(root / "dogs/11.jpg"),
        ],
        ids=["pixels", "words", "name", "number"],
    )
    def test_it_changes_with_every_sample(self, root, tmp_path, change):
        before = report_of(root, tmp_path)["fingerprint"]
        change(root)
        assert report_of(root, tmp_path)["fingerprint"] != before


class TestLimit:
    @pytest.mark.parametrize(
        ("broken", "limit", "stops"), [(0, 0, False), (1, 0, True), (5, 0.05, False), (6, 0.05, True)]
    )
    def test_it_is_a_share(self, broken, limit, stops):
        skipped = [Skipped(str(number), "why") for number in range(broken)]
        if stops:
            with pytest.raises(TooManyBroken, match=rf"x: {broken} of 100 samples are broken, .* '0': why"):
                guard("x", skipped, 100, limit)
        else:
            guard("x", skipped, 100, limit)

    def test_the_list_is_in_the_message(self):
        skipped = [Skipped(f"n{number}", "why") for number in range(60)]
        with pytest.raises(TooManyBroken) as caught:
            guard("x", skipped, 60)
        assert "'n49': why; and 10 more" in str(caught.value)
        assert caught.value.skipped == skipped

    def test_reading_stops_as_soon_as_it_is_certain(self, tmp_path, monkeypatch):
        for number in range(200):
            (tmp_path / "data").mkdir(exist_ok=True)
            (tmp_path / "data" / f"{number}.jpg").write_bytes(b"x")
        read = []

        def counted(sample, listing, thumbnail_px):
            read.append(sample.id)
            return examine(sample, listing, thumbnail_px=thumbnail_px)

        monkeypatch.setattr("nuwa.data.check.reading.examine", counted)
        with pytest.raises(TooManyBroken):
            check(READERS["folder"](tmp_path / "data"), tmp_path, workers=1)
        assert len(read) < 30

    def test_nothing_left_is_too_many(self, tmp_path):
        picture(tmp_path / "data/a.jpg").write_bytes(b"x")
        with pytest.raises(TooManyBroken):
            report_of(tmp_path / "data", tmp_path, max_broken=1)


class TestCommand:
    def test_it_writes_everything(self, root, tmp_path, capsys):
        (root / "cats/2.jpg").write_bytes(b"")
        run(CheckOptions(data="folder", root=root, out=tmp_path / "out", max_broken=0.3))
        shown = capsys.readouterr().out
        assert "folder 1 all: 3 pictures" in shown
        assert "broken: 1\n    'cats/2': the file is empty" in shown
        assert {path.name for path in (tmp_path / "out").iterdir()} == {
            "contact-sheet.png",
            "manifest.jsonl",
            "report.json",
        }
        report = json.loads((tmp_path / "out/report.json").read_text())
        assert f"fingerprint {report['fingerprint']}" in shown

    def test_too_many_broken_stop_it_with_the_list(self, root, tmp_path, capsys):
        (root / "cats/2.jpg").write_bytes(b"")
        with pytest.raises(TooManyBroken):
            run(CheckOptions(data="folder", root=root, out=tmp_path / "out"))
        assert capsys.readouterr().out == "'cats/2': the file is empty\n"
        listed = json.loads((tmp_path / "out/broken.json").read_text())
        assert listed == [{"id": "cats/2", "reason": "the file is empty"}]
        run(CheckOptions(data="folder", root=root, out=tmp_path / "out", max_broken=0.3))
        assert not (tmp_path / "out/broken.json").exists()

    @pytest.mark.parametrize("wrong", [{"max_broken": 2}, {"sheet": -1}, {"workers": 0}])
    def test_options_are_checked(self, root, wrong):
        with pytest.raises(ValueError, match="expected max_broken in"):
            CheckOptions(data="folder", root=root, **wrong)

    def test_from_the_command_line(self, root, tmp_path):
        command = [sys.executable, "-m", "nuwa.data", "check", "--data", "foldr", "--root", str(root)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 2
        assert "unknown dataset 'foldr'; did you mean 'folder'?" in done.stderr
        command[command.index("foldr")] = "folder"
        done = subprocess.run(
            [*command, "--out", str(tmp_path / "o")], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert (tmp_path / "o/manifest.jsonl").exists()


class TestContactSheet:
    def test_pictures_lie_in_a_grid(self, root, tmp_path):
        _, found = check(READERS["folder"](root), tmp_path)
        sheet = contact_sheet(found, "three pictures")
        assert sheet.mode == "RGB"
        assert sheet.width >= 2 * 160
        levels = np.asarray(sheet)
        assert (np.abs(levels.astype(int) - 100) <= 1).all(-1).sum() >= 3 * 160 * 160

    def test_it_shows_the_same_samples_however_many_workers(self, root, tmp_path):
        chosen = [
            [each.sample.id for each in check(READERS["folder"](root), tmp_path, num_thumbnails=2, workers=workers)[1]]
            for workers in (1, 3)
        ]
        assert chosen[0] == chosen[1]
        assert len(chosen[0]) == 2

    def test_odd_names_are_drawn(self, tmp_path):
        picture(tmp_path / "data/line\nbreak \x1b[31m.jpg")
        (tmp_path / "data/line\nbreak \x1b[31m.txt").write_text("图 \u202e word")
        _, found = check(READERS["folder"](tmp_path / "data"), tmp_path)
        assert contact_sheet(found, "a\nb").height > 160

    def test_classes_have_colours_of_their_own(self):
        shown = colours(np.arange(-1, 124)[None])
        assert len(np.unique(shown.reshape(-1, 3), axis=0)) == 125
        assert shown[0, 0].tolist() == [0, 0, 0]


class TestManifest:
    @pytest.fixture
    def path(self, root, tmp_path) -> Path:
        report_of(root, tmp_path)
        return tmp_path / "manifest.jsonl"

    def test_lines_have_paths_and_digests(self, path, root):
        entry = manifest.read(path).entries[1]
        assert (entry.id, entry.paths) == ("dogs/2", ("dogs/2.jpg",))
        assert entry.sha256 == hashlib.sha256((root / "dogs/2.jpg").read_bytes()).hexdigest()

    @pytest.mark.parametrize(
        "change",
        [
            lambda text: text[: len(text) // 2],
            lambda text: "",
            lambda text: "\n".join(text.splitlines()[:-1]),
            lambda text: text.replace("dogs/2", "dogs/3"),
            lambda text: "\n".join([*text.splitlines()[:1], *text.splitlines()[2:]]),
            lambda text: text.replace('"schema": 1', '"schema": 2'),
            lambda text: text.replace('"num_bytes"', '"other"'),
        ],
        ids=["cut", "empty", "no end", "changed", "a line less", "another schema", "an unknown key"],
    )
    def test_what_is_not_whole_is_refused(self, path, change):
        path.write_text(change(path.read_text()))
        with pytest.raises(ValueError, match="make it again with nox -s data"):
            manifest.read(path)

    def test_an_absent_one_says_how_to_make_it(self, tmp_path):
        with pytest.raises(ValueError, match=r"expected a manifest at .*make it with nox -s data -- check"):
            manifest.read(tmp_path / "manifest.jsonl")

    def test_samples_that_are_gone_are_named(self, path, root):
        (root / "dogs/2.jpg").unlink()
        with pytest.raises(ValueError, match=r"1 of 3 samples are not in .*: dogs/2; put them back"):
            manifest.only(READERS["folder"](root), manifest.read(path))

    def test_words_that_changed_are_named(self, path, root):
        (root / "dogs/2.txt").write_text("other words")
        with pytest.raises(ValueError, match="captions or classes of 1 samples are others now: dogs/2"):
            manifest.only(READERS["folder"](root), manifest.read(path))

    def test_one_of_another_dataset_is_refused(self, path, tmp_path):
        build.webdataset(tmp_path / "tars")
        with pytest.raises(ValueError, match="expected one of webdataset 1 all, got one of folder 1 all"):
            manifest.only(READERS["webdataset"](tmp_path / "tars"), manifest.read(path))

    def test_new_samples_do_not_enter(self, path, root):
        picture(root / "dogs/3.jpg")
        listing = manifest.only(READERS["folder"](root), manifest.read(path))
        assert [sample.id for sample in listing.samples] == ["cats/1", "dogs/2", "dogs/10"]


def test_an_interrupted_check_leaves_the_old_manifest(root, tmp_path, monkeypatch) -> None:
    report_of(root, tmp_path)
    before = (tmp_path / "manifest.jsonl").read_bytes()
    monkeypatch.setattr("nuwa.data.check.tally.Tally.add", lambda self, found: 1 / 0)
    Image.new("RGB", (9, 9)).save(root / "new.png")
    with pytest.raises(ZeroDivisionError):
        report_of(root, tmp_path)
    assert (tmp_path / "manifest.jsonl").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".jsonl"] == ["data"]
