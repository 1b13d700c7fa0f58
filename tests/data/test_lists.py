from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import small_datasets as build
from hypothesis import given
from hypothesis import strategies as st
from small_media import picture

from nuwa.data.lists import LISTS, lists_of
from nuwa.data.readers import READERS, Listing, Sample
from nuwa.data.readers.stored import PictureFile


def listing(number: int, captions: int = 3) -> Listing:
    samples = tuple(
        Sample(
            id=str(row),
            stored=PictureFile(Path(f"{row}.jpg")),
            split="val",
            captions=tuple(f"caption {place}" for place in range(captions)),
            caption_ids=tuple(str(1000 * row + place) for place in range(captions)),
        )
        for row in range(number)
    )
    return Listing(name="coco", version="2014", split="val", root=Path(), samples=samples)


GOLDEN = ("8001", "12000", "20000", "27000", "29002", "54001", "62000", "72000", "82002", "90001")
GOLDEN_SHA256 = "c0db4ab2b75dd8aba5c63bebeb8c5c683fa4b874e477fce594999566d2c81542"
GOLDEN_REAL = "476d4befc33d6a9d6bca41094fc9a31479e55fce8eddda5e9ae9a8cdf3cffa33"  # ten of coco-mini's val
SOME = replace(LISTS["coco-30k"], number=10)


def test_the_choice_is_frozen() -> None:
    """Made by ``LISTS["coco-30k"].choose`` on 25 November 2026; a change would move every number under its name."""
    choice = SOME.choose(listing(100))
    assert choice.ids == GOLDEN
    assert choice.sha256 == GOLDEN_SHA256


def test_the_rule_in_other_words() -> None:
    def rank(identity: str) -> bytes:
        return hashlib.sha256(f"0/{identity}".encode()).digest()

    best = [min((rank(str(1000 * row + place)), 1000 * row + place) for place in range(3)) for row in range(100)]
    assert SOME.choose(listing(100)).ids == tuple(
        str(number) for number in sorted(each[1] for each in sorted(best)[:10])
    )


def test_what_is_on_the_disk_does_not_matter() -> None:
    whole = listing(100)
    half = replace(whole, samples=whole.samples[::2], missing=whole.samples[1::2])
    assert SOME.choose(half).sha256 == SOME.choose(whole).sha256


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 3))
def test_a_smaller_list_is_part_of_a_larger_one(small, large, seed) -> None:
    first, second = (replace(SOME, number=number, seed=seed).choose(listing(50)) for number in sorted((small, large)))
    assert set(first.ids) <= set(second.ids)
    assert len(first.ids) == min(50, *sorted((small, large))[:1])
    assert len(set(first.samples)) == len(first.samples)


def test_another_seed_chooses_others() -> None:
    assert SOME.choose(listing(100)).sha256 != replace(SOME, seed=1).choose(listing(100)).sha256


def test_it_says_how_much_of_it_is_usable() -> None:
    choice = SOME.choose(listing(100))
    report = choice.report({*choice.samples[:4], "x"})
    assert (report["number"], report["usable"]) == (10, 4)
    assert report["summary"] == f"10, 4 usable here, sha256 {choice.sha256[:16]}"
    assert (
        "10 of 30,000: this is not the publisher's whole table"
        in replace(SOME, number=30_000).choose(listing(10)).report(set())["summary"]
    )


def test_without_captions_every_sample_in_order(tmp_path) -> None:
    build.bair(tmp_path)
    choice = LISTS["bair-256"].choose(READERS["bair"](tmp_path))
    assert choice.ids == ("traj_0_to_255/000", "traj_0_to_255/001", "traj_0_to_255/002")
    assert choice.captions == ()


def test_lists_belong_to_a_split_and_a_version() -> None:
    assert [each.name for each in lists_of(listing(3))] == ["coco-30k"]
    assert [each.name for each in lists_of(replace(listing(3), version="2017"))] == ["coco-5k"]
    assert list(lists_of(replace(listing(3), split="train"))) == []


@pytest.mark.parametrize("name", LISTS)
def test_every_list_is_of_a_reader_and_on_the_page(name) -> None:
    rule = LISTS[name]
    assert rule.split in READERS[rule.dataset].splits
    page = (Path(__file__).parents[2] / "docs/data.md").read_text(encoding="utf-8")
    assert f"| {name} |" in page


@pytest.mark.real_files
def test_the_choice_over_real_captions(request) -> None:
    root = Path(request.config.getoption("--data")) / "coco-mini"
    choice = replace(LISTS["coco-5k"], number=10).choose(READERS["coco"](root))
    assert choice.sha256 == GOLDEN_REAL


def test_a_sample_without_captions_is_not_chosen(tmp_path) -> None:
    build.folder(tmp_path)
    picture(tmp_path / "silent.jpg")
    rule = replace(SOME, dataset="folder", split="all")
    assert sorted(rule.choose(READERS["folder"](tmp_path)).samples) == ["cats/1", "dogs/10", "dogs/2"]
