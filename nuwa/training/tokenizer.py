"""Training of the VQ-GAN: reconstruction, perceptual, commitment and adversarial terms (paper, equations 3 and 4)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nuwa.data.streams import Stream
from nuwa.tokenizers.discriminator import PatchDiscriminator, adaptive_weight, adversarial_loss, critic_loss
from nuwa.tokenizers.perceptual import PerceptualDistance
from nuwa.tokenizers.vqgan import VQGAN, VQGANConfig, to_float
from nuwa.training.codebook import CodebookStage, CodebookTraining
from nuwa.training.optim import adamw, set_lr
from nuwa.training.precision import autocast


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

    name = "train tokenizer"
    settings: TokenizerTraining
    model: VQGAN

    def __init__(
        self, config: TokenizerTraining, stream: Stream, validation: Tensor, perceptual: PerceptualDistance | None,
        *, data: str, device: torch.device,
    ) -> None:  # fmt: skip
        """``validation`` is uint8 (m, 3, h, w); ``data`` names what the stream reads, for the config of the checkpoint."""
        self.stream = stream
        torch.manual_seed(config.seed)
        model = VQGAN(config.model)
        self.critic = PatchDiscriminator(config.model.channels).to(device)
        self.perceptual = perceptual.to(device) if perceptual is not None and config.perceptual else None
        super().__init__(config, model, validation, data=data, device=device)
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

    def read(self, index: int) -> Tensor:
        """Pictures (b, 3, H, W) in [-1, 1]."""
        pictures, _ = self.stream.batch(index, self.settings.batch)
        return to_float(pictures.to(self.device))

    def reconstruction(self, y: Tensor, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Absolute and squared error of the pixels, and the distance of the features."""
        pixels = F.l1_loss(y, x) + F.mse_loss(y, x)
        seen = self.perceptual(y, x) if self.perceptual is not None else torch.zeros((), device=self.device)
        return pixels + self.settings.perceptual * seen, {"pixels": pixels, "perceptual": seen}

    def fooling(self, index: int, y: Tensor, reconstruction: Tensor) -> tuple[Tensor, dict[str, Tensor]] | None:
        """The adversarial term, from the moment on when the critic is listened to."""
        settings = self.settings
        if not settings.adversarial or index < self.at(settings.adversarial_from):
            return None
        fooling = adversarial_loss(self.critic(y).float())
        since = index + 1 - self.at(settings.adversarial_from)
        ramp = min(1.0, since / max(1, self.at(settings.adversarial_ramp)))
        balance = adaptive_weight(reconstruction, fooling, self.model.last_layer)
        return settings.adversarial * ramp * balance * fooling, {"adversarial": fooling, "adaptive_weight": balance}

    def after(self, index: int, x: Tensor, y: Tensor, share: float) -> dict[str, Tensor] | None:
        """One step of the critic, once it learns."""
        if not self.settings.adversarial or index < self.at(self.settings.critic_from):
            return None
        with autocast(self.precision, self.device):
            loss = critic_loss(self.critic(x).float(), self.critic(y).float())
        set_lr(self.critic_optimizer, self.settings.lr / 2 * share)
        self.critic_optimizer.zero_grad()
        loss.backward()
        self.critic_optimizer.step()
        return {"critic": loss}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Mean absolute error in grey levels, codebook usage and perplexity on held-out pictures; alarms on collapse."""
        rebuilt, usage = self.rebuilt()
        error = (rebuilt[:, 0].float() - self.validation.float()).abs().mean()
        return {"val_l1_levels": float(error), **usage}
