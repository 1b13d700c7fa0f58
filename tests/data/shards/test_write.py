"""What is written: the tokens of every view, words, ids; the same bytes for any number of writers."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_shards import NUM, PER_SHARD, VIEWS, Noise, NoisyClips, content, tokenizer, write

from nuwa import files
from nuwa.data.captioned import CaptionedClips, CaptionedPictures, Skipped
from nuwa.data.shards import Shards, verify
from nuwa.data.shards.claims import Claims
from nuwa.data.shards.layout import Plan, read_manifest
from nuwa.data.shards.write import MirroredCaptions, make_plan
from nuwa.data.sprites.dataset import SpritesPictures
from nuwa.tokenizers.digest import weights_sha256
from nuwa.tokenizers.text import TextTokenizer


def everything(shards: Shards, view: int = 0) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    rows = np.arange(len(shards))
    tokens, text = shards.read(rows, np.full_like(rows, view))
    return tokens.astype(np.int64), text


def test_the_doubles_are_datasets() -> None:
    assert isinstance(Noise(), CaptionedPictures)
    assert isinstance(NoisyClips(), CaptionedClips)


@pytest.mark.parametrize("view", [0, 1])
def test_tokens_are_those_of_the_tokenizer(shards: Shards, view: int) -> None:
    pictures = torch.stack([Noise().image(row) for row in range(NUM)])
    expected = tokenizer().encode(pictures.flip(-1) if view else pictures)
    assert torch.equal(torch.from_numpy(everything(shards, view)[0]), expected)
    assert len(expected.unique()) > 8  # no constant


def test_words_ids_and_grid(shards: Shards) -> None:
    assert (len(shards), shards.grid.shape, shards.views, shards.skipped) == (NUM, (1, 4, 4), VIEWS, [])
    text = TextTokenizer.from_captions(Noise().captions)
    assert shards.text.to_dict() == text.to_dict()
    assert np.array_equal(everything(shards)[1], text.encode(Noise().captions).ids.numpy())
    rows = np.array([36, 0, 9, 9])
    assert [(line.row, line.id, line.caption) for line in shards.lines(rows)] == [
        (row, f"noise-{row}", f"picture {row} of noise") for row in rows.tolist()
    ]


def test_a_shard_is_a_file_for_numpy(folder: Path) -> None:
    """As docs/shards.md describes it, without this package."""
    records = np.load(folder / "00004.npy", mmap_mode="r")
    assert records.shape == (NUM - 4 * PER_SHARD,)
    assert records.dtype.descr[0] == ("tokens", "<u2", (2, 1, 4, 4))
    assert records.dtype.descr[1:] == [("text", "<u2", (77,)), ("line", "<u8")]
    lines = (folder / "00004.jsonl").read_bytes()
    assert json.loads(lines[records["line"][2] :].splitlines()[0])["id"] == "noise-34"


def test_the_manifest_names_everything(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["tokenizer_sha256"] == weights_sha256(tokenizer())
    assert (manifest["fingerprint"], manifest["views"], manifest["grid"]) == (
        Noise().fingerprint,
        list(VIEWS),
        [1, 4, 4],
    )
    assert [shard["num"] for shard in manifest["shards"]] == [8, 8, 8, 8, 5]
    for shard in manifest["shards"]:
        path = folder / f"{shard['shard']:05d}.npy"
        assert (files.sha256(path), path.stat().st_size) == (shard["records_sha256"], shard["records_bytes"])
    assert verify(folder) == 5


def test_clips(tmp_path: Path) -> None:
    write(tmp_path, NoisyClips(num=5), views=("centre",))
    shards = Shards(tmp_path, tokenizer())
    assert shards.grid.shape == (3, 4, 4)
    clips = torch.stack([NoisyClips().clip(row) for row in range(5)])
    assert torch.equal(torch.from_numpy(everything(shards)[0]), tokenizer().encode(clips))


def test_corners_are_cut_from_larger_samples(tmp_path: Path) -> None:
    write(tmp_path, Noise(num=3, side=20), views=("top-left", "bottom-right-mirrored"))
    pictures = torch.stack([Noise(side=20).image(row) for row in range(3)])
    shards = Shards(tmp_path)
    for view, cut in enumerate((pictures[..., :16, :16], pictures[..., 4:, 4:].flip(-1))):
        assert torch.equal(torch.from_numpy(everything(shards, view)[0]), tokenizer().encode(cut))


@pytest.mark.parametrize(
    ("num_codes", "vocab_size", "formats"), [(65536, 65537, ("<u2", "<i4")), (65537, 65536, ("<i4", "<u2"))]
)
def test_numbers_are_as_wide_as_they_have_to_be(num_codes: int, vocab_size: int, formats: tuple[str, str]) -> None:
    text = TextTokenizer.from_captions(["a"])
    plan = make_plan(Noise(), tokenizer(), text, views=("centre",), samples_per_shard=1, batch=1)
    record = dataclasses.replace(plan, num_codes=num_codes, vocab_size=vocab_size).record
    assert (record["tokens"].base.str, record["text"].base.str) == formats


def test_large_codes_come_back(tmp_path: Path) -> None:
    large = tokenizer(num_codes=70_000)
    write(tmp_path, Noise(num=2), tokenizer=large, views=("centre",))
    expected = large.encode(torch.stack([Noise().image(row) for row in range(2)]))
    assert torch.equal(torch.from_numpy(everything(Shards(tmp_path, large))[0]), expected)
    assert expected.max() > 1 << 16


def test_several_writers_write_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    found = write(tmp_path, writers=2)
    assert (found.made, found.elsewhere) == ((0, 1, 2, 3, 4), ())
    assert content(tmp_path) == content(folder)


def test_two_commands_share_a_folder(tmp_path: Path) -> None:
    """What one has claimed the other leaves alone; the last to end writes the manifest."""
    write(tmp_path / "whole")
    held: list[int] = []

    class Elsewhere(Claims):
        """Another process has shard 1."""

        def on(self, shard: int) -> Any:
            held.append(shard)
            return super().on(shard) if shard != 1 else _refused()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nuwa.data.shards.write.Claims", Elsewhere)
        found = write(tmp_path / "shared")
    assert (found.made, found.elsewhere, held) == ((0, 2, 3, 4), (1,), [0, 1, 2, 3, 4])
    with pytest.raises(ValueError, match="got some that are not finished; run the command that began them again"):
        Shards(tmp_path / "shared")
    found = write(tmp_path / "shared")
    assert (found.made, found.kept, found.elsewhere) == ((1,), (0, 2, 3, 4), ())
    assert content(tmp_path / "shared") == content(tmp_path / "whole")


class _refused:  # noqa: N801  a claim that was not given
    def __enter__(self) -> bool:
        return False

    def __exit__(self, *_: object) -> None:
        pass


def test_what_is_done_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    before = content(tmp_path)
    monkeypatch.setattr(Noise, "image", lambda *_: pytest.fail("read again"))
    assert write(tmp_path, writers=2).kept == (0, 1, 2, 3, 4)
    assert content(tmp_path) == before


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"samples": Noise(num=38)}, "fingerprint, num"),
        ({"tokenizer": tokenizer(1)}, "tokenizer_sha256"),
        ({"views": ("centre",), "batch": 7}, "batch, views"),
    ],
    ids=str,
)
def test_another_set_is_refused(folder: Path, change: dict[str, Any], names: str) -> None:
    before = content(folder)
    with pytest.raises(ValueError, match=rf"holds shards made with other settings \({names}\); give these a folder"):
        write(folder, **change)
    assert content(folder) == before


def test_what_cannot_be_read_is_named_and_the_rest_is_used(tmp_path: Path) -> None:
    samples = Noise(
        broken=frozenset({3, 8, 9, 10, 11, 12, 13}), silent=frozenset({36}), skipped=(Skipped("x", "gone"),)
    )
    found = write(tmp_path, samples, max_broken=0.5)
    reasons = {skip.id: skip.reason for skip in found.skipped}
    assert reasons.keys() == {"x", "noise-36", *(f"noise-{row}" for row in samples.broken)}
    assert (reasons["x"], reasons["noise-36"]) == ("gone", "empty caption")
    assert reasons["noise-3"] == "cannot read 3.jpg: image file is truncated"
    shards = Shards(tmp_path)
    assert sorted(skip.id for skip in shards.skipped) == sorted(reasons)
    kept = [row for row in range(NUM) if row not in samples.broken | samples.silent]
    assert [line.row for line in shards.lines(np.arange(len(shards)))] == kept
    pictures = torch.stack([Noise().image(row) for row in kept])
    assert torch.equal(torch.from_numpy(everything(shards)[0]), tokenizer().encode(pictures))


def test_a_shard_may_be_empty(tmp_path: Path) -> None:
    samples = Noise(broken=frozenset(range(PER_SHARD, 2 * PER_SHARD)))
    write(tmp_path, samples, max_broken=0.5)
    shards = Shards(tmp_path)
    assert len(shards) == NUM - PER_SHARD
    rows = np.array([PER_SHARD - 1, PER_SHARD])
    assert [line.row for line in shards.lines(rows)] == [PER_SHARD - 1, 2 * PER_SHARD]
    assert verify(tmp_path) == 5


@pytest.mark.parametrize("writers", [1, 2])
def test_too_much_that_is_broken_stops_the_run(tmp_path: Path, writers: int) -> None:
    samples = Noise(broken=frozenset({0, 1}))
    sentence = r"noise train: 2 of 37 samples cannot be read, more than 5%: noise-0 \(cannot read 0.jpg.*--max-broken"
    with pytest.raises(ValueError, match=sentence):
        write(tmp_path, samples, writers=writers)
    assert not (tmp_path / "manifest.json").exists()
    write(tmp_path, samples, max_broken=0.06)
    assert len(Shards(tmp_path)) == 35


def test_a_set_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected samples that can be read, got none of 3"):
        write(tmp_path, Noise(num=3, broken=frozenset({0, 1, 2})), max_broken=1)


def test_any_name_comes_through(tmp_path: Path) -> None:
    prefix = 'a "b"\n\r\u2028 größer/日本 \udc80\t'
    write(tmp_path, Noise(num=9, prefix=prefix, broken=frozenset({8})), max_broken=0.2)
    lines = Shards(tmp_path).lines(np.arange(8))
    assert [line.id for line in lines] == [f"{prefix}-{row}" for row in range(8)]
    assert Shards(tmp_path).skipped[0].id == f"{prefix}-8"


def test_a_mirror_under_words_that_name_a_side_is_said_aloud(tmp_path: Path) -> None:
    with pytest.warns(
        MirroredCaptions, match=r"captions name a side, left or right, and centre-mirrored shows the other"
    ):
        write(tmp_path, SpritesPictures("train", 40, 16))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"writers": 0}, "writers: expected at least 1, got 0"),
        ({"batch": 0}, "samples_per_shard and batch of at least 1, got 37, 8 and 0"),
        ({"views": ("left",)}, "unknown view 'left'"),
        ({"samples": Noise(side=12)}, "view centre: expected samples of at least 16 px, got 12 x 12"),
    ],
    ids=str,
)
def test_wrong_wishes(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        write(tmp_path, **change)


def test_the_plan_goes_through_json(folder: Path) -> None:
    plan, receipts, _ = read_manifest(folder)
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
    assert [receipt.truncated for receipt in receipts] == [0] * 5


@pytest.mark.gpu
def test_a_gpu_writes_what_it_encodes(tmp_path: Path) -> None:
    device = torch.device("cuda")
    write(tmp_path, tokenizer=tokenizer().to(device), views=("centre",))
    shards = Shards(tmp_path, tokenizer())
    assert shards.plan.device == torch.cuda.get_device_name(device)
    pictures = torch.stack([Noise().image(row) for row in range(NUM)])
    same = torch.from_numpy(everything(shards)[0]) == tokenizer().encode(pictures)
    assert same.double().mean() > 0.99  # kernels differ, near ties may too
