"""What the trainings of all tokenizers share: a plain autoencoder first, then codes that start in use and are kept in use.

A stage of a tokenizer says what it reads and what a good reconstruction is; this file does the rest.
"""

from __future__ import annotations

import abc
import contextlib
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from nuwa.tokenizers.quantize import Quantized, Usage
from nuwa.tokenizers.vqgan import VQGAN
from nuwa.tokenizers.vqgan_seg import VQGANSeg
from nuwa.training.ahead import Ahead
from nuwa.training.distributed import joined, parts, summed, world
from nuwa.training.optim import adamw, clipped_step, set_lr, warmup_cosine
from nuwa.training.parallel import alone, spread
from nuwa.training.precision import Precision, autocast, resolve
from nuwa.training.shared import Sums, check_shared, described

SHOWN = 8  # held-out pictures on a sheet
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
    ema: float | None = None  # decay of a moving average of the weights, which is what the training then leaves
    accumulate: int = 1  # parts in which a process computes its share of a batch, to save memory; changes no result

    def __post_init__(self) -> None:
        check_shared(self.ema, self.accumulate)


class CodebookStage(abc.ABC):
    """Satisfies :class:`nuwa.training.loop.Stage`."""

    name: str
    measure: str
    settings: CodebookTraining
    model: VQGAN | VQGANSeg

    def __init__(
        self, config: CodebookTraining, model: VQGAN | VQGANSeg, validation: Tensor,
        *, data: str, device: torch.device, workers: int | None = None,
    ) -> None:  # fmt: skip
        """``validation`` is held-out data as it is read; ``data`` names it, for the config of the checkpoint.

        ``workers`` read ahead (:mod:`nuwa.training.ahead`).
        """
        self.settings, self.device, self.data = config, device, data
        self.model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.learner = spread(self.model, device)
        self.validation = validation.to(device)
        self.precision = resolve(config.precision, device)
        self.rows = parts(config.batch, config.accumulate)
        self._ahead = Ahead(self._read, config.steps, workers=workers, device=device)
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
        return described(self.settings) | {"data": self.data, "precision": self.precision}

    @property
    def ema(self) -> float | None:
        """Decay of the average."""
        return self.settings.ema

    def tokens(self, index: int) -> int:  # noqa: ARG002  all steps are alike
        """Tokens of the step's pictures."""
        return self.settings.batch * self.model.config.grid().size

    def flops(self, index: int) -> int | None:  # noqa: ARG002  the loop asks every stage
        """Nobody counts those of tokenizers."""
        return None

    @abc.abstractmethod
    def sheet(self) -> Image.Image | None:
        """Held-out data above what is rebuilt from its tokens, on process 0."""

    @abc.abstractmethod
    def read(self, index: int, rows: range) -> Tensor:
        """These rows of what step ``index`` learns from, uint8 (b, …), on the host."""

    @abc.abstractmethod
    def channels(self, read: Tensor) -> Tensor:
        """What the encoder takes (b, c, H, W) float, on the device, of what was read."""

    @abc.abstractmethod
    def reconstruction(self, y: Tensor, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss () of outputs y for inputs x, and its parts to log."""

    @abc.abstractmethod
    def each(self, index: int, xs: Sequence[Tensor]) -> Iterable[Tensor]:
        """The parts of a step, before each of which what is trained beside the tokenizer may be set right."""

    @abc.abstractmethod
    def fooling(self, index: int, y: Tensor, reconstruction: Tensor) -> tuple[Tensor, dict[str, Tensor]] | None:
        """One more term of the loss of a part, such as that of a critic, and what to log of it; None where there is none."""

    @abc.abstractmethod
    def after(self, index: int, xs: Sequence[Tensor], ys: Sequence[Tensor], share: float) -> dict[str, Tensor] | None:
        """What follows the tokenizer's own step, with all its parts and at this share of the learning rate; what to log."""

    @property
    def whole(self) -> bool:
        """Whether this process computes a step's batch alone and at once."""
        return len(self.rows[0]) == self.settings.batch

    def at(self, share: float) -> int:
        """The step at a share of the training."""
        return round(share * self.settings.steps)

    def step(self, index: int) -> dict[str, Tensor]:
        """One step of the tokenizer and of what is trained beside it."""
        settings, model = self.settings, self.model.train()
        if index == self.at(settings.quantise_from):
            self._start_codes()
        xs = [self.channels(read).contiguous(memory_format=torch.channels_last) for read in self._ahead[index]]
        ys, choices, scalars = [], [], Sums()
        self.optimizer.zero_grad()
        for x in self.each(index, xs):
            share = len(x) / settings.batch
            with contextlib.nullcontext() if x is xs[-1] else alone(self.learner):
                y, quantized, loss, terms = self._part(index, x)
                (loss * share * world()).backward()  # the mean over the processes is then the gradient of the sum
            scalars.add({"loss": loss, **terms}, share)
            ys.append(y.detach())
            if quantized is not None:
                choices.append(model.codebook.choices(quantized))
        share = warmup_cosine(index, settings.steps)
        set_lr(self.optimizer, settings.lr * share)
        norm = clipped_step(model.parameters(), [self.optimizer], clip=1.0)
        found = scalars.read() | {"gradient_norm": norm}
        if torch.isfinite(norm):
            if choices:
                model.codebook.follow(summed(torch.stack(choices).sum(dim=0)))
            found |= self.after(index, xs, ys, share) or {}
            if self._restarts(index):
                self._restart_codes(xs)
        return found

    def _read(self, index: int) -> list[Tensor]:
        return [self.read(index, rows) for rows in self.rows]

    def _part(self, index: int, x: Tensor) -> tuple[Tensor, Quantized | None, Tensor, dict[str, Tensor]]:
        """Outputs, what the codebook chose, loss () and its parts."""
        settings = self.settings
        with autocast(self.precision, self.device):
            y, quantized = self.learner(x, quantise=index >= self.at(settings.quantise_from))
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
        return y, quantized, loss, scalars

    def _restarts(self, index: int) -> bool:
        begun = index > self.at(self.settings.quantise_from)
        return begun and index < self.at(self.settings.restart_until) and (index + 1) % self.settings.restart_every == 0

    @torch.no_grad()
    def _restart_codes(self, xs: Sequence[Tensor]) -> None:
        self.model.codebook.restart(joined(torch.cat([self._vectors(x) for x in xs])))

    @torch.no_grad()
    def _start_codes(self) -> None:
        # Fresh data with about eight vectors a code.
        config, rows = self.model.config, range(self.settings.batch)
        count = -(-8 * config.num_codes // (config.grid().size * len(rows)))
        read = (self.channels(self.read(batch, rows)) for batch in range(count))
        self.model.codebook.start_from(torch.cat([self._vectors(x) for x in read]))

    def _vectors(self, x: Tensor) -> Tensor:
        """What the encoder makes of pictures, (b, c, h, w) float32."""
        with autocast(self.precision, self.device):
            vectors = self.model.encoder(x)
        return vectors.float()

    @torch.no_grad()
    def some_rebuilt(self) -> tuple[Tensor, Tensor]:
        """Some of the validation data, and what is left of it behind the tokenizer (m, …), on the CPU."""
        model, shown = self.model.eval(), self.validation[:SHOWN]
        return shown.cpu(), model.decode(model.encode(shown))[:, 0].cpu()

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
