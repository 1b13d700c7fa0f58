"""Pairs of attention by a word."""

from __future__ import annotations

import pytest

from evaluation.ablations.pairs import TABLE_6, in_words, pair
from nuwa.attention import ATTENTION, AttentionSpec, Axial3D, Block3D, Full, Nearby3D
from nuwa.grid import Grid

GRID = Grid(5, 8, 8)


@pytest.mark.parametrize(
    ("word", "encoder", "decoder"),
    [
        ("FF", Full(), Full()),
        ("NF", Nearby3D(), Full()),
        ("FN", Full(), Nearby3D()),
        ("AA", Axial3D(), Axial3D()),
        ("BB", Block3D(block=(None, 4, 4)), Block3D(block=(None, 4, 4))),
        ("NN", Nearby3D(), Nearby3D()),
        ("N5F", Nearby3D(extent=(5, 5, 5)), Full()),
        ("N5N3x5x7", Nearby3D(extent=(5, 5, 5)), Nearby3D(extent=(3, 5, 7))),
        ("FN*x3x3", Full(), Nearby3D(extent=(None, 3, 3))),
        ("B5x2x2A", Block3D(block=(5, 2, 2)), Axial3D()),
    ],
)
def test_words(word: str, encoder: AttentionSpec, decoder: AttentionSpec) -> None:
    found = pair(word, GRID)
    assert (found.name, found.encoder, found.decoder) == (word, encoder, decoder)


def test_every_variant_has_a_letter_of_its_own_in_the_default_table() -> None:
    letters = [name[0].upper() for name in ATTENTION]
    assert len(set(letters)) == len(letters)
    assert set("".join(TABLE_6)) == set(letters)


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("F", "expected two letters"),
        ("FNN", "expected two letters"),
        ("fn", "expected two letters"),
        ("", "expected two letters"),
        ("FN ", "expected two letters"),
        ("FQ", r"letters of one variant among F \(full\)"),
        ("F3N", "full has no widths"),
        ("AA3", "axial3d has no widths"),
        ("FN3x3", "one width or three"),
        ("FN4", "odd full window width"),
        ("FN0", "whole number >= 1"),
    ],
)
def test_what_is_no_pair_is_refused(word: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        pair(word, GRID)


def test_blocks_are_halves_rounded_up() -> None:
    assert pair("BB", Grid(10, 21, 21)).decoder == Block3D(block=(None, 11, 11))


def test_in_words() -> None:
    assert [in_words(spec) for spec in (Full(), Nearby3D(), Axial3D(), Block3D(block=(None, 4, 4)))] == [
        "full",
        "nearby3d 3×3×3",
        "axial3d t×h×w",
        "block3d all×4×4",
    ]
