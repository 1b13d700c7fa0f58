"""One shard: read its samples, encode them, write records and lines, and last of all the receipt."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nuwa import files
from nuwa.data.captioned import CaptionedClips, CaptionedPictures, Skipped
from nuwa.data.shards.claims import Claims
from nuwa.data.shards.layout import Plan, Receipt, lines_path, read_receipt, receipt_path, records_path, write_state
from nuwa.data.shards.views import VIEWS
from nuwa.tokenizers.text import TextTokenizer, clean
from nuwa.tokenizers.vqgan import VQGAN

Samples = CaptionedPictures | CaptionedClips


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """All that is needed to make any shard of a folder."""

    folder: Path
    plan: Plan
    samples: Samples
    tokenizer: VQGAN
    text: TextTokenizer

    def make(self, shard: int, claims: Claims) -> Receipt | None:
        """Make ``shard`` unless it is there already; None where another process is making it."""
        with claims.on(shard) as mine:
            if not mine:
                return None
            return read_receipt(self.folder, shard) or self._make(shard)

    def _make(self, shard: int) -> Receipt:
        for path in (records_path, lines_path, receipt_path):
            for part in self.folder.glob(f".{path(self.folder, shard).name}.*.part"):  # of a writer that was killed
                part.unlink(missing_ok=True)
        made = _Shard(self.plan)
        with torch.no_grad(), one_thread(self.plan.device):
            for rows in _chunks(self.plan.rows(shard), self._per_batch):
                self._encode(rows, made)
        records, lines = records_path(self.folder, shard), lines_path(self.folder, shard)
        with files.atomic(records) as temporary, temporary.open("wb") as handle:
            np.save(handle, made.records, allow_pickle=False)
        with files.atomic(lines) as temporary:
            temporary.write_bytes(made.lines)
        receipt = Receipt(
            shard=shard,
            num=len(made.records),
            records_sha256=files.sha256(records),
            records_bytes=records.stat().st_size,
            lines_sha256=files.sha256(lines),
            lines_bytes=lines.stat().st_size,
            truncated=made.truncated,
            unknown=made.unknown,
            skipped=tuple(made.skipped),
        )
        write_state(receipt_path(self.folder, shard), receipt.to_dict())
        return receipt

    @property
    def _per_batch(self) -> int:
        return max(1, self.plan.batch // self.plan.grid[0])

    def _encode(self, rows: range, made: _Shard) -> None:
        """Add what can be read of ``rows``; always the same samples in one batch, so that the tokens are the same."""
        good, pixels = [], []
        for row in rows:
            try:
                pixels.append(self._read(row))
                good.append(row)
            except (ValueError, OSError) as error:  # what readers raise for a file that they cannot read
                made.skipped.append(Skipped(self.samples.ids[row], str(error)))
        if not good:
            return
        device = self.tokenizer.codebook.codes.device
        stacked = torch.stack(pixels)
        views = [VIEWS[name](stacked, self.plan.size_px) for name in self.plan.views]
        tokens = torch.stack([self.tokenizer.encode(view.to(device)).cpu() for view in views], dim=1)
        made.add(good, tokens, self.samples, self.text)

    def _read(self, row: int) -> Tensor:
        if not clean(self.samples.captions[row]):
            raise ValueError("empty caption")
        return self.samples.clip(row) if isinstance(self.samples, CaptionedClips) else self.samples.image(row)


class _Shard:
    """A shard while it grows."""

    def __init__(self, plan: Plan) -> None:
        self._parts: list[np.ndarray[Any, Any]] = [np.empty(0, plan.record)]
        self.lines, self.truncated, self.unknown = bytearray(), 0, 0
        self.skipped: list[Skipped] = []

    @property
    def records(self) -> np.ndarray[Any, Any]:
        """All samples so far, one after the other."""
        return np.concatenate(self._parts)

    def add(self, rows: list[int], tokens: Tensor, samples: Samples, text: TextTokenizer) -> None:
        """Add samples with tokens (b, views, t, h, w) int64."""
        captions = [samples.captions[row] for row in rows]
        words = text.encode(captions)
        part: np.ndarray[Any, Any] = np.empty(len(rows), self._parts[0].dtype)
        part["tokens"], part["text"] = tokens.numpy(), words.ids.numpy()
        for at, (row, caption) in enumerate(zip(rows, captions, strict=True)):
            part["line"][at] = len(self.lines)
            line = json.dumps({"row": row, "id": samples.ids[row], "caption": caption})  # ASCII: any name comes through
            self.lines += line.encode("ascii") + b"\n"
        self._parts.append(part)
        self.truncated += len(words.truncated)
        self.unknown += words.unknown


@contextlib.contextmanager
def one_thread(device: str) -> Iterator[None]:
    """One thread on a CPU: sums come out in one order, and writers are processes that share the cores."""
    before = torch.get_num_threads()
    if device == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _chunks(rows: range, size: int) -> Iterator[range]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
