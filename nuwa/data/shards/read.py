"""Finished shards, mapped into memory: any sample by its number, without reading the others."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nuwa import files
from nuwa.data.captioned import Skipped
from nuwa.data.shards.damage import damage_of
from nuwa.data.shards.layout import MANIFEST, Plan, Receipt, lines_path, read_manifest, records_path
from nuwa.grid import Grid
from nuwa.tokenizers.digest import weights_sha256
from nuwa.tokenizers.text import TextTokenizer


@dataclass(frozen=True)
class Line:
    """What a shard holds of a sample beside its tokens."""

    row: int  # in the dataset, in which samples that could not be read have their place too
    id: str
    caption: str


class Shards:
    """The finished shards of a folder. Rows run over ``range(len(shards))``; nothing is read before it is asked for.

    Args:
        folder: what :func:`nuwa.data.shards.write_shards` wrote.
        tokenizer: the one that tokens are to be decoded with. Shards of another one are refused.

    Raises:
        ValueError: the shards are unfinished, of another tokenizer, or a file has not the size that it should have.
    """

    def __init__(self, folder: str | Path, tokenizer: nn.Module | None = None) -> None:
        self.folder = Path(folder)
        self.plan, self.receipts, self._left_out = read_manifest(self.folder)
        if tokenizer is not None:
            self._check_tokenizer(weights_sha256(tokenizer))
        for receipt in self.receipts:
            if (fault := damage_of(self.folder, self.plan, receipt, content=False)) is not None:
                raise ValueError(f"{self.folder} is damaged: {fault}; run the command that made the shards again")
        self._ends = np.cumsum([receipt.num for receipt in self.receipts])
        self._maps: dict[Path, NDArray[np.uint8]] = {}
        self._records: dict[int, np.ndarray[Any, Any]] = {}

    def __len__(self) -> int:
        return int(self._ends[-1])

    @property
    def grid(self) -> Grid:
        """Of the tokens of a sample."""
        return Grid(*self.plan.grid)

    @property
    def views(self) -> tuple[str, ...]:
        """Names of the views of every sample."""
        return self.plan.views

    @property
    def text(self) -> TextTokenizer:
        """What made the text ids."""
        return TextTokenizer.from_dict(self.plan.text)

    @property
    def skipped(self) -> list[Skipped]:
        """Samples of the dataset that are in no shard, with the reason."""
        return [*self._left_out, *(skip for receipt in self.receipts for skip in receipt.skipped)]

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of the manifest, which names the sha256 of every shard: equal only for the same bytes."""
        return files.sha256(self.folder / MANIFEST)

    def read(
        self, rows: NDArray[np.int64], views: NDArray[np.int64]
    ) -> tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]]:
        """Tokens (b, t, h, w) and text ids (b, 77), as they are stored, of ``rows`` (b,) in their ``views`` (b,)."""
        record = self.plan.record
        tokens = np.empty((len(rows), *self.plan.grid), record["tokens"].base)
        text = np.empty((len(rows), *record["text"].shape), record["text"].base)
        for shard, here, local in self._by_shard(rows):
            records = self._shard(shard)
            tokens[here] = records["tokens"][local, views[here]]
            text[here] = records["text"][local]
        return tokens, text

    def lines(self, rows: NDArray[np.int64]) -> list[Line]:
        """Ids and captions of ``rows`` (b,)."""
        found: list[Line | None] = [None] * len(rows)
        for shard, here, local in self._by_shard(rows):
            starts = self._shard(shard)["line"]
            content = self._map(lines_path(self.folder, shard))
            for at, row in zip(here.tolist(), local.tolist(), strict=True):
                end = int(starts[row + 1]) if row + 1 < len(starts) else len(content)
                found[at] = Line(**json.loads(content[int(starts[row]) : end].tobytes()))
        return [line for line in found if line is not None]

    def __getstate__(self) -> dict[str, Any]:
        """Maps stay behind: a worker's process makes its own."""
        return self.__dict__ | {"_maps": {}, "_records": {}}

    def _by_shard(self, rows: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
        """For every shard in use: its number, places in ``rows``, rows within it. IndexError for a row that is none."""
        if not len(rows):
            return
        if rows.min() < 0 or rows.max() >= len(self):
            raise IndexError(f"rows: expected 0 to {len(self) - 1}, got {rows.min()} to {rows.max()}")
        shards = np.searchsorted(self._ends, rows, side="right")
        order = np.argsort(shards, kind="stable")
        numbers, first = np.unique(shards[order], return_index=True)
        for shard, here in zip(numbers.tolist(), np.split(order, first[1:]), strict=True):
            yield shard, here, rows[here] - (self._ends[shard] - self.receipts[shard].num)

    def _shard(self, shard: int) -> np.ndarray[Any, Any]:
        if shard not in self._records:
            path = records_path(self.folder, shard)
            self._records[shard] = _as_records(path, self._map(path), self.plan, self.receipts[shard])
        return self._records[shard]

    def _map(self, path: Path) -> NDArray[np.uint8]:
        # torch's map, unlike numpy's, keeps no file open, so the limit on open files is none on the number of shards.
        if path not in self._maps:
            size = path.stat().st_size
            mapped = torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8).numpy()
            mapped.flags.writeable = False
            self._maps[path] = mapped
        return self._maps[path]

    def _check_tokenizer(self, wanted: str) -> None:
        if wanted != self.plan.tokenizer_sha256:
            raise ValueError(
                f"{self.folder}: expected shards made with the tokenizer {wanted}, got those of "
                f"{self.plan.tokenizer_sha256}; tokens mean nothing to another tokenizer, so pass the one that made them, "
                "or make shards with this one: nox -s tokenize -- --tokenizer FILE --out ANOTHER_FOLDER"
            )


def _as_records(path: Path, content: NDArray[np.uint8], plan: Plan, receipt: Receipt) -> np.ndarray[Any, Any]:
    """The records behind the header of a .npy file. ValueError where it describes other ones."""
    begin = len(content) - receipt.num * plan.record.itemsize
    header = content[:begin].tobytes()
    expected = {"descr": np.lib.format.dtype_to_descr(plan.record), "fortran_order": False, "shape": (receipt.num,)}
    try:
        found = ast.literal_eval(header[10:].decode("latin-1").strip())
    except (ValueError, SyntaxError):
        found = None
    if header[:6] != b"\x93NUMPY" or found != expected:
        raise ValueError(f"{path}: expected {receipt.num} records as the manifest describes them, got another header")
    return content[begin:].view(plan.record)
