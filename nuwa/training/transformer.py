"""Training of the model: cross-entropy of every cell's token (paper, equation 12)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nuwa import noise
from nuwa.data.shards.stream import ShardStream
from nuwa.data.streams import Stream
from nuwa.model.config import ModelConfig
from nuwa.model.nuwa import NuwaModel
from nuwa.tokenizers.text import TextTokenizer, words_in
from nuwa.tokenizers.vqgan import VQGAN
from nuwa.training.optim import adamw, muon, set_lr, warmup_cosine
from nuwa.training.precision import Precision, autocast, resolve


@dataclass(frozen=True, kw_only=True)
class TransformerTraining:
    """How the model is trained."""

    steps: int = 2000
    batch: int = 64
    lr: float = 4e-3
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.01
    clip: float = 1.0
    caption_dropout: float = 0.1  # share of samples that learn without their caption, for guidance
    precision: Precision = "auto"
    seed: int = 0


class TransformerStage:
    """Satisfies :class:`nuwa.training.loop.Stage`."""

    name = "train transformer"

    def __init__(
        self, model: ModelConfig, config: TransformerTraining, stream: Stream | ShardStream, tokenizer: VQGAN,
        text: TextTokenizer, validation: tuple[Tensor, Sequence[str]], *, origin: dict[str, Any], device: torch.device,
    ) -> None:  # fmt: skip
        """``validation`` is pictures uint8 (m, 3, h, w) and captions; ``origin`` names data and tokenizer."""
        self.settings, self.stream, self.text, self.device, self.origin = config, stream, text, device, origin
        torch.manual_seed(config.seed)
        self.tokenizer = tokenizer.to(device).eval()
        self.model = NuwaModel(model).to(device)
        self.precision = resolve(config.precision, device)
        layers = [*self.model.encoder.layers, *self.model.decoder.layers]
        self.matrices = muon(layers, lr=config.lr, decay=config.weight_decay)
        hidden = {id(p) for group in self.matrices.param_groups for p in group["params"]}
        others = [p for p in self.model.parameters() if id(p) not in hidden]
        self.others = adamw(others, lr=config.lr, betas=config.betas, decay=config.weight_decay)
        pictures, captions = validation
        self.validation = [
            (self._tokens(part), captions[start : start + config.batch])
            for start, part in zip(range(0, len(pictures), config.batch), pictures.split(config.batch), strict=True)
        ]

    @cached_property
    def modules(self) -> dict[str, nn.Module]:
        """The model alone; the tokenizer stays as it is."""
        return {"model": self.model}

    @cached_property
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Muon for the matrices of the layers, AdamW for embeddings, head, norms and biases."""
        return {"matrices": self.matrices, "others": self.others}

    @property
    def config(self) -> dict[str, Any]:
        """Everything that shapes the result."""
        return {
            "model": self.model.config.to_dict(),
            "training": asdict(self.settings),
            "text": self.text.to_dict(),
            "precision": self.precision,
            **self.origin,
        }

    def step(self, index: int) -> dict[str, Tensor]:
        """One optimizer step."""
        settings, model = self.settings, self.model.train()
        tokens, words = self._read(index)
        draws = noise.uniform(noise.key("caption dropout", settings.seed), index, range(settings.batch))
        ids, valid = self._text(words, torch.from_numpy(draws < settings.caption_dropout))
        loss = self._loss(tokens, ids, valid)
        model.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        for optimizer in self.optimizers.values():
            set_lr(optimizer, settings.lr * warmup_cosine(index, settings.steps))
            optimizer.step()
        return {"loss": loss.detach(), "gradient_norm": norm.detach()}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Cross-entropy in nats a token on held-out pictures, with their captions and without."""
        self.model.eval()
        losses = []
        for tokens, captions in self.validation:
            words, nothing = self.text.encode(captions).ids, torch.zeros(len(captions), dtype=torch.bool)
            with_text = self._loss(tokens, *self._text(words, nothing))
            without = self._loss(tokens, *self._text(words, ~nothing))
            losses.append(torch.stack([with_text, without]) * len(captions))
        total = sum(len(captions) for _, captions in self.validation)
        with_text, without = (torch.stack(losses).sum(dim=0) / total).tolist()
        return {"val_loss": with_text, "val_loss_without_caption": without}

    def _read(self, index: int) -> tuple[Tensor, Tensor]:
        """Tokens (b, s) and text ids (b, 77) of a step: encoded here, or as shards have them."""
        if isinstance(self.stream, ShardStream):
            batch = self.stream.tokens(index, self.settings.batch)
            return batch.tokens.flatten(1).to(self.device), batch.text
        pictures, captions = self.stream.batch(index, self.settings.batch)
        return self._tokens(pictures), self.text.encode(captions).ids

    def _tokens(self, pictures: Tensor) -> Tensor:
        return self.tokenizer.encode(pictures.to(self.device)).flatten(1)

    def _text(self, words: Tensor, dropped: Tensor) -> tuple[Tensor, Tensor]:
        """Ids (b, 77) without those that are dropped, and where they are words."""
        ids = torch.where(dropped[:, None], self.text.null().ids, words).to(self.device)
        return ids, words_in(ids)

    def _loss(self, tokens: Tensor, ids: Tensor, valid: Tensor) -> Tensor:
        with autocast(self.precision, self.device):
            logits = self.model(tokens, ids, valid)
        return F.cross_entropy(logits.float().flatten(0, 1), tokens.flatten())
