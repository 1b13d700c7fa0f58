"""A model with its loss as one forward pass: what several processes wrap."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nuwa.attention.whole import compile_whole
from nuwa.model.nuwa import NuwaModel
from nuwa.tokenizers.text import TEXT_GRID
from nuwa.training.compiled import compile_layers
from nuwa.training.examples import Batch
from nuwa.training.precision import autocast

GIVEN = -100
"""Stands for the token of a cell that is given."""

WORD_STEP = 16
"""Texts are compiled for their length rounded up to a multiple of this, so that there are few graphs."""


class Learner(nn.Module):
    """The model and the cross-entropy of what it draws (paper, equations 12 and 13)."""

    def __init__(self, model: NuwaModel, precision: Literal["float32", "bfloat16"], device: torch.device) -> None:
        super().__init__()
        self.model, self.precision, self.device = model, precision, device
        self.loss, self.word_step = drawn_loss, 1

    def fuse(self) -> None:
        """Compile what every cell does alone, of layers and loss (:mod:`nuwa.training.compiled`)."""
        compile_layers([*self.model.encoder.layers, *self.model.decoder.layers])
        self.loss, self.word_step = compile_whole(drawn_loss), WORD_STEP

    def forward(self, batch: Batch) -> Tensor:
        """Mean cross-entropy () of the cells that are drawn; given cells are not learnt."""
        model, words = self.model, -(-batch.words // self.word_step) * self.word_step
        with autocast(self.precision, self.device):
            conditions = model.conditions(
                batch.text_ids, batch.text_valid, sketch=batch.sketch, present=batch.present, partial=batch.partial,
                words=min(words, TEXT_GRID.size),
            )  # fmt: skip
            logits = model.decoder(batch.tokens, conditions, batch.grid)
        return self.loss(logits, batch.tokens, batch.known)


def drawn_loss(logits: Tensor, tokens: Tensor, known: Tensor | None) -> Tensor:
    """Mean cross-entropy () of logits (b, s, v) and tokens (b, s) int64, over the cells that are not ``known`` (b, s) bool."""
    if known is not None:
        tokens = tokens.masked_fill(known, GIVEN)
    return F.cross_entropy(logits.float().flatten(0, 1), tokens.flatten(), ignore_index=GIVEN)
