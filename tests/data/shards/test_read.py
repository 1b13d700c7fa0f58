"""Opening shards: what does not fit is refused at once, and damage is found by size, by header and by sha256."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_shards import NUM, content, tokenizer, write

from nuwa.data.shards import Shards, verify
from nuwa.tokenizers.digest import weights_sha256


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def test_another_tokenizer_is_refused(folder: Path) -> None:
    theirs, ours = (weights_sha256(tokenizer(seed)) for seed in (0, 1))
    with pytest.raises(
        ValueError, match=rf"expected shards made with the tokenizer {ours}, got those of {theirs}; .*nox -s tokenize"
    ):
        Shards(folder, tokenizer(1))
    assert len(Shards(folder, tokenizer(0))) == len(Shards(folder)) == NUM


def test_no_shards(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"expected finished shards with a manifest.json, got none; make them with nox"
    ):
        Shards(tmp_path)


@pytest.mark.parametrize("rows", [[-1], [0, NUM]], ids=str)
def test_rows_that_are_none(shards: Shards, rows: list[int]) -> None:
    with pytest.raises(IndexError, match=f"rows: expected 0 to {NUM - 1}"):
        shards.read(np.array(rows), np.zeros(len(rows), np.int64))


def test_nothing_is_read_of_no_rows(shards: Shards) -> None:
    none = np.array([], np.int64)
    assert [array.shape for array in shards.read(none, none)] == [(0, 1, 4, 4), (0, 77)]
    assert shards.lines(none) == []


def test_no_file_stays_open_and_nothing_can_be_changed(folder: Path) -> None:
    """So that the number of shards is not limited by that of open files."""
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  counted, not walked
    shards = Shards(folder)
    rows = np.arange(NUM)
    shards.read(rows, 0 * rows)
    shards.lines(rows)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    with pytest.raises(ValueError, match="read-only"):
        shards._shard(0)["line"][0] = 1


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def drop(path: Path) -> None:
    path.unlink()


DAMAGE = [
    (flip, "00003.npy", "00003.npy: expected sha256 "),
    (flip, "00001.jsonl", "00001.jsonl: expected sha256 "),
    (cut, "00000.npy", r"00000.npy: expected \d+ bytes, got \d+"),
    (cut, "00004.jsonl", r"00004.jsonl: expected \d+ bytes"),
    (drop, "00002.npy", "00002.npy is missing"),
    (drop, "00002.jsonl", "00002.jsonl is missing"),
]


@pytest.mark.parametrize(("how", "name", "sentence"), DAMAGE)
def test_damage_is_found_and_mended(how: Callable[[Path], None], name: str, sentence: str, copy: Path) -> None:
    whole = content(copy)
    how(copy / name)
    with pytest.raises(
        ValueError, match=f"1 of 5 shards are damaged: {sentence}.*; run the command that made them again"
    ):
        verify(copy)
    if how is not flip:  # found before anything is read: a map of a file that ends early would kill the process
        with pytest.raises(ValueError, match=f"is damaged: {sentence}"):
            Shards(copy)
    found = write(copy)
    shard = int(name[:5])
    assert (found.made, found.damaged, found.kept) == ((shard,), (shard,), tuple(i for i in range(5) if i != shard))
    assert content(copy) == whole


def test_a_damaged_receipt_is_made_anew(copy: Path) -> None:
    whole = content(copy)
    (copy / "00001.json").write_text('{"shard": 1')
    assert write(copy).damaged == (1,)
    assert content(copy) == whole


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            '"schema": "nuwa-shards-1"',
            '"schema": "nuwa-shards-0"',
            "expected the schema nuwa-shards-1, got nuwa-shards-0",
        ),
        ('"views": [', '"looks": [', "manifest.json is damaged"),
        ('"unknown": 0', '"unkown": 0', "manifest.json is damaged"),
        ('"num_codes": 32', '"num_codes": 70000', "is damaged: the receipt counts 8 samples, more than there are"),
        (
            "1,\n    4,\n    4",
            "4,\n    1,\n    4",
            "expected 8 records as the manifest describes them, got another header",
        ),
        ("\n}\n", "\n", "manifest.json is damaged"),
        ('"shard": 3', '"shard": 2', r"manifest.json is damaged \(it lists 5 shards\)"),
    ],
)
def test_a_damaged_manifest(copy: Path, old: str, new: str, sentence: str) -> None:
    path = copy / "manifest.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    rows = np.arange(NUM)
    with pytest.raises(ValueError, match=sentence):
        Shards(copy).read(rows, 0 * rows)
