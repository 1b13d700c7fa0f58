"""What a folder of shards holds, to the byte (docs/shards.md), and the plan that fixes it before anything is encoded.

``plan.json``       everything that shapes the bytes of the shards
``00000.npy``       the samples of shard 0 as records: tokens of every view, text ids, where its line begins
``00000.jsonl``     a line for each of them: ``{"row", "id", "caption"}``
``00000.json``      the receipt: the shard is whole, with the sha256 of both files and what was left out
``manifest.json``   plan and receipts together: all shards are there
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from nuwa import files
from nuwa.data.captioned import Skipped
from nuwa.data.shards.views import check_views
from nuwa.grid import Grid
from nuwa.tokenizers.text import TEXT_GRID

SCHEMA = "nuwa-shards-1"
PLAN, MANIFEST = "plan.json", "manifest.json"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that shapes the bytes of the shards. Equal plans give equal bytes, however many writers there are."""

    dataset: str
    version: str
    split: str
    fingerprint: str  # of the dataset
    num: int  # samples of the dataset
    tokenizer_sha256: str  # nuwa.tokenizers.digest.weights_sha256
    num_codes: int
    size_px: int  # side of the squares that are encoded
    grid: tuple[int, int, int]
    views: tuple[str, ...]
    text: dict[str, Any]  # TextTokenizer.to_dict
    vocab_size: int
    samples_per_shard: int
    batch: int  # frames that are encoded at once; another number may turn near ties round
    device: str  # what encoded them, for the same reason
    torch: str

    def __post_init__(self) -> None:
        check_views(self.views)
        if self.samples_per_shard < 1 or self.batch < 1 or self.num < 1:
            raise ValueError(
                f"shards: expected samples, samples_per_shard and batch of at least 1, got {self.num}, "
                f"{self.samples_per_shard} and {self.batch}"
            )

    @property
    def num_shards(self) -> int:
        """The last shard may hold fewer samples than the others."""
        return -(-self.num // self.samples_per_shard)

    @property
    def record(self) -> np.dtype[Any]:
        """Layout of one sample, little-endian, without padding."""
        t, h, w = self.grid
        return np.dtype(
            [
                ("tokens", _smallest(self.num_codes), (len(self.views), t, h, w)),
                ("text", _smallest(self.vocab_size), (TEXT_GRID.size,)),
                ("line", "<u8"),  # byte at which its line begins in the file of lines
            ]
        )

    def rows(self, shard: int) -> range:
        """Samples of the dataset that belong to ``shard``."""
        first = shard * self.samples_per_shard
        return range(first, min(first + self.samples_per_shard, self.num))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"schema": SCHEMA, **asdict(self), "grid": list(self.grid), "views": list(self.views)}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`. TypeError for unknown or missing keys."""
        state = {name: value for name, value in state.items() if name != "schema"}
        grid, views = Grid(*state["grid"]).shape, tuple(state["views"])
        return cls(**state | {"grid": grid, "views": views})


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What one shard holds."""

    shard: int
    num: int  # samples that are in it
    records_sha256: str
    records_bytes: int
    lines_sha256: str
    lines_bytes: int
    truncated: int  # captions that lost words at the end of the 77 tokens
    unknown: int  # word pieces that the text tokenizer does not know
    skipped: tuple[Skipped, ...]  # samples that could not be read, with the reason

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self) | {"skipped": [asdict(skip) for skip in self.skipped]}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`. TypeError for unknown or missing keys."""
        return cls(**state | {"skipped": tuple(Skipped(**skip) for skip in state["skipped"])})


def records_path(folder: Path, shard: int) -> Path:
    """The samples of a shard."""
    return folder / f"{shard:05d}.npy"


def lines_path(folder: Path, shard: int) -> Path:
    """Ids and captions of a shard."""
    return folder / f"{shard:05d}.jsonl"


def receipt_path(folder: Path, shard: int) -> Path:
    """The receipt of a shard."""
    return folder / f"{shard:05d}.json"


def read_plan(folder: Path) -> Plan | None:
    """The plan in ``folder``, None where there is none. ValueError where it is damaged or of another kind."""
    state = _read(folder / PLAN)
    try:
        return None if state is None else Plan.from_dict(state)
    except (TypeError, KeyError) as error:
        raise ValueError(f"{folder / PLAN} is damaged ({error}); remove it and make the shards again") from error


def read_receipt(folder: Path, shard: int) -> Receipt | None:
    """The receipt of ``shard``, None where there is none or where it is damaged."""
    try:
        return Receipt.from_dict(json.loads(receipt_path(folder, shard).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def write_manifest(folder: Path, plan: Plan, receipts: Sequence[Receipt], skipped: Sequence[Skipped]) -> None:
    """Write ``manifest.json``; ``skipped`` is what the dataset itself left out."""
    state = plan.to_dict() | {
        "skipped": [asdict(skip) for skip in skipped],
        "shards": [receipt.to_dict() for receipt in receipts],
    }
    write_state(folder / MANIFEST, state)


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write plain JSON values in ASCII, atomically: file names need not be text."""
    files.write_text(path, json.dumps(state, indent=2, allow_nan=False) + "\n")


def read_manifest(folder: Path) -> tuple[Plan, list[Receipt], list[Skipped]]:
    """Plan, receipts, and what the dataset itself left out. ValueError where there are no finished shards."""
    state = _read(folder / MANIFEST)
    if state is None:
        begun = (folder / PLAN).exists()
        raise ValueError(
            f"{folder}: expected finished shards with a {MANIFEST}, got "
            + ("some that are not finished; run the command that began them again" if begun else "none")
            + ("" if begun else "; make them with nox -s tokenize")
        )
    try:
        receipts = [Receipt.from_dict(each) for each in state.pop("shards")]
        skipped = [Skipped(**skip) for skip in state.pop("skipped")]
        plan = Plan.from_dict(state)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{folder / MANIFEST} is damaged ({error}); make the shards again") from error
    if [receipt.shard for receipt in receipts] != list(range(plan.num_shards)):
        raise ValueError(f"{folder / MANIFEST} is damaged (it lists {len(receipts)} shards); make the shards again")
    return plan, receipts, skipped


def _read(path: Path) -> dict[str, Any] | None:
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); remove it and make the shards again") from error
    if not isinstance(state, dict) or state.get("schema") != SCHEMA:
        found = state.get("schema") if isinstance(state, dict) else type(state).__name__
        raise ValueError(f"{path}: expected the schema {SCHEMA}, got {found}; make the shards again")
    return state


def _smallest(num: int) -> str:
    """The smaller of the two formats that hold whole numbers below ``num``."""
    return "<u2" if num <= 1 << 16 else "<i4"
