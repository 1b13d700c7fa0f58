"""A model with its loss as one forward pass: what several processes wrap."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nuwa.model.nuwa import NuwaModel
from nuwa.training.examples import Batch
from nuwa.training.precision import autocast


class Learner(nn.Module):
    """The model and the cross-entropy of what it draws (paper, equations 12 and 13)."""

    def __init__(self, model: NuwaModel, precision: Literal["float32", "bfloat16"], device: torch.device) -> None:
        super().__init__()
        self.model, self.precision, self.device = model, precision, device

    def forward(self, batch: Batch) -> Tensor:
        """Mean cross-entropy () of the cells that are drawn; given cells are not learnt."""
        model = self.model
        with autocast(self.precision, self.device):
            conditions = model.conditions(
                batch.text_ids, batch.text_valid, sketch=batch.sketch, present=batch.present, partial=batch.partial
            )
            logits = model.decoder(batch.tokens, conditions, batch.grid)
        if batch.known is None:
            return F.cross_entropy(logits.float().flatten(0, 1), batch.tokens.flatten())
        return F.cross_entropy(logits[~batch.known].float(), batch.tokens[~batch.known])
