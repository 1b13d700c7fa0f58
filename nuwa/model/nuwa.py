"""The model of the paper's figure 2: conditions are encoded, the target grid is decoded cell after cell."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nuwa.grid import Grid
from nuwa.model.config import ConditionName, ModelConfig
from nuwa.model.embeddings import GridEmbedding, Positions
from nuwa.model.layers import Condition, DecoderLayer, EncoderLayer
from nuwa.model.stem import STEMS
from nuwa.tokenizers.text import TEXT_GRID


class Encoder(nn.Module):
    """Conditions to memory: one stack of layers for every kind of grid."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.text = GridEmbedding(TEXT_GRID, config.vocab_size, config.d)
        self.layers = nn.ModuleList(
            EncoderLayer(config.d, config.num_heads, config.ff_ratio, config.dropout)
            for _ in range(config.encoder_layers)
        )
        self.norm = nn.LayerNorm(config.d)
        self.sketch, self.partial = None, None
        if config.sketch_grid is not None and config.num_sketch_codes is not None:
            self.sketch = GridEmbedding(config.sketch_grid, config.num_sketch_codes, config.d)
        if "partial" in config.conditions:
            self.partial = GridEmbedding(config.grid, config.num_codes + 1, config.d)  # the last id: a hidden cell

    def encode_text(self, ids: Tensor, valid: Tensor, length: int | None = None) -> Condition:
        """Memory of captions: ids (b, 77) int64 and valid (b, 77) bool as the text tokenizer gives them.

        Only the first ``length`` columns are computed, by default those that some caption of the batch uses, which a GPU has
        to be asked and waited for. Padding is masked out either way.
        """
        if length is None:
            length = int(valid.any(dim=0).sum())
        ids, valid = ids[:, :length], valid[:, :length]
        grid = Grid(length, 1, 1)
        x = self.text(ids, grid)
        for layer in self.layers:
            x = layer(x, self.config.text_attention, grid, valid)
        return Condition(grid=grid, spec=self.config.text_attention, memory=self.norm(x), valid=valid)

    def encode_sketch(self, tokens: Tensor, present: Tensor | None = None) -> Condition:
        """Memory of sketches, tokens (b, t, h, w) int64 of the sketch tokenizer; ``present`` (b,) bool where some have none.

        ValueError for a model without the condition "sketch", or a grid larger than the one it was made for.
        """
        return self._encode(self._needed("sketch", self.sketch), tokens, present)

    def encode_partial(self, tokens: Tensor, known: Tensor) -> Condition:
        """Memory of targets with hidden cells: tokens (b, t, h, w) int64, read where ``known`` of that shape is True.

        ValueError for a model without the condition "partial", or a grid larger than the one it was made for.
        """
        return self._encode(
            self._needed("partial", self.partial), torch.where(known, tokens, self.config.num_codes), None
        )

    def _needed(self, name: ConditionName, embedding: GridEmbedding | None) -> GridEmbedding:
        if embedding is None:
            raise ValueError(
                f"expected a model with the condition {name!r}, got one with {', '.join(self.config.conditions)}"
            )
        return embedding

    def _encode(self, embedding: GridEmbedding, tokens: Tensor, present: Tensor | None) -> Condition:
        grid = Grid(*tokens.shape[1:])
        x = embedding(tokens.flatten(1), grid)
        for layer, spec in zip(self.layers, self.config.encoder_specs, strict=True):
            x = layer(x, spec, grid, None)
        return Condition(grid=grid, spec=None, memory=self.norm(x), present=present)


class Decoder(nn.Module):
    """Logits of every cell of the target grid, each from the cells before it and the conditions."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = STEMS[config.stem](config.grid, config.num_codes, config.d)
        self.positions = Positions(config.grid, config.d)
        self.layers = nn.ModuleList(
            DecoderLayer(config.d, config.num_heads, config.ff_ratio, config.dropout)
            for _ in range(config.decoder_layers)
        )
        self.norm = nn.LayerNorm(config.d)
        self.head = nn.Linear(config.d, config.num_codes)

    def forward(self, tokens: Tensor, conditions: Sequence[Condition], grid: Grid | None = None) -> Tensor:
        """Logits (b, s, v) of tokens (b, s) int64; the logits of a cell do not depend on its own token or a later one.

        ``grid`` is any that fits into the largest, which it is where not given: a picture is the grid ``(1, h, w)`` of a
        decoder of clips. ValueError for one that does not fit, or tokens of another number.
        """
        grid = grid or self.config.grid
        grid.check(tokens.shape[1])
        x = self.stem(tokens, grid) + self.positions(grid)
        for layer, spec in zip(self.layers, self.config.decoder_specs, strict=True):
            x = layer(x, spec, grid, conditions)
        return self.head(self.norm(x))


class NuwaModel(nn.Module):
    """3D encoder and 3D decoder."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.apply(_init)
        for layer in self.decoder.layers:
            assert isinstance(layer, DecoderLayer)
            for last in (layer.attention.out, layer.cross.out, layer.ff.down):
                nn.init.normal_(last.weight, std=0.02 / math.sqrt(2 * config.decoder_layers))

    def forward(self, tokens: Tensor, text_ids: Tensor, text_valid: Tensor) -> Tensor:
        """Logits (b, s, v) of target tokens (b, s) int64 given captions (b, 77) int64 and their valid mask."""
        return self.decoder(tokens, self.conditions(text_ids, text_valid))

    def conditions(
        self,
        text_ids: Tensor,
        text_valid: Tensor,
        *,
        sketch: Tensor | None = None,
        present: Tensor | None = None,
        partial: tuple[Tensor, Tensor] | None = None,
        words: int | None = None,
    ) -> list[Condition]:
        """Everything the decoder looks at: text always, a sketch and a target with hidden cells where they are given.

        Args:
            text_ids: (b, 77) int64, with ``text_valid`` (b, 77) bool.
            text_valid: False on padding.
            sketch: (b, t, h, w) int64, of which samples that are not ``present`` (b,) bool do without.
            present: see ``sketch``.
            partial: target tokens (b, t, h, w) int64 and known cells of that shape, bool.
            words: columns of the text to compute, where it is known how many are used.
        """
        found = [self.encoder.encode_text(text_ids, text_valid, words)]
        if sketch is not None:
            found.append(self.encoder.encode_sketch(sketch, present))
        if partial is not None:
            found.append(self.encoder.encode_partial(*partial))
        return found

    @property
    def num_parameters(self) -> int:
        """Number of trained values."""
        return sum(parameter.numel() for parameter in self.parameters())


def _init(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.02 if module.in_features > 256 else 0.5 * module.in_features**-0.5)
        nn.init.zeros_(module.bias)
