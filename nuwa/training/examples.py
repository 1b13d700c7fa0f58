"""From a task's description and data to what the model learns in one step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nuwa import noise
from nuwa.data.holes import holes
from nuwa.data.parts import blocks
from nuwa.data.sources import Source
from nuwa.grid import Grid
from nuwa.model.config import ConditionName
from nuwa.tasks import Target, Task, for_encoder
from nuwa.tokenizers.text import NO_WORDS, TextTokenizer, words_in
from nuwa.tokenizers.vqgan import VQGAN
from nuwa.tokenizers.vqgan_seg import VQGANSeg

ALONE = 0.75
"""Share of the batches with given frames that have just one; the others have any number."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Examples of one task."""

    grid: Grid
    tokens: Tensor  # (b, s) int64 of the target
    text_ids: Tensor  # (b, 77) int64
    text_valid: Tensor  # (b, 77) bool
    words: int  # columns of the text that are used
    sketch: Tensor | None = None  # (b, t, h, w) int64
    present: Tensor | None = None  # (b,) bool, False for samples that learn without their sketch
    known: Tensor | None = None  # (b, s) bool, cells that are given and not learnt
    partial: tuple[Tensor, Tensor] | None = None  # tokens and known cells (b, t, h, w) that the encoder reads

    @property
    def reads(self) -> dict[ConditionName, Grid]:
        """Grids of what the encoder reads."""
        found: dict[ConditionName, Grid] = {"text": Grid(self.words, 1, 1)}
        if self.sketch is not None:
            found["sketch"] = Grid(*self.sketch.shape[1:])
        if self.partial is not None:
            found["partial"] = Grid(*self.partial[0].shape[1:])
        return found

    @property
    def drawn(self) -> int:
        """Cells that are learnt."""
        return self.tokens.numel() if self.known is None else int((~self.known).sum())


@dataclass(frozen=True, kw_only=True)
class Chances:
    """What is drawn at random for the samples of a step."""

    dropped: Tensor  # (b,) bool: learns without its words and its sketch
    wordless: Tensor  # (b,) bool: learns without its words, where a task can do without
    keys: np.ndarray  # (b,) whole numbers; holes are a function of them
    batch: (
        int  # the first key of the whole batch, of which this may be a part; the number of given frames follows from it
    )


@dataclass(frozen=True, kw_only=True)
class Samples:
    """What a batch is made of, on the host: all that can be read and drawn while the device computes."""

    task: Task
    tokens: Tensor | None  # (b, t, h, w) int64, where they were encoded before
    pixels: Tensor | None  # uint8 pictures or clips, to be encoded by the device
    words: Tensor  # (b, 77) int64, as the data has them
    maps: Tensor | None  # uint8 (b, h, w) or (b, t, h, w), of tasks with sketches
    chances: Chances


class Examples:
    """Makes batches of any task, for training and for validation."""

    def __init__(
        self, sources: Mapping[Target, Source], tokenizer: VQGAN, text: TextTokenizer, sketch: VQGANSeg | None,
        *, seed: int, device: torch.device,
    ) -> None:  # fmt: skip
        self.sources, self.seed, self.device = sources, seed, device
        self.tokenizer, self.text, self.sketch = tokenizer, text, sketch
        self._held_out: dict[tuple[str, int, bool], list[Batch]] = {}

    def read(
        self, task: Task, step: int, turn: int, size: int,
        *, dropout: float, wordless: float, rows: range | None = None, frames: int | None = None,
    ) -> Samples:  # fmt: skip
        """What :meth:`batch` makes so many examples of, for training step ``step``; nothing here touches the device.

        Args:
            task: what to learn.
            step: of the training; all that is random follows from it.
            turn: steps with this kind of target before this one: which batch of the task's data is read.
            size: b.
            dropout: share of the samples that learn without words and sketch, for guidance.
            wordless: share of the samples of a task with optional text that have none.
            rows: those of the b to read, as they are in the whole; all where not given.
            frames: the first so many of each clip; all where not given.
        """
        rows = range(size) if rows is None else rows
        source = self.sources[task.target]
        if source.shards is None:
            tokens, (pixels, captions) = None, source.stream.part(turn, size, rows)
            words = self.text.encode(captions).ids
        else:
            pixels, found = None, [source.shards.tokens(*each) for each in blocks(turn, size, rows)]
            tokens, words = torch.cat([each.tokens for each in found]), torch.cat([each.text for each in found])
        maps = source.sketches()[0].part_maps(turn, size, rows) if task.sketch else None
        if task.target == "clip":
            pixels, tokens, maps = (None if each is None else each[:, :frames] for each in (pixels, tokens, maps))
        dropped = noise.uniform(noise.key("caption dropout", self.seed), step, rows) < dropout
        chances = Chances(
            dropped=torch.from_numpy(dropped & task.guided),
            wordless=torch.from_numpy(noise.uniform(noise.key("wordless", self.seed), step, rows) < wordless),
            keys=step * size + np.asarray(rows),
            batch=step * size,
        )
        return Samples(task=task, tokens=tokens, pixels=pixels, words=words, maps=maps, chances=chances)

    def drawn(self, task: Task, step: int, size: int, grid: Grid) -> int:
        """Cells that all samples of a step learn together, which are known before any is read."""
        known = self._known(task, grid, step * size + np.arange(size), step * size)
        return size * grid.size if known is None else int((~known).sum())

    def held_out(self, task: Task, size: int, *, dropped: bool = False) -> list[Batch]:
        """The validation samples in batches, with all their words, or ``dropped``, with neither words nor sketch."""
        key = (task.name, size, dropped)
        if key not in self._held_out:
            self._held_out[key] = list(self._validation(task, size, dropped))
        return self._held_out[key]

    def _validation(self, task: Task, size: int, dropped: bool) -> Iterator[Batch]:
        source = self.sources[task.target].validation
        maps = self.sources[task.target].sketches()[1] if task.sketch else None
        for start in range(0, len(source.captions), size):
            part = slice(start, start + size)
            captions = source.captions[part]
            chances = Chances(
                dropped=torch.full((len(captions),), dropped),
                wordless=torch.zeros(len(captions), dtype=torch.bool),
                keys=start + np.arange(len(captions)),
                batch=start,
            )
            samples = Samples(
                task=task, tokens=None, pixels=source.pixels[part], words=self.text.encode(captions).ids,
                maps=None if maps is None else maps[part], chances=chances,
            )  # fmt: skip
            yield self.batch(samples)

    def batch(self, samples: Samples) -> Batch:
        """The examples, on the device."""
        task, chances, words = samples.task, samples.chances, samples.words
        if samples.tokens is not None:
            tokens = self._sent(samples.tokens)
        else:
            assert samples.pixels is not None
            tokens = self.tokenizer.encode(self._sent(samples.pixels))
        grid = Grid(*tokens.shape[1:])
        if task.text != "caption":
            silent = chances.wordless | (task.text == "none")
            words = torch.where(silent[:, None], self.text.encode([NO_WORDS]).ids, words)
        words = torch.where(chances.dropped[:, None], self.text.null().ids, words)
        used = int(words_in(words).any(dim=0).sum())
        words = self._sent(words)
        sketch = present = None
        if samples.maps is not None:
            assert self.sketch is not None
            sketch, present = self.sketch.encode(self._sent(samples.maps)), self._sent(~chances.dropped)
        known = self._known(task, grid, chances.keys, chances.batch)
        partial = None
        if known is not None:
            given, shown = for_encoder(task, tokens, known)
            partial = given, self._sent(shown)
        return Batch(
            grid=grid,
            tokens=tokens.flatten(1),
            text_ids=words,
            text_valid=words_in(words),
            words=used,
            sketch=sketch,
            present=present,
            known=None if known is None else self._sent(known.flatten(1)),
            partial=partial,
        )

    def _sent(self, x: Tensor) -> Tensor:
        """``x`` on the device, which need not have finished its work before."""
        if self.device.type != "cuda":
            return x.to(self.device)
        return x.contiguous().pin_memory().to(self.device, non_blocking=True)

    def _known(self, task: Task, grid: Grid, keys: np.ndarray, batch: int) -> Tensor | None:
        """Cells that are given, bool (b, t, h, w)."""
        stream, shape = noise.key("given cells", self.seed), (len(keys), *grid.shape)
        if task.given == "first frames":
            # As many in the whole batch; mostly one, from which it cannot be seen how things move: that has to be chosen.
            number = (float(noise.uniform(stream, batch)) - ALONE) / (1 - ALONE)
            frames = 1 + int(max(0.0, number) * (grid.t - 1))
            return (torch.arange(grid.t) < frames)[None, :, None, None].expand(shape)
        if task.given == "outside the mask":
            shown = ~torch.from_numpy(holes(stream, keys, grid.h, grid.w))
            return shown[:, None].expand(shape)  # one mask for all frames, as edits of clips have it
        return None
