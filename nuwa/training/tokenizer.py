"""Training of the VQ-GAN: reconstruction, perceptual, commitment and adversarial terms (paper, equations 3 and 4)."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nuwa.data.streams import Stream
from nuwa.tokenizers.discriminator import PatchDiscriminator, adaptive_weight, adversarial_loss, critic_loss
from nuwa.tokenizers.perceptual import PerceptualDistance
from nuwa.tokenizers.quantize import Usage
from nuwa.tokenizers.vqgan import VQGAN, VQGANConfig, to_float
from nuwa.training.optim import adamw, set_lr, warmup_cosine
from nuwa.training.precision import Precision, autocast, resolve


class CodebookCollapse(UserWarning):
    """Few codes are in use; reconstructions and everything learnt from the tokens will be poor."""


@dataclass(frozen=True, kw_only=True)
class TokenizerTraining:
    """How a VQ-GAN is trained. Moments are shares of ``steps``."""

    model: VQGANConfig = VQGANConfig()
    steps: int = 1800
    batch: int = 64
    lr: float = 1.5e-3
    weight_decay: float = 1e-4
    perceptual: float = 3.0  # weight; 0 is none
    commitment: float = 0.25
    adversarial: float = 0.1  # weight before the adaptive one; 0 is none
    quantise_from: float = 0.1  # a plain autoencoder before; then the codes start from k-means over its vectors
    critic_from: float = 0.4  # the critic learns before it is listened to, so that no random one is
    adversarial_from: float = 0.5
    adversarial_ramp: float = 0.1
    restart_every: int = 50
    restart_until: float = 0.8
    collapse_below: float = 0.1  # share of codes in use
    precision: Precision = "auto"
    seed: int = 0


class TokenizerStage:
    """Satisfies :class:`nuwa.training.loop.Stage`."""

    name = "train tokenizer"

    def __init__(
        self, config: TokenizerTraining, stream: Stream, validation: Tensor, perceptual: PerceptualDistance | None,
        *, data: str, device: torch.device,
    ) -> None:  # fmt: skip
        """``validation`` is uint8 (m, 3, h, w); ``data`` names what the stream reads, for the config of the checkpoint."""
        self.settings, self.stream, self.device, self.data = config, stream, device, data
        torch.manual_seed(config.seed)
        self.model = VQGAN(config.model).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.critic = PatchDiscriminator(config.model.channels).to(device)
        self.perceptual = perceptual.to(device) if perceptual is not None and config.perceptual else None
        self.validation = validation.to(device)
        self.precision = resolve(config.precision, device)
        self.optimizer = adamw(self.model.parameters(), lr=config.lr, betas=(0.9, 0.95), decay=config.weight_decay)
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
        return asdict(self.settings) | {
            "data": self.data,
            "precision": self.precision,
            "perceptual_net": type(self.perceptual.net).__name__ if self.perceptual else None,
        }

    def at(self, share: float) -> int:
        """The step at a share of the training."""
        return round(share * self.settings.steps)

    def step(self, index: int) -> dict[str, Tensor]:
        """One step of the tokenizer, and of the critic once it learns."""
        settings, model = self.settings, self.model.train()
        pictures, _ = self.stream.batch(index, settings.batch)
        x = to_float(pictures.to(self.device)).contiguous(memory_format=torch.channels_last)
        if index == self.at(settings.quantise_from):
            self._start_codes()
        with autocast(self.precision, self.device):
            y, quantized = model(x, quantise=index >= self.at(settings.quantise_from))
            y = y.float()
            pixels = F.l1_loss(y, x) + F.mse_loss(y, x)
            seen = self.perceptual(y, x) if self.perceptual is not None else torch.zeros((), device=self.device)
            reconstruction = pixels + settings.perceptual * seen
            loss = reconstruction
            scalars = {"pixels": pixels, "perceptual": seen}
            if quantized is not None:
                loss = loss + settings.commitment * quantized.commitment
                scalars["commitment"] = quantized.commitment
            if settings.adversarial and index >= self.at(settings.adversarial_from):
                fooling = adversarial_loss(self.critic(y).float())
                since = index + 1 - self.at(settings.adversarial_from)
                ramp = min(1.0, since / max(1, self.at(settings.adversarial_ramp)))
                balance = adaptive_weight(reconstruction, fooling, model.last_layer)
                loss = loss + settings.adversarial * ramp * balance * fooling
                scalars |= {"adversarial": fooling, "adaptive_weight": balance}
        share = warmup_cosine(index, settings.steps)
        set_lr(self.optimizer, settings.lr * share)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        self.optimizer.step()
        if settings.adversarial and index >= self.at(settings.critic_from):
            scalars["critic"] = self._critic_step(x, y.detach(), share)
        if self._restarts(index):
            self._restart_codes(x)
        return {"loss": loss.detach(), **{name: value.detach() for name, value in scalars.items()}}

    def _critic_step(self, real: Tensor, made: Tensor, share: float) -> Tensor:
        with autocast(self.precision, self.device):
            loss = critic_loss(self.critic(real).float(), self.critic(made).float())
        set_lr(self.critic_optimizer, self.settings.lr / 2 * share)
        self.critic_optimizer.zero_grad()
        loss.backward()
        self.critic_optimizer.step()
        return loss

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
        # Fresh pictures with about eight vectors a code.
        per_picture = self.settings.model.grid().size
        count = -(-8 * self.settings.model.num_codes // (per_picture * self.settings.batch))
        vectors = []
        for batch in range(count):
            pictures, _ = self.stream.batch(batch, self.settings.batch)
            with autocast(self.precision, self.device):
                vectors.append(self.model.encoder(to_float(pictures.to(self.device))).float())
        self.model.codebook.start_from(torch.cat(vectors))

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Mean absolute error in grey levels, codebook usage and perplexity on held-out pictures; alarms on collapse."""
        self.model.eval()
        tokens = torch.cat([self.model.encode(part) for part in self.validation.split(128)])
        pictures = torch.cat([self.model.decode(part)[:, 0] for part in tokens.split(128)])
        usage = Usage.of(tokens, self.settings.model.num_codes)
        if usage.share < self.settings.collapse_below:
            warnings.warn(
                f"codebook collapse: {usage.share:.0%} of {self.settings.model.num_codes} codes in use; "
                "lower the learning rate or the number of codes",
                CodebookCollapse,
                stacklevel=2,
            )
        error = (pictures.float() - self.validation.float()).abs().mean()
        return {"val_l1_levels": float(error), "usage": usage.share, "perplexity": usage.perplexity}
