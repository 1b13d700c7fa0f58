from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence
from torch import Tensor

from evaluation.inputs import open_clips
from evaluation.samples import save_samples, save_sheet
from evaluation.sessions import Samples
from nuwa.data.sprites import draw

M = 5


def samples(*shape: int) -> Samples:
    pixels = torch.randint(0, 256, (M, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    truth = {"scenes": draw("val", np.arange(M)), "labels": torch.arange(M)}
    return Samples(pixels=pixels, ids=[f"s{i}" for i in range(M)], captions=[f"a {i}" for i in range(M)], truth=truth)


@pytest.mark.parametrize(("rows", "chosen"), [(slice(1, 4), [1, 2, 3]), ([4, 0], [4, 0]), (slice(3, 9), [3, 4])])
def test_rows_are_taken_of_everything(rows: slice | list[int], chosen: list[int]) -> None:
    whole = samples(3, 8, 8)
    some = whole[rows]
    assert torch.equal(some.pixels, whole.pixels[chosen])
    assert some.ids == [f"s{i}" for i in chosen]
    assert some.captions == [f"a {i}" for i in chosen]
    assert some.truth["labels"].tolist() == chosen
    assert some.truth["scenes"].wording.tolist() == whole.truth["scenes"].wording[chosen].tolist()


def test_batches_make_up_the_whole() -> None:
    whole = samples(2, 3, 8, 8)
    parts = list(whole.split(2))
    assert [len(part) for part in parts] == [2, 2, 1]
    assert torch.equal(torch.cat([part.pixels for part in parts]), whole.pixels)


def test_counts_have_to_agree() -> None:
    with pytest.raises(ValueError, match=r"expected 5 of each, got {'captions': 2}"):
        Samples(pixels=samples(3, 8, 8).pixels, ids=list("abcde"), captions=["a", "b"])


def test_other_pixels_need_another_answer() -> None:
    """A judge is asked once of the same pixels, and again of others."""
    asked: list[int] = []

    def judge(pixels: Tensor) -> float:
        asked.append(len(pixels))
        return float(pixels.float().mean())

    part = samples(3, 8, 8)
    assert part.ask(judge) == part.ask(judge)
    assert len(asked) == 1
    assert part.showing(255 - part.pixels).ask(judge) != part.ask(judge)
    assert len(asked) == 2


def test_generated_clips_can_be_read_again(tmp_path: Path) -> None:
    whole = samples(4, 3, 16, 16)
    save_samples(tmp_path / "generated", whole)
    (batch,) = list(open_clips(tmp_path / "generated"))
    assert list(batch.ids) == whole.ids
    assert torch.equal(batch.images, whole.pixels)


@pytest.mark.parametrize("shape", [(3, 16, 16), (4, 3, 16, 16)], ids=["pictures", "clips"])
def test_sheet_keeps_every_pixel(shape: tuple[int, ...], tmp_path: Path) -> None:
    whole = samples(*shape)
    save_sheet(tmp_path / "samples", whole[:2], {"real": whole.pixels, "K = 1": 255 - whole.pixels})
    items = json.loads((tmp_path / "samples" / "samples.json").read_text())["items"]
    assert [item["id"] for item in items] == ["s0", "s1"]
    with Image.open(tmp_path / "samples" / items[1]["images"]["K = 1"]) as image:
        frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]
    wanted = 255 - whole.pixels[1].reshape(-1, 3, 16, 16)
    assert torch.equal(torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2), wanted)
