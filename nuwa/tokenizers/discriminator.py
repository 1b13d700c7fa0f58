"""The critic of the VQ-GAN: a patch discriminator, its losses and the adaptive weight of the adversarial term."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PatchDiscriminator(nn.Module):
    """Real or made, for every patch (pix2pix, arXiv 1611.07004), with spectral norm, so that a young critic stays tame."""

    def __init__(self, channels: int = 3, widths: Sequence[int] = (32, 64)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        c_in = channels
        for width in widths:
            layers += [_conv(c_in, width, 4, stride=2), nn.LeakyReLU(0.2)]
            c_in = width
        layers += [_conv(c_in, c_in, 3), nn.LeakyReLU(0.2), _conv(c_in, 1, 3)]
        self.layers = nn.Sequential(*layers)

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits (b, 1, h, w), positive for real, of pictures (b, 3, H, W) in [-1, 1]."""
        return self.layers(pictures)


def _conv(c_in: int, c_out: int, kernel: int, stride: int = 1) -> nn.Module:
    conv = nn.Conv2d(c_in, c_out, kernel, stride=stride, padding=1)
    return nn.utils.parametrizations.spectral_norm(conv)


def critic_loss(real: Tensor, made: Tensor) -> Tensor:
    """Hinge loss () of the critic's logits on real and on made pictures."""
    return 0.5 * (F.relu(1 - real).mean() + F.relu(1 + made).mean())


def adversarial_loss(made: Tensor) -> Tensor:
    """What the decoder minimises: the critic's negated logits on made pictures."""
    return -made.mean()


def adaptive_weight(reconstruction: Tensor, adversarial: Tensor, last_layer: Tensor, *, ceiling: float = 1e4) -> Tensor:
    """Weight () that balances the two losses' gradients at the decoder's last layer (VQGAN, equation 7)."""
    return balanced(*last_gradients(reconstruction, adversarial, last_layer), ceiling=ceiling)


def last_gradients(reconstruction: Tensor, adversarial: Tensor, last_layer: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of the two losses at a layer; those of parts of a batch add up."""
    (of_reconstruction,) = torch.autograd.grad(reconstruction, last_layer, retain_graph=True)
    (of_adversarial,) = torch.autograd.grad(adversarial, last_layer, retain_graph=True)
    return of_reconstruction, of_adversarial


def balanced(of_reconstruction: Tensor, of_adversarial: Tensor, *, ceiling: float = 1e4) -> Tensor:
    """The adaptive weight () of two gradients."""
    return (of_reconstruction.norm() / (of_adversarial.norm() + 1e-4)).clamp(0, ceiling).detach()
