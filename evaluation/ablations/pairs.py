"""Attention of encoder and decoder by a short word: ``FN`` is full in the encoder and nearby in the decoder, as in Table 6.

A letter is the first of a variant's name, so a new variant has one too. Widths behind it are those of its window or block along
frames, rows and columns, ``*`` for the whole axis: ``N5`` is ``Nearby3D(extent=(5, 5, 5))``, ``N3x5x5F`` has another extent on
each axis, ``FB*x4x4`` blocks of 4×4 over all frames.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any

from nuwa.attention import ATTENTION, AttentionSpec
from nuwa.grid import Grid
from nuwa.model.config import spec_from_dict, spec_to_dict

TABLE_6 = ("FF", "NF", "FN", "AA", "BB", "NN")
"""The pairs of the paper's table, and block attention, which it costs in Table 7 and does not ablate."""

_HALF = re.compile(r"([A-Z])((?:\d+|\*)(?:x(?:\d+|\*)){0,2})?")
_WIDTHS = ("extent", "block")  # parameters that are one width for each axis


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Attention of encoder and decoder; ``name`` is the word it was asked for with."""

    name: str
    encoder: AttentionSpec
    decoder: AttentionSpec


def pair(word: str, grid: Grid) -> Pair:
    """The pair that ``word`` asks for, on a model's largest target grid.

    Blocks without widths are all frames by half of the rows and columns. ValueError for anything that is not two letters of
    variants, each with its widths or without.

    >>> pair("FN5", Grid(5, 8, 8)).decoder
    Nearby3D(extent=(5, 5, 5))
    """
    halves = [*_HALF.finditer(word)]
    if "".join(half[0] for half in halves) != word or len(halves) != 2:
        raise ValueError(
            f"attention {word!r}: expected two letters for encoder and decoder, each with widths or without, such as FN, N5N5 "
            f"or FN3x5x5; letters are {_known()}"
        )
    encoder, decoder = (_spec(word, half[1], half[2], grid) for half in halves)
    return Pair(name=word, encoder=encoder, decoder=decoder)


def in_words(spec: AttentionSpec) -> str:
    """A variant with its parameters, as tables print it: ``"nearby3d 3×3×3"``.

    >>> in_words(pair("FB*x4x4", Grid(5, 8, 8)).decoder)
    'block3d all×4×4'
    """
    parameters = [value for name, value in spec_to_dict(spec).items() if name != "name"]
    return " ".join(
        [spec.name, *("×".join("all" if part is None else str(part) for part in each) for each in parameters)]
    )


def _spec(word: str, letter: str, widths: str | None, grid: Grid) -> AttentionSpec:
    named = [name for name in ATTENTION if name[0].upper() == letter]
    if len(named) != 1:
        raise ValueError(f"attention {word!r}: expected letters of one variant among {_known()}, got {letter!r}")
    parameters = [each.name for each in fields(ATTENTION[named[0]]) if each.name in _WIDTHS]  # type: ignore[arg-type]
    state: dict[str, Any] = {"name": named[0]}
    if widths is not None and not parameters:
        raise ValueError(f"attention {word!r}: {named[0]} has no widths, got {widths!r}; leave them out")
    if widths is not None:
        numbers = [None if part == "*" else int(part) for part in widths.split("x")]
        if len(numbers) == 2:
            raise ValueError(f"attention {word!r}: expected one width or three (frames, rows, columns), got {widths!r}")
        state[parameters[0]] = numbers * 3 if len(numbers) == 1 else numbers
    elif parameters == ["block"]:
        state["block"] = [None, -(-grid.h // 2), -(-grid.w // 2)]
    return spec_from_dict(state)


def _known() -> str:
    return ", ".join(f"{name[0].upper()} ({name})" for name in ATTENTION)
