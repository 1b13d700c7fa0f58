"""The convolutional parts: sizes, residual paths, and the norm that looks at one place alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nuwa.tokenizers.blocks import ChannelNorm, Down, ResBlock, Up, decoder, encoder


@pytest.mark.parametrize("widths", [(8,), (4, 8), (4, 8, 6)])
@pytest.mark.parametrize("blocks", [0, 2])
def test_encoder_and_decoder_mirror_each_other(widths: tuple[int, ...], blocks: int) -> None:
    x = torch.randn(2, 3, 24, 16)
    vectors = encoder(3, widths, blocks, 5)(x)
    factor = 2 ** len(widths)
    assert vectors.shape == (2, 5, 24 // factor, 16 // factor)
    assert decoder(5, widths, blocks, 3)(vectors).shape == x.shape


@pytest.mark.parametrize("kernel", [1, 3])
def test_a_residual_block_begins_with_its_input(kernel: int) -> None:
    block, x = ResBlock(8, kernel), torch.randn(2, 8, 5, 4)
    assert block(x).shape == x.shape
    for parameter in block.conv2.parameters():
        nn.init.zeros_(parameter)
    assert torch.equal(block(x), x)


def test_up_undoes_down() -> None:
    """With convolutions that pass everything on, space goes to channels and back."""
    down, up, x = Down(2, 8, kernel=1), Up(8, 2), torch.randn(1, 2, 6, 4)
    for conv in (down.conv, up.conv):
        conv.load_state_dict({"weight": nn.init.dirac_(conv.weight), "bias": torch.zeros(conv.out_channels)})
    assert down(x).shape == (1, 8, 3, 2)
    assert torch.equal(up(down(x)), x)


def test_the_norm_is_one_of_channels_at_each_place() -> None:
    norm, x = ChannelNorm(16), 50 * torch.randn(2, 16, 3, 4)
    y = norm(x)
    torch.testing.assert_close(y.square().mean(dim=1), torch.ones(2, 3, 4))
    torch.testing.assert_close(y * x.square().mean(dim=1, keepdim=True).sqrt(), x)
    changed = x.clone()
    changed[:, :, 0, 0] += 9
    assert torch.equal((norm(changed) != y).any(dim=1).nonzero()[:, 1:].unique(), torch.tensor([0]))


def test_channels_last_gives_the_same() -> None:
    layers, x = encoder(3, (4, 8), 1, 5), torch.randn(2, 3, 16, 16)
    expected = layers(x)
    layers.to(memory_format=torch.channels_last)
    torch.testing.assert_close(layers(x.contiguous(memory_format=torch.channels_last)), expected)
