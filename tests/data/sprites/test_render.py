"""Pictures and segmentation maps of scenes: one scene at any resolution, with its colours where it says."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from nuwa.data.sprites import SPLITS, Scenes, draw, render, segment, world

RING = world.SHAPES.index("ring")


@pytest.fixture(scope="module", params=SPLITS)
def scenes(request: pytest.FixtureRequest) -> Scenes:
    return draw(request.param, np.arange(150))


@pytest.mark.parametrize("size_px", [8, 32, 33])
def test_shapes_and_types(scenes: Scenes, size_px: int) -> None:
    pictures, labels = render(scenes[:5], size_px), segment(scenes[:5], size_px)
    assert (pictures.shape, pictures.dtype) == ((5, 3, size_px, size_px), np.uint8)
    assert (labels.shape, labels.dtype) == ((5, size_px, size_px), np.uint8)
    assert render(scenes[:0], size_px).shape == (0, 3, size_px, size_px)


def test_a_picture_does_not_depend_on_the_batch(scenes: Scenes) -> None:
    rows = np.array([3, 1, 4, 1])
    assert np.array_equal(render(scenes[rows], 32), render(scenes, 32)[rows])
    assert np.array_equal(segment(scenes[rows], 32), segment(scenes, 32)[rows])


def test_one_scene_at_two_resolutions(scenes: Scenes) -> None:
    """Anti-aliasing: 32 px is what one gets by averaging 4×4 pixels of 128 px, but for corners."""
    fine = render(scenes, 128).astype(float).reshape(len(scenes), 3, 32, 4, 32, 4).mean(axis=(3, 5))
    error = np.abs(fine - render(scenes, 32))
    assert error.mean() < 0.15
    assert (error > 20).mean() < 0.001
    assert error.max() < 90


@pytest.mark.parametrize("size_px", [32, 64])
def test_the_centre_of_an_object_has_its_colour(scenes: Scenes, size_px: int) -> None:
    rows, slots = np.nonzero((scenes.shape >= 0) & (scenes.shape != RING))
    x, y = np.floor(scenes.centre[rows, slots] * size_px).astype(int).T
    assert np.array_equal(render(scenes, size_px)[rows, :, y, x], world.COLOUR_RGB[scenes.colour[rows, slots]])
    assert np.array_equal(segment(scenes, size_px)[rows, y, x], scenes.shape[rows, slots] + 1)


def in_the_middle(shape: int, num: int) -> Scenes:
    """Scenes of nothing but one object of a shape, at the center."""
    scenes = draw("train", np.arange(3000))
    return scenes[(scenes.num_objects == 1) & (scenes.shape[:, 0] == shape) & (scenes.place[:, 0] == 4)][:num]


def test_a_ring_is_open_in_the_middle_and_closed_around() -> None:
    scenes = in_the_middle(RING, 12)
    rows = np.arange(len(scenes))
    pictures, (x, y), r = render(scenes, 128), 128 * scenes.centre[:, 0].T, 128 * scenes.radius[:, 0]
    assert np.array_equal(pictures[rows, :, y.astype(int), x.astype(int)], world.BACKGROUND_RGB[scenes.background])
    for angle in np.linspace(0, 2 * np.pi, 16, endpoint=False):
        around = (y + 0.74 * r * np.sin(angle)).astype(int), (x + 0.74 * r * np.cos(angle)).astype(int)
        assert np.array_equal(pictures[rows, :, *around], world.COLOUR_RGB[scenes.colour[:, 0]])


def test_the_corners_show_the_background(scenes: Scenes) -> None:
    """At the corner of the picture only a large square at a corner place can stand."""
    free = np.flatnonzero(~np.isin(scenes.place, (0, 2, 6, 8)).any(axis=1))
    for y, x in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        assert np.array_equal(render(scenes[free], 32)[:, :, y, x], world.BACKGROUND_RGB[scenes.background[free]])


def test_segmentation_agrees_with_the_picture() -> None:
    """Where one object stands alone, a pixel belongs to it just where its colour is nearer than the background's."""
    scenes = draw("train", np.arange(400))
    scenes = scenes[scenes.num_objects == 1]
    pictures, labels = render(scenes, 64).astype(float), segment(scenes, 64)
    ink = world.COLOUR_RGB[scenes.colour[:, 0]][:, :, None, None]
    paper = world.BACKGROUND_RGB[scenes.background][:, :, None, None]
    share = ((pictures - paper) * (ink - paper)).sum(axis=1) / ((ink - paper) ** 2).sum(axis=1)
    expected = np.where(share >= 0.5, scenes.shape[:, 0, None, None] + 1, 0)
    clear = np.abs(share - 0.5) > 0.01  # rounding to 8 bits moves the share
    assert np.array_equal(labels[clear], expected[clear])
    assert clear.mean() > 0.99


def single(scenes: Scenes, slot: int) -> Scenes:
    """The scenes with nothing but the object of one slot."""
    names = ("shape", "colour", "size", "place", "centre", "radius")
    moved = {name: np.roll(getattr(scenes, name), -slot, axis=1) for name in names}
    return replace(scenes, num_objects=np.ones_like(scenes.num_objects), **moved)


def test_where_objects_overlap_the_smaller_one_is_in_front() -> None:
    scenes = draw("train", np.arange(2000))
    scenes = scenes[scenes.num_objects == 2]
    alone = [single(scenes, slot) for slot in (0, 1)]
    back, front = (segment(each, 32) for each in alone)
    assert ((back > 0) & (front > 0)).any()
    assert np.array_equal(segment(scenes, 32), np.where(front > 0, front, back))


@pytest.mark.parametrize("shape", range(6), ids=world.SHAPES)
def test_areas(shape: int) -> None:
    """Areas in squared radii, from each shape's geometry."""
    scenes = in_the_middle(shape, 20)
    area = {
        "circle": np.pi * 0.95**2,
        "square": (2 * 0.86) ** 2,
        "triangle": 0.5 * 1.85**2,  # as wide as high
        "cross": 2 * 2 * 0.68 - 0.68**2,
        "ring": np.pi * (1 - 0.48**2),
        "bar": 2 * 0.84,
    }[world.SHAPES[shape]]
    pixels = (segment(scenes, 256) > 0).sum(axis=(1, 2)) / (256 * scenes.radius[:, 0]) ** 2
    assert pixels.mean() == pytest.approx(area, rel=0.01)


# python -c "import hashlib; from nuwa.data.sprites import *
# print([hashlib.sha256(render(draw(s, range(16)), 32).tobytes()).hexdigest()[:16] for s in SPLITS])"
GOLDEN = {
    "train": "2716c48bd6fb304e",
    "val": "fd2563395022c45c",
    "test-seen": "a202b0ab2c97c884",
    "test-unseen": "8d5af27776f94324",
}


@pytest.mark.parametrize("split", SPLITS)
def test_golden(split: str) -> None:
    assert hashlib.sha256(render(draw(split, range(16)), 32).tobytes()).hexdigest()[:16] == GOLDEN[split]
