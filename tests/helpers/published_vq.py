"""VQ-GANs as their publishers compute them, straight from a state dict by their names: the other opinion on imported weights.

Written from the published layouts with functions alone, so that it shares nothing with the modules that it checks.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

State = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Names:
    """How one project calls the parts; ``{i}`` is a level, ``{j}`` a block."""

    down: str
    down_attention: str
    downsample: str
    up: str
    up_attention: str
    upsample: str
    middle: tuple[str, str, str]
    from_pixels: bool  # whether level 0 of the decoder is that of the pixels
    codes: str = "quantize.embedding.weight"
    proj: str | None = None  # the map to logits, where codes are chosen so


TAMING = Names(
    down="encoder.down.{i}.block.{j}",
    down_attention="encoder.down.{i}.attn.{j}",
    downsample="encoder.down.{i}.downsample.conv",
    up="decoder.up.{i}.block.{j}",
    up_attention="decoder.up.{i}.attn.{j}",
    upsample="decoder.up.{i}.upsample.conv",
    middle=("mid.block_1", "mid.attn_1", "mid.block_2"),
    from_pixels=True,
)
LLAMAGEN = Names(
    down="encoder.conv_blocks.{i}.res.{j}",
    down_attention="encoder.conv_blocks.{i}.attn.{j}",
    downsample="encoder.conv_blocks.{i}.downsample.conv",
    up="decoder.conv_blocks.{i}.res.{j}",
    up_attention="decoder.conv_blocks.{i}.attn.{j}",
    upsample="decoder.conv_blocks.{i}.upsample.conv",
    middle=("mid.0", "mid.1", "mid.2"),
    from_pixels=False,
)


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Of a small model of either project."""

    widths: tuple[int, ...] = (32, 32, 64)
    blocks: int = 2
    latent: int = 6
    code_width: int = 5
    num_codes: int = 40
    attention: tuple[int, ...] = (1, 2)  # levels, 0 that of the pixels
    gumbel: bool = False


def state_of(names: Names, sizes: Sizes, seed: int = 0) -> State:
    """Random weights under the project's names."""
    maker = _Maker(seed)
    widths, last = sizes.widths, len(sizes.widths) - 1
    maker.conv("encoder.conv_in", 3, widths[0])
    width = widths[0]
    for i, following in enumerate(widths):
        for j in range(sizes.blocks):
            maker.block(names.down.format(i=i, j=j), width, following)
            width = following
            if i in sizes.attention:
                maker.attention(names.down_attention.format(i=i, j=j), width)
        if i < last:
            maker.conv(names.downsample.format(i=i), width, width)
    _middle_state(maker, "encoder", names, width)
    maker.norm("encoder.norm_out", width)
    maker.conv("encoder.conv_out", width, sizes.latent)
    maker.conv("quant_conv", sizes.latent, sizes.code_width, 1)
    maker.state[names.codes] = maker.random(sizes.num_codes, sizes.code_width)
    if sizes.gumbel:
        assert names.proj is not None
        maker.conv(names.proj, sizes.code_width, sizes.num_codes, 1)
    maker.conv("post_quant_conv", sizes.code_width, sizes.latent, 1)
    maker.conv("decoder.conv_in", sizes.latent, width)
    _middle_state(maker, "decoder", names, width)
    for at in range(last + 1):
        level = last - at
        i = level if names.from_pixels else at
        for j in range(sizes.blocks + 1):
            maker.block(names.up.format(i=i, j=j), width, widths[level])
            width = widths[level]
            if level in sizes.attention:
                maker.attention(names.up_attention.format(i=i, j=j), width)
        if level:
            maker.conv(names.upsample.format(i=i), width, width)
    maker.norm("decoder.norm_out", width)
    maker.conv("decoder.conv_out", width, 3)
    return maker.state


def vectors(state: State, names: Names, x: Tensor) -> Tensor:
    """What codes are looked for (b, c, h, w), of pixels (b, 3, H, W) in [-1, 1]."""
    h, i = _conv(state, "encoder.conv_in", x), 0
    while f"{names.down.format(i=i, j=0)}.conv1.weight" in state:
        h = _blocks(state, names.down, names.down_attention, i, h)
        if (name := names.downsample.format(i=i)) + ".weight" in state:
            h = _conv(state, name, F.pad(h, (0, 1, 0, 1)), stride=2, padding=0)
        i += 1
    h = _middle(state, "encoder", names, h)
    h = _conv(state, "encoder.conv_out", _swish(_norm(state, "encoder.norm_out", h)))
    return _conv(state, "quant_conv", h, padding=0)


def tokens(state: State, names: Names, z: Tensor, *, normalised: bool = False) -> Tensor:
    """Indices (b, h, w) of vectors (b, c, h, w)."""
    if names.proj is not None:
        return _conv(state, names.proj, z, padding=0).argmax(dim=1)
    rows, codes = z.permute(0, 2, 3, 1).reshape(-1, z.shape[1]), state[names.codes]
    if normalised:
        rows, codes = F.normalize(rows, dim=-1), F.normalize(codes, dim=-1)
    distance = (rows**2).sum(1, keepdim=True) + (codes**2).sum(1) - 2 * rows @ codes.T
    return distance.argmin(dim=1).view(z.shape[0], *z.shape[2:])


def pixels(state: State, names: Names, indices: Tensor, *, normalised: bool = False) -> Tensor:
    """Pixels (b, 3, H, W) of indices (b, h, w)."""
    codes = F.normalize(state[names.codes], dim=-1) if normalised else state[names.codes]
    h = _conv(state, "post_quant_conv", codes[indices].permute(0, 3, 1, 2), padding=0)
    h = _middle(state, "decoder", names, _conv(state, "decoder.conv_in", h))
    count = 0
    while f"{names.up.format(i=count, j=0)}.conv1.weight" in state:
        count += 1
    for i in reversed(range(count)) if names.from_pixels else range(count):
        h = _blocks(state, names.up, names.up_attention, i, h)
        if (name := names.upsample.format(i=i)) + ".weight" in state:
            h = _conv(state, name, h.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3))
    return _conv(state, "decoder.conv_out", _swish(_norm(state, "decoder.norm_out", h)))


def _blocks(state: State, block: str, attention: str, i: int, h: Tensor) -> Tensor:
    j = 0
    while f"{(name := block.format(i=i, j=j))}.conv1.weight" in state:
        h = _block(state, name, h)
        if f"{(name := attention.format(i=i, j=j))}.q.weight" in state:
            h = _attention(state, name, h)
        j += 1
    return h


def _middle(state: State, part: str, names: Names, h: Tensor) -> Tensor:
    first, attention, second = (f"{part}.{name}" for name in names.middle)
    return _block(state, second, _attention(state, attention, _block(state, first, h)))


def _block(state: State, name: str, x: Tensor) -> Tensor:
    h = _conv(state, f"{name}.conv1", _swish(_norm(state, f"{name}.norm1", x)))
    h = _conv(state, f"{name}.conv2", _swish(_norm(state, f"{name}.norm2", h)))
    shortcut = f"{name}.nin_shortcut"
    return h + (_conv(state, shortcut, x, padding=0) if f"{shortcut}.weight" in state else x)


def _attention(state: State, name: str, x: Tensor) -> Tensor:
    b, c, h, w = x.shape
    q, k, v = (_conv(state, f"{name}.{part}", _norm(state, f"{name}.norm", x), padding=0) for part in "qkv")
    weights = torch.softmax(torch.einsum("bcq,bck->bqk", q.flatten(2), k.flatten(2)) / c**0.5, dim=-1)
    seen = torch.einsum("bqk,bck->bcq", weights, v.flatten(2)).view(b, c, h, w)
    return x + _conv(state, f"{name}.proj_out", seen, padding=0)


def _conv(state: State, name: str, x: Tensor, *, stride: int = 1, padding: int = 1) -> Tensor:
    return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], stride=stride, padding=padding)


def _norm(state: State, name: str, x: Tensor) -> Tensor:
    b, c, h, w = x.shape
    groups = x.reshape(b, 32, -1)
    groups = (groups - groups.mean(-1, keepdim=True)) / (groups.var(-1, unbiased=False, keepdim=True) + 1e-6).sqrt()
    scale, shift = state[f"{name}.weight"], state[f"{name}.bias"]
    return groups.view(b, c, h, w) * scale[:, None, None] + shift[:, None, None]


def _swish(x: Tensor) -> Tensor:
    return x * torch.sigmoid(x)


class _Maker:
    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.state: State = {}

    def random(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator)

    def conv(self, name: str, c_in: int, c_out: int, kernel: int = 3) -> None:
        self.state[f"{name}.weight"] = self.random(c_out, c_in, kernel, kernel) / (c_in * kernel**2) ** 0.5
        self.state[f"{name}.bias"] = 0.1 * self.random(c_out)

    def norm(self, name: str, channels: int) -> None:
        self.state[f"{name}.weight"] = 1 + 0.2 * self.random(channels)
        self.state[f"{name}.bias"] = 0.2 * self.random(channels)

    def block(self, name: str, c_in: int, c_out: int) -> None:
        self.norm(f"{name}.norm1", c_in)
        self.conv(f"{name}.conv1", c_in, c_out)
        self.norm(f"{name}.norm2", c_out)
        self.conv(f"{name}.conv2", c_out, c_out)
        if c_in != c_out:
            self.conv(f"{name}.nin_shortcut", c_in, c_out, 1)

    def attention(self, name: str, channels: int) -> None:
        self.norm(f"{name}.norm", channels)
        for part in ("q", "k", "v", "proj_out"):
            self.conv(f"{name}.{part}", channels, channels, 1)


def _middle_state(maker: _Maker, part: str, names: Names, width: int) -> None:
    first, attention, second = (f"{part}.{name}" for name in names.middle)
    maker.block(first, width, width)
    maker.attention(attention, width)
    maker.block(second, width, width)
