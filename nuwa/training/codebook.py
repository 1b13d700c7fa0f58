"""What the trainings of all tokenizers share: a plain autoencoder first, then codes that start in use and are kept in use.

A stage of a tokenizer says what it reads and what a good reconstruction is; this file does the rest.
"""

from __future__ import annotations

import abc
import warnings
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from nuwa.tokenizers.quantize import Usage
from nuwa.tokenizers.vqgan import VQGAN
from nuwa.tokenizers.vqgan_seg import VQGANSeg
from nuwa.training.optim import adamw, set_lr, warmup_cosine
from nuwa.training.precision import Precision, autocast, resolve

PART = 128  # pictures that are measured at once


class CodebookCollapse(UserWarning):
    """Few codes are in use; reconstructions and everything learnt from the tokens will be poor."""


@dataclass(frozen=True, kw_only=True)
class CodebookTraining:
    """How a tokenizer is trained. Moments are shares of ``steps``."""

    steps: int = 1800
    batch: int = 64
    lr: float = 1.5e-3
    weight_decay: float = 1e-4
    commitment: float = 0.25
    quantise_from: float = 0.1  # a plain autoencoder before; then the codes start from k-means over its vectors
    restart_every: int = 50
    restart_until: float = 0.8
    collapse_below: float = 0.1  # share of codes in use
    precision: Precision = "auto"
    seed: int = 0


class CodebookStage(abc.ABC):
    """Satisfies :class:`nuwa.training.loop.Stage`."""

    name: str
    settings: CodebookTraining
    model: VQGAN | VQGANSeg

    def __init__(
        self, config: CodebookTraining, model: VQGAN | VQGANSeg, validation: Tensor, *, data: str, device: torch.device
    ) -> None:
        """``validation`` is held-out data as it is read; ``data`` names it, for the config of the checkpoint."""
        self.settings, self.device, self.data = config, device, data
        self.model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.validation = validation.to(device)
        self.precision = resolve(config.precision, device)
        self.optimizer = adamw(self.model.parameters(), lr=config.lr, betas=(0.9, 0.95), decay=config.weight_decay)

    @cached_property
    def modules(self) -> dict[str, nn.Module]:
        """The tokenizer."""
        return {"model": self.model}

    @cached_property
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Its optimizer."""
        return {"model": self.optimizer}

    @property
    def config(self) -> dict[str, Any]:
        """Everything that shapes the result."""
        return asdict(self.settings) | {"data": self.data, "precision": self.precision}

    @abc.abstractmethod
    def read(self, index: int) -> Tensor:
        """Channels (b, c, H, W) float that step ``index`` feeds to the encoder."""

    @abc.abstractmethod
    def reconstruction(self, y: Tensor, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss () of outputs y for inputs x, and its parts to log."""

    @abc.abstractmethod
    def fooling(self, index: int, y: Tensor, reconstruction: Tensor) -> tuple[Tensor, dict[str, Tensor]] | None:
        """One more term of the loss, such as that of a critic, and what to log of it; None where there is none."""

    @abc.abstractmethod
    def after(self, index: int, x: Tensor, y: Tensor, share: float) -> dict[str, Tensor] | None:
        """What follows the tokenizer's own step, at this share of the learning rate; scalars to log, if there are any."""

    def at(self, share: float) -> int:
        """The step at a share of the training."""
        return round(share * self.settings.steps)

    def step(self, index: int) -> dict[str, Tensor]:
        """One step of the tokenizer and of what is trained beside it."""
        settings, model = self.settings, self.model.train()
        x = self.read(index).contiguous(memory_format=torch.channels_last)
        if index == self.at(settings.quantise_from):
            self._start_codes()
        with autocast(self.precision, self.device):
            y, quantized = model(x, quantise=index >= self.at(settings.quantise_from))
            y = y.float()
            reconstruction, scalars = self.reconstruction(y, x)
            loss = reconstruction
            if quantized is not None:
                loss = loss + settings.commitment * quantized.commitment
                scalars["commitment"] = quantized.commitment
            more = self.fooling(index, y, reconstruction)
            if more is not None:
                loss = loss + more[0]
                scalars |= more[1]
        share = warmup_cosine(index, settings.steps)
        set_lr(self.optimizer, settings.lr * share)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        self.optimizer.step()
        scalars |= self.after(index, x, y.detach(), share) or {}
        if self._restarts(index):
            self._restart_codes(x)
        return {"loss": loss.detach(), **{name: value.detach() for name, value in scalars.items()}}

    def _restarts(self, index: int) -> bool:
        begun = index > self.at(self.settings.quantise_from)
        return begun and index < self.at(self.settings.restart_until) and (index + 1) % self.settings.restart_every == 0

    @torch.no_grad()
    def _restart_codes(self, x: Tensor) -> None:
        with autocast(self.precision, self.device):
            vectors = self.model.encoder(x)
        self.model.codebook.restart(vectors.float())

    @torch.no_grad()
    def _start_codes(self) -> None:
        # Fresh data with about eight vectors a code.
        config = self.model.config
        count = -(-8 * config.num_codes // (config.grid().size * self.settings.batch))
        vectors = []
        for batch in range(count):
            x = self.read(batch)
            with autocast(self.precision, self.device):
                vectors.append(self.model.encoder(x).float())
        self.model.codebook.start_from(torch.cat(vectors))

    @torch.no_grad()
    def rebuilt(self) -> tuple[Tensor, dict[str, float]]:
        """The validation data after the tokenizer (m, t, …), and how the codebook is used on it; alarms on collapse.

        ``usage`` and ``perplexity`` are of ``usage_tokens`` tokens: more tokens use more codes.
        """
        model = self.model.eval()
        tokens = torch.cat([model.encode(part) for part in self.validation.split(PART)])
        usage = Usage.of(tokens, model.config.num_codes)
        if usage.share < self.settings.collapse_below:
            warnings.warn(
                f"codebook collapse: {usage.share:.0%} of {model.config.num_codes} codes in use; "
                "lower the learning rate or the number of codes",
                CodebookCollapse,
                stacklevel=3,
            )
        rebuilt = torch.cat([model.decode(part) for part in tokens.split(PART)])
        return rebuilt, {"usage": usage.share, "perplexity": usage.perplexity, "usage_tokens": float(tokens.numel())}

    @abc.abstractmethod
    def validate(self) -> dict[str, float]:
        """Measures on held-out data."""
