"""Training of the VQ-GAN: reconstruction, perceptual, commitment and adversarial terms (paper, equations 3 and 4)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from nuwa.data.streams import Stream
from nuwa.tokenizers.discriminator import PatchDiscriminator, adversarial_loss, balanced, critic_loss, last_gradients
from nuwa.tokenizers.perceptual import PerceptualDistance
from nuwa.tokenizers.vqgan import VQGAN, VQGANConfig, to_float
from nuwa.training.codebook import CodebookStage, CodebookTraining
from nuwa.training.distributed import summed, world
from nuwa.training.optim import adamw, clipped_step, set_lr
from nuwa.training.parallel import alone, spread
from nuwa.training.precision import autocast
from nuwa.training.shared import Sums
from nuwa.training.sheets import pairs_sheet


@dataclass(frozen=True, kw_only=True)
class TokenizerTraining(CodebookTraining):
    """How a VQ-GAN is trained. Moments are shares of ``steps``."""

    model: VQGANConfig = VQGANConfig()
    perceptual: float = 3.0  # weight; 0 is none
    adversarial: float = 0.1  # weight before the adaptive one; 0 is none
    critic_from: float = 0.4  # the critic learns before it is listened to, so that no random one is
    adversarial_from: float = 0.5
    adversarial_ramp: float = 0.1


class TokenizerStage(CodebookStage):
    """The VQ-GAN and its critic."""

    name, measure = "train tokenizer", "val_l1_levels"
    settings: TokenizerTraining
    model: VQGAN

    def __init__(
        self, config: TokenizerTraining, stream: Stream, validation: Tensor, perceptual: PerceptualDistance | None,
        *, data: str, device: torch.device, workers: int | None = None,
    ) -> None:  # fmt: skip
        """``validation`` is uint8 (m, 3, h, w); ``data`` names what the stream reads, for the config of the checkpoint."""
        self.stream = stream
        torch.manual_seed(config.seed)
        model = VQGAN(config.model)
        self.critic = PatchDiscriminator(config.model.channels).to(device)
        self.perceptual = perceptual.to(device) if perceptual is not None and config.perceptual else None
        super().__init__(config, model, validation, data=data, device=device, workers=workers)
        self.critic_learner = spread(CriticLearner(self.critic), device)
        self._balance = torch.ones((), device=device)
        self._sizes: Tensor | None = None
        self.critic_optimizer = adamw(self.critic.parameters(), lr=config.lr / 2, betas=(0.5, 0.9), decay=0.0)

    @cached_property
    def modules(self) -> dict[str, nn.Module]:
        """The tokenizer and its critic."""
        return {"model": self.model, "critic": self.critic}

    @cached_property
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Of the tokenizer and its critic."""
        return {"model": self.optimizer, "critic": self.critic_optimizer}

    @property
    def config(self) -> dict[str, Any]:
        """Everything that shapes the result."""
        return super().config | {"perceptual_net": type(self.perceptual.net).__name__ if self.perceptual else None}

    def read(self, index: int, rows: range) -> Tensor:
        """Pictures uint8 (b, 3, H, W)."""
        return self.stream.part(index, self.settings.batch, rows)[0]

    def channels(self, read: Tensor) -> Tensor:
        """Pictures (b, 3, H, W) in [-1, 1]."""
        return to_float(read.to(self.device))

    def reconstruction(self, y: Tensor, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Absolute and squared error of the pixels, and the distance of the features."""
        pixels = F.l1_loss(y, x) + F.mse_loss(y, x)
        seen = (
            self.perceptual(y, x, self._sizes) if self.perceptual is not None else torch.zeros((), device=self.device)
        )
        return pixels + self.settings.perceptual * seen, {"pixels": pixels, "perceptual": seen}

    def each(self, index: int, xs: Sequence[Tensor]) -> Iterable[Tensor]:
        """The parts; what is relative to a whole batch is taken over all of them before."""
        if self.whole:
            return xs
        if self.perceptual is not None:
            with autocast(self.precision, self.device):
                sizes = [self.perceptual.sizes(x) * (len(x) / self.settings.batch) for x in xs]
            self._sizes = summed(torch.stack(sizes).sum(dim=0))
        if len(xs) > 1 and self._listened(index):
            self._balance = self._balanced(index, xs)
        return again(self.critic, xs)

    def _balanced(self, index: int, xs: Sequence[Tensor]) -> Tensor:
        """The adaptive weight over all parts; it has to be known before the gradient of any of them is."""
        before = [buffer.clone() for buffer in self.critic.buffers()]
        gradients = []
        for x in again(self.critic, xs):
            with autocast(self.precision, self.device):
                y, _ = self.model(x, quantise=index >= self.at(self.settings.quantise_from))
                y = y.float()
                reconstruction, _ = self.reconstruction(y, x)
                fooling = adversarial_loss(self.critic(y).float())
            gradients.append(self._last_gradients(reconstruction, fooling, len(x)))
        restore(self.critic, before)
        return balanced(*(summed(torch.stack(parts).sum(dim=0)) for parts in zip(*gradients, strict=True)))

    def fooling(self, index: int, y: Tensor, reconstruction: Tensor) -> tuple[Tensor, dict[str, Tensor]] | None:
        """The adversarial term, from the moment on when the critic is listened to."""
        settings = self.settings
        if not self._listened(index):
            return None
        fooling = adversarial_loss(self.critic(y).float())
        since = index + 1 - self.at(settings.adversarial_from)
        ramp = min(1.0, since / max(1, self.at(settings.adversarial_ramp)))
        balance = self._balance
        if len(self.rows) == 1:
            balance = balanced(*map(summed, self._last_gradients(reconstruction, fooling, len(y))))
        return settings.adversarial * ramp * balance * fooling, {"adversarial": fooling, "adaptive_weight": balance}

    def after(self, index: int, xs: Sequence[Tensor], ys: Sequence[Tensor], share: float) -> dict[str, Tensor] | None:
        """One step of the critic, once it learns."""
        if not self.settings.adversarial or index < self.at(self.settings.critic_from):
            return None
        self.critic_optimizer.zero_grad()
        found = Sums()
        for x, y in zip(again(self.critic, xs), ys, strict=True):
            part = len(x) / self.settings.batch
            with contextlib.nullcontext() if x is xs[-1] else alone(self.critic_learner):
                with autocast(self.precision, self.device):
                    loss = self.critic_learner(x, y)
                (loss * part * world()).backward()
            found.add({"critic": loss}, part)
        set_lr(self.critic_optimizer, self.settings.lr / 2 * share)
        clipped_step(self.critic.parameters(), [self.critic_optimizer])
        return found.read()

    def _listened(self, index: int) -> bool:
        return bool(self.settings.adversarial) and index >= self.at(self.settings.adversarial_from)

    def _last_gradients(self, reconstruction: Tensor, fooling: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """Of a part of so many pictures, as its share of the whole."""
        found = last_gradients(reconstruction, fooling, self.model.last_layer)
        return found[0] * (size / self.settings.batch), found[1] * (size / self.settings.batch)

    def sheet(self) -> Image.Image:
        """Held-out pictures above what is rebuilt from their tokens."""
        return pairs_sheet(*self.some_rebuilt())

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Mean absolute error in grey levels, codebook usage and perplexity on held-out pictures; alarms on collapse."""
        rebuilt, usage = self.rebuilt()
        error = (rebuilt[:, 0].float() - self.validation.float()).abs().mean()
        return {"val_l1_levels": float(error), **usage}


class CriticLearner(nn.Module):
    """The critic and its loss as one forward pass."""

    def __init__(self, critic: PatchDiscriminator) -> None:
        super().__init__()
        self.critic = critic

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Loss () on real and on made pictures (b, 3, H, W)."""
        return critic_loss(self.critic(x).float(), self.critic(y).float())


def again(module: nn.Module, parts: Sequence[Tensor]) -> Iterator[Tensor]:
    """Parts of a batch, each with the module's buffers as they were before the first.

    What a forward pass moves, such as the vectors of spectral norm, is then moved by all of them as by the whole.
    """
    before = [buffer.clone() for buffer in module.buffers()] if len(parts) > 1 else []
    for place, part in enumerate(parts):
        if place:
            restore(module, before)
        yield part


def restore(module: nn.Module, buffers: Sequence[Tensor]) -> None:
    """Set a module's buffers to copies that were taken before."""
    for buffer, value in zip(module.buffers(), buffers, strict=True):
        buffer.copy_(value)
