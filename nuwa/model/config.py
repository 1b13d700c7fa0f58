"""Sizes of the model and its attention, as one frozen value that is stored with every checkpoint."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from nuwa.attention import ATTENTION, AttentionSpec, Full, Nearby3D
from nuwa.grid import Grid


@dataclass(frozen=True, kw_only=True)
class ModelSizes:
    """An encoder over conditions and a decoder over the target grid (paper, section 3.2): what one chooses.

    ``encoder_attention`` serves grids with rows and columns (sketches, given pictures); text is always seen whole.
    """

    d: int = 128
    num_heads: int = 4
    encoder_layers: int = 2
    decoder_layers: int = 6
    ff_ratio: int = 4
    dropout: float = 0.0
    encoder_attention: AttentionSpec = Nearby3D()
    decoder_attention: AttentionSpec = Nearby3D()
    stem: Literal["nearby", "raster"] = "nearby"

    def __post_init__(self) -> None:
        for name in ("d", "num_heads", "encoder_layers", "decoder_layers", "ff_ratio"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout: expected a share in [0, 1), got {self.dropout}")
        if self.d % self.num_heads:
            raise ValueError(f"d: expected a multiple of num_heads = {self.num_heads}, got {self.d}")
        if self.stem not in ("nearby", "raster"):
            raise ValueError(f"stem: expected 'nearby' or 'raster', got {self.stem!r}")

    def on(self, grid: Grid, *, num_codes: int, vocab_size: int) -> ModelConfig:
        """These sizes for a target grid and the vocabularies of two trained tokenizers."""
        return ModelConfig(grid=grid, num_codes=num_codes, vocab_size=vocab_size, **vars(self))

    @property
    def text_attention(self) -> AttentionSpec:
        """Text is always seen whole (the paper's extent (1, 1, ∞))."""
        return Full()


@dataclass(frozen=True, kw_only=True)
class ModelConfig(ModelSizes):
    """Sizes of a model, with the grid and the vocabularies it is made for."""

    grid: Grid  # of the target
    num_codes: int  # v of the target's tokenizer
    vocab_size: int  # of the text tokenizer

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        state = dict(vars(self))
        state["grid"] = list(self.grid.shape)
        for name in ("encoder_attention", "decoder_attention"):
            spec: AttentionSpec = state[name]
            state[name] = {"name": spec.name, **asdict(spec)}  # type: ignore[call-overload]
        return state

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> ModelConfig:
        """Inverse of :meth:`to_dict`. ValueError for unknown or missing keys, or unknown names."""
        different = set(state) ^ set(cls.__dataclass_fields__)
        if different:
            raise ValueError(
                f"model config: unknown or missing keys {sorted(different)}; the checkpoint is of another version"
            )
        state = dict(state, grid=Grid(*state["grid"]))
        for name in ("encoder_attention", "decoder_attention"):
            state[name] = spec_from_dict(state[name])
        return cls(**state)


def spec_from_dict(state: dict[str, Any]) -> AttentionSpec:
    """An attention variant from its name and parameters, such as ``{"name": "nearby3d", "extent": [3, 3, 3]}``."""
    parameters = {
        key: tuple(value) if isinstance(value, list) else value for key, value in state.items() if key != "name"
    }
    variant = ATTENTION[state["name"]]
    unknown = parameters.keys() - {field.name for field in fields(variant)}  # type: ignore[arg-type]
    if unknown:
        raise ValueError(f"attention {state['name']!r}: unknown parameters {sorted(unknown)}")
    return variant(**parameters)
