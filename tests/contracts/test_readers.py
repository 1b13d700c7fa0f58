"""What every registered reader keeps, on three samples in its publisher's format."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch
from small_datasets import BUILD, SEVERAL_IN_A_FILE

from nuwa.data import manifest
from nuwa.data.check import check
from nuwa.data.images import UnreadableImage
from nuwa.data.limits import TooManyBroken
from nuwa.data.readers import READERS, Listing
from nuwa.data.video import FrameRule

ROOT = Path(__file__).parents[2]
RULE = FrameRule(num_frames=2, fps=5)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def built(name: str, root: Path) -> tuple[Listing, Path]:
    second = BUILD[name](root)
    return READERS[name](root), second


def test_every_reader_is_tested_and_documented() -> None:
    page = (ROOT / "docs/data.md").read_text(encoding="utf-8")
    assert set(BUILD) == set(READERS)
    assert [name for name in READERS if f"### {name}\n" not in page] == []


@pytest.mark.parametrize("name", READERS)
class TestReader:
    def test_it_lists_the_publishers_files(self, name, built):
        listing, _ = built
        assert len(listing) == 3
        assert (listing.skipped, listing.missing) == ((), ())
        assert listing.name == name
        assert len({sample.id for sample in listing.samples}) == 3
        assert {sample.split for sample in listing.samples} == {listing.split}

    def test_listing_again_gives_the_same(self, name, built, root):
        listing, _ = built
        again = READERS[name](root)
        assert [sample.id for sample in again.samples] == [sample.id for sample in listing.samples]
        assert [manifest.said(sample) for sample in again.samples] == [manifest.said(each) for each in listing.samples]

    def test_pixels_come_in_one_size(self, name, built):
        for sample in built[0].samples:
            if sample.kind == "picture":
                pixels = sample.stored.picture(16)
                assert pixels.shape == (3, 16, 16)
            else:
                pixels = sample.stored.clip(RULE, 16).frames
                assert pixels.shape == (2, 3, 16, 16)
            assert pixels.dtype == torch.uint8

    def test_the_other_kind_is_a_mistake(self, name, built):
        stored = built[0].samples[0].stored
        wrong = (lambda: stored.clip(RULE, 16)) if stored.kind == "picture" else (lambda: stored.picture(16))
        with pytest.raises(TypeError, match=f"is a {stored.kind}, not a"):
            wrong()

    def test_samples_can_be_sent_to_another_process(self, name, built):
        stored = [sample.stored for sample in built[0].samples]
        assert [each.facts() for each in pickle.loads(pickle.dumps(stored))] == [each.facts() for each in stored]

    def test_an_empty_file_is_named_and_the_rest_is_used(self, name, built, root, tmp_path):
        second = built[1]
        if name in SEVERAL_IN_A_FILE:
            (second.parent / f"a copy {second.name}").write_bytes(second.read_bytes())
        second.write_bytes(b"")
        listing = READERS[name](root)
        report, _ = check(listing, tmp_path / "out", max_broken=0.5)
        assert [each["reason"] for each in report["broken"]] == ["the file is empty"]
        assert report["samples"] == (3 if name in SEVERAL_IN_A_FILE else 2)
        with pytest.raises(TooManyBroken, match=r"are broken, more than the permitted 5%: .*the file is empty"):
            check(listing, tmp_path / "stopped")
        assert not (tmp_path / "stopped" / "manifest.jsonl").exists()

    def test_a_file_that_is_cut_is_named_and_the_rest_is_used(self, name, built, root, tmp_path):
        second = built[1]
        data = second.read_bytes()
        second.write_bytes(data[: int(len(data) * (0.2 if name == "webdataset" else 0.5))])
        report, _ = check(READERS[name](root), tmp_path, max_broken=0.9)
        assert len(report["broken"]) == 1
        assert report["samples"] == (1 if name in SEVERAL_IN_A_FILE else 2)

    def test_a_file_that_vanishes_is_named(self, name, built, tmp_path):
        listing, second = built
        second.unlink()
        with pytest.raises(UnreadableImage, match="No such file"):
            listing.samples[1].stored.facts()

    def test_the_manifest_brings_the_samples_back(self, name, built, root, tmp_path):
        listing, _ = built
        report, _ = check(listing, tmp_path)
        read = manifest.read(tmp_path / "manifest.jsonl")
        assert read.fingerprint == report["fingerprint"]
        assert [entry.id for entry in read.entries] == [sample.id for sample in listing.samples]
        assert len(manifest.only(READERS[name](root), read)) == 3
        assert json.dumps(report)

    def test_a_root_that_is_none_is_refused(self, name, tmp_path):
        with pytest.raises(ValueError, match="found none at"):
            READERS[name](tmp_path / "nowhere")

    def test_an_empty_root_is_refused(self, name, root):
        with pytest.raises(ValueError, match="expected"):
            READERS[name](root)

    def test_an_unknown_split_is_refused(self, name, built, root):
        with pytest.raises(ValueError, match=r"split: expected one of|expected .*nonsense"):
            READERS[name](root, "nonsense")
