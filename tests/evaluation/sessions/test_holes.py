"""Holes that completion is tested with."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from evaluation.sessions.holes import KINDS, draw_holes, hatched, kinds_of, mean_fill

IDS = [f"test-seen-{number:06d}" for number in range(60)]


def of(kind: str, size_px: int = 32) -> torch.Tensor:
    return draw_holes(IDS, kinds_of(kind, len(IDS)), size_px)  # type: ignore[arg-type]


@pytest.mark.parametrize("size_px", [16, 32, 33])
@pytest.mark.parametrize(("kind", "low", "high"), [("box", 0.23, 0.26), ("half", 0.48, 0.52), ("free-form", 0.25, 0.5)])
def test_how_much_is_hidden(kind: str, low: float, high: float, size_px: int) -> None:
    share = of(kind, size_px).double().mean((1, 2))
    assert (share >= low).all()
    assert (share <= high).all()


def test_boxes_are_boxes_and_reach_everywhere() -> None:
    boxes = of("box")
    rows, columns = boxes.any(2).sum(1), boxes.any(1).sum(1)
    assert torch.equal(rows * columns, boxes.sum((1, 2)))
    reached = draw_holes([f"{i}" for i in range(400)], kinds_of("box", 400), 32).any(0)
    assert reached.any(0).all()
    assert reached.any(1).all()


def test_halves_lie_on_all_sides() -> None:
    top = torch.arange(32)[:, None].expand(32, 32) < 16
    found = {tuple(each.flatten().tolist()) for each in of("half")}
    assert found == {tuple(each.flatten().tolist()) for each in (top, ~top, top.T, ~top.T)}


def test_free_forms_are_smooth() -> None:
    """A pixel is mostly like its neighbour; of noise, every second one would be."""
    forms = of("free-form")
    assert (forms[:, 1:] == forms[:, :-1]).double().mean() > 0.9
    assert len({tuple(each.flatten().tolist()) for each in forms}) == len(IDS)


def test_a_hole_belongs_to_its_sample() -> None:
    whole, kinds = of("mixed"), kinds_of("mixed", len(IDS))
    rows = [7, 3, 50]
    assert torch.equal(draw_holes([IDS[row] for row in rows], kinds[rows], 32), whole[rows])
    assert np.bincount(kinds).tolist() == [20, 20, 20]
    for number, kind in enumerate(KINDS):
        assert torch.equal(whole[kinds == number], of(kind)[kinds == number])


def test_golden_holes() -> None:
    """``draw_holes(["test-seen-000000"] * 3, arange(3), 8)``, as rows of bits; published numbers stand on them."""
    found = draw_holes([IDS[0]] * 3, np.arange(3), 8)
    assert ["".join(str(int(bit)) for bit in each.flatten()) for each in found] == [
        "0000000000000000111100001111000011110000111100000000000000000000",
        "0000000000000000000000000000000011111111111111111111111111111111",
        "1011100000010000000000000000000111001001011111000110110001101111",
    ]


def test_the_fill_is_the_mean_of_what_is_known() -> None:
    pictures = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8)
    holes = draw_holes(IDS[:3], np.arange(3), 16)
    filled = mean_fill(pictures, holes)
    for picture, hole, made in zip(pictures, holes, filled, strict=True):
        assert torch.equal(made[:, ~hole], picture[:, ~hole])
        expected = picture[:, ~hole].double().mean(1).round().to(torch.uint8)
        assert torch.equal(made[:, hole], expected[:, None].expand(-1, int(hole.sum())))
    scribbled = torch.where(holes[:, None], 255 - pictures, pictures)
    assert torch.equal(mean_fill(scribbled, holes), filled)


@pytest.mark.parametrize("shape", [(2, 3, 16, 16), (2, 4, 3, 16, 16)], ids=["pictures", "clips"])
def test_stripes_hide_the_hole_alone(shape: tuple[int, ...]) -> None:
    pixels, holes = torch.full(shape, 7, dtype=torch.uint8), draw_holes(IDS[:2], np.zeros(2, dtype=np.int64), 16)
    seen = hatched(pixels, holes)
    assert seen.shape == pixels.shape
    hidden = (holes[:, None] if len(shape) == 4 else holes[:, None, None]).expand(shape)
    assert (seen[~hidden] == 7).all()
    assert seen[hidden].unique().tolist() == [90, 165]
