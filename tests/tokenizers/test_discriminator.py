"""The critic: patches, losses in closed form, and the weight that balances two gradients."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nuwa.tokenizers.discriminator import PatchDiscriminator, adaptive_weight, adversarial_loss, critic_loss


@pytest.mark.parametrize(("size_px", "widths", "patches"), [(32, (8, 16), 8), (16, (8,), 8), (64, (4, 8, 8), 8)])
def test_one_logit_a_patch(size_px: int, widths: tuple[int, ...], patches: int) -> None:
    logits = PatchDiscriminator(widths=widths)(torch.zeros(2, 3, size_px, size_px))
    assert logits.shape == (2, 1, patches, patches)


def test_a_patch_sees_its_own_part_of_the_picture() -> None:
    critic, x = PatchDiscriminator(widths=(4, 8)).eval(), torch.randn(1, 3, 64, 64)
    x.requires_grad_()
    (seen,) = torch.autograd.grad(critic(x)[0, 0, 0, 0], x)
    rows = torch.nonzero(seen[0].abs().sum(dim=(0, 2))).flatten()
    assert rows.max() < 32  # a quarter of the picture decides about its corner


def test_every_layer_is_tame() -> None:
    """Spectral norm: no convolution's matrix stretches a vector, once the power iteration has settled."""
    critic = PatchDiscriminator(widths=(8, 16))
    with torch.no_grad():
        for _ in range(100):
            critic(torch.zeros(1, 3, 16, 16))
    convolutions = [layer for layer in critic.layers if isinstance(layer, nn.Conv2d)]
    assert len(convolutions) == 4
    norms = [torch.linalg.matrix_norm(conv.weight.flatten(1), ord=2).item() for conv in convolutions]
    assert norms == pytest.approx([1.0] * 4, abs=0.02)


@pytest.mark.parametrize(
    ("real", "made", "loss"),
    [(1.0, -1.0, 0.0), (5.0, -9.0, 0.0), (0.0, 0.0, 1.0), (-1.0, 1.0, 2.0), (0.5, -1.0, 0.25), (1.0, 0.0, 0.5)],
)
def test_hinge_loss(real: float, made: float, loss: float) -> None:
    shape = (2, 1, 3, 3)
    assert critic_loss(torch.full(shape, real), torch.full(shape, made)).item() == pytest.approx(loss)


def test_fooling_pays() -> None:
    made = torch.tensor([[1.0, -3.0]], requires_grad=True)
    loss = adversarial_loss(made)
    assert loss.item() == 1.0
    assert torch.autograd.grad(loss, made)[0].tolist() == [[-0.5, -0.5]]


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
def test_adaptive_weight_is_the_ratio_of_two_gradients(scale: float) -> None:
    """Losses a·w and b·w have the gradients a and b whatever w is: |(3, 4)| / |scale · (6, 8)| = 1 / (2 · scale)."""
    w = nn.Parameter(torch.tensor([0.3, -2.0]))
    reconstruction = (torch.tensor([3.0, 4.0]) * w).sum()
    adversarial = (scale * torch.tensor([6.0, 8.0]) * w).sum()
    weight = adaptive_weight(reconstruction, adversarial, w)
    assert weight.item() == pytest.approx(5 / (10 * scale + 1e-4))
    assert not weight.requires_grad
    (reconstruction + weight * adversarial).backward()  # both graphs are still there
    assert w.grad is not None
    assert w.grad.tolist() == pytest.approx([6.0, 8.0], rel=1e-3)


@pytest.mark.parametrize(("factor", "ceiling", "weight"), [(0.0, 1e4, 1e4), (1.0, 0.5, 0.5)])
def test_adaptive_weight_has_a_ceiling(factor: float, ceiling: float, weight: float) -> None:
    w = nn.Parameter(torch.tensor([1.0]))
    assert adaptive_weight((9 * w).sum(), (factor * w).sum(), w, ceiling=ceiling).item() == weight
