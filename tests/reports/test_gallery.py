"""All tasks on one picture: pixels are the samples' own, clips play, and what cannot be shown is said."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluation.samples import FRAME_MS
from nuwa.tasks import TASKS
from reports.gallery import SHOWN, gallery
from reports.runs import Picture, Run, Sample, read_run
from reports.write import write_all_reports


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, make_run: Callable[..., Path]) -> Run:
    return read_run(make_run(tmp_path_factory.mktemp("run") / "run"))


def clip(seed: int, frames: int = 1, side: int = 32) -> Picture:
    """Noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (frames, side, side, 3), dtype=np.uint8)
    first, *others = [Image.fromarray(frame) for frame in pixels]
    buffer = io.BytesIO()
    first.save(buffer, "WEBP", save_all=True, append_images=others, duration=FRAME_MS, lossless=True, exact=True)
    return Picture(data=buffer.getvalue(), mime="image/webp", width_px=side, height_px=side, num_frames=frames)


def of(run: Run, *pictures: dict[str, Picture | None]) -> Run:
    samples = tuple(Sample(id=str(i), caption="a ring", pictures=each) for i, each in enumerate(pictures))
    return dataclasses.replace(run, samples=samples)


def shown(made: bytes | None) -> list[np.ndarray]:
    assert made is not None
    with Image.open(io.BytesIO(made)) as image:
        found = []
        for number in range(image.n_frames):
            image.seek(number)
            found.append(np.array(image.convert("RGB")))
    return found


def has(page: np.ndarray, image: Image.Image, factor: int = 3) -> bool:
    """Whether it is there, each pixel so many pixels wide and high."""
    wanted = np.array(image.convert("RGB")).repeat(factor, axis=0).repeat(factor, axis=1)
    side = len(wanted)
    corners = np.argwhere((page[: 1 - side, : 1 - side] == wanted[0, 0]).all(-1))
    return any(np.array_equal(page[y : y + side, x : x + side], wanted) for y, x in corners)


def test_every_task_has_its_labels() -> None:
    assert list(SHOWN) == list(TASKS)


def test_what_is_given_and_what_is_made_are_shown_frame_by_frame(run: Run) -> None:
    given, made = clip(0), clip(1, frames=3)
    pages = shown(gallery({"v2v": of(run, {"repeat the last given frame": given, "NÜWA": made})}))
    assert len(pages) == 3
    for page, frame in zip(pages, made.frames(), strict=True):
        assert has(page, frame)
        assert has(page, given.image())


def test_tasks_come_in_their_order_and_three_samples_of_each(run: Run) -> None:
    pictures = of(run, *({"K = 1": clip(i)} for i in range(4)))
    clips = of(run, *({"NÜWA": clip(10 + i, frames=2)} for i in range(2)))
    (page, _), (alone,) = shown(gallery({"t2v": clips, "t2i": pictures})), shown(gallery({"t2i": pictures}))
    assert [has(page, clip(i).image()) for i in range(4)] == [True, True, True, False]
    assert np.array_equal(page[: len(alone) - 24], alone[:-24])


def test_pictures_fill_their_cells_by_a_whole_factor(run: Run) -> None:
    pages = {
        side: shown(gallery({"i2i": of(run, {"given": clip(0, side=side), "zero-shot": clip(1, side=side)})}))[0]
        for side in (32, 48, 64, 128)
    }
    for side, factor in ((32, 3), (48, 2), (64, 2), (128, 1)):
        assert has(pages[side], clip(0, side=side).image(), factor)
        assert has(pages[side], clip(1, side=side).image(), factor)
    assert pages[32].shape == pages[48].shape
    assert pages[64].shape == pages[128].shape
    assert pages[64].shape[1] - pages[32].shape[1] == 3 * 2 * (128 - 96)


def test_a_picture_that_does_not_fill_its_cell_stands_in_its_middle(run: Run) -> None:
    (page,) = shown(
        gallery({"t2i": of(run, {"K = 1": clip(0, side=64)}, {"K = 1": clip(1)}, {"K = 1": clip(2, side=40)})})
    )
    small = np.array(clip(2, side=40).image().convert("RGB")).repeat(3, axis=0).repeat(3, axis=1)
    left, width = 24 + 118 + 2 * (2 * 128 + 40), 2 * 128 + 40 - 20
    middle = (left + width // 2, len(page) - 24 - 64)
    y, x = middle[1] - 60, middle[0] - 60
    assert np.array_equal(page[y : y + 120, x : x + 120], small)


def test_samples_that_cannot_be_read_are_left_out(run: Run) -> None:
    (page,) = shown(gallery({"t2i": of(run, {"K = 1": None}, {"K = 1": clip(3)})}))
    assert has(page, clip(3).image())
    assert gallery({"t2i": of(run, {"K = 1": None})}) is None
    assert gallery({"t2i": of(run)}) is None
    assert gallery({}) is None


def test_other_labels_are_said_in_the_row(run: Run) -> None:
    pictures, strange = of(run, {"K = 1": clip(0)}), of(run, {"a": clip(1)})
    (page,), (alone,) = shown(gallery({"t2i": pictures, "s2i": strange})), shown(gallery({"t2i": pictures}))
    row = page[len(alone) :, 118 + 24 :]
    assert (row != 255).any()
    assert not has(page, clip(1).image())
    assert gallery({"s2i": strange}) is None


def test_it_lies_beside_the_report_of_all_runs(make_run: Callable[..., Path], tmp_path: Path) -> None:
    make_run(tmp_path / "t2i")
    assert tmp_path / "gallery.webp" in write_all_reports(tmp_path)
    first = (tmp_path / "gallery.webp").read_bytes()
    write_all_reports(tmp_path)
    assert (tmp_path / "gallery.webp").read_bytes() == first
