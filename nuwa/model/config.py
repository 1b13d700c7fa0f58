"""Sizes of the model and its attention, as one frozen value that is stored with every checkpoint."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from nuwa.attention import ATTENTION, AttentionSpec, Full, Nearby3D, Pattern, over_layers
from nuwa.grid import Grid

ConditionName = Literal["text", "sketch", "partial"]
"""What an encoder can read: words, a sketch, and the target itself with hidden cells (the masked-condition route)."""


@dataclass(frozen=True, kw_only=True)
class ModelSizes:
    """An encoder over conditions and a decoder over the target grid (paper, section 3.2): what one chooses.

    ``encoder_attention`` serves grids with rows and columns (sketches, given pictures); text is always seen whole. An
    attention is one variant for all layers or a tuple of variants that layers take in turn, ``(Full(), Nearby3D())``.
    """

    d: int = 128
    num_heads: int = 4
    encoder_layers: int = 2
    decoder_layers: int = 6
    ff_ratio: int = 4
    dropout: float = 0.0
    encoder_attention: Pattern = Nearby3D()
    decoder_attention: Pattern = Nearby3D()
    stem: Literal["nearby", "raster"] = "nearby"
    conditions: tuple[ConditionName, ...] = ("text",)

    def __post_init__(self) -> None:
        for name in ("d", "num_heads", "encoder_layers", "decoder_layers", "ff_ratio"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout: expected a share in [0, 1), got {self.dropout}")
        if self.d % self.num_heads:
            raise ValueError(f"d: expected a multiple of num_heads = {self.num_heads}, got {self.d}")
        for name in ("encoder_attention", "decoder_attention"):
            _check_pattern(name, getattr(self, name))
        if self.stem not in ("nearby", "raster"):
            raise ValueError(f"stem: expected 'nearby' or 'raster', got {self.stem!r}")
        known = get_args(ConditionName)
        if self.conditions != tuple(name for name in known if name in self.conditions) or "text" not in self.conditions:
            raise ValueError(
                f"conditions: expected 'text' and others of {known} in this order, got {self.conditions!r}"
            )

    def on(
        self,
        grid: Grid,
        *,
        num_codes: int,
        vocab_size: int,
        sketch_grid: Grid | None = None,
        num_sketch_codes: int | None = None,
    ) -> ModelConfig:
        """These sizes for the largest target grid and the vocabularies of trained tokenizers.

        Grid and codes of the sketches are left out where the model reads none.
        """
        return ModelConfig(
            grid=grid, num_codes=num_codes, vocab_size=vocab_size,
            sketch_grid=sketch_grid if "sketch" in self.conditions else None,
            num_sketch_codes=num_sketch_codes if "sketch" in self.conditions else None,
            **vars(self),
        )  # fmt: skip

    @property
    def encoder_specs(self) -> tuple[AttentionSpec, ...]:
        """The encoder's attention, layer by layer."""
        return over_layers(self.encoder_attention, self.encoder_layers)

    @property
    def decoder_specs(self) -> tuple[AttentionSpec, ...]:
        """The decoder's attention, layer by layer."""
        return over_layers(self.decoder_attention, self.decoder_layers)

    @property
    def text_attention(self) -> AttentionSpec:
        """Text is always seen whole (the paper's extent (1, 1, ∞))."""
        return Full()


@dataclass(frozen=True, kw_only=True)
class ModelConfig(ModelSizes):
    """Sizes of a model, with the grid and the vocabularies it is made for."""

    grid: Grid  # the largest target; a picture is its first frame
    num_codes: int  # v of the target's tokenizer
    vocab_size: int  # of the text tokenizer
    sketch_grid: Grid | None = None  # the largest sketch, where sketches are read
    num_sketch_codes: int | None = None  # v of the sketch's tokenizer

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("sketch_grid", "num_sketch_codes"):
            if (getattr(self, name) is None) == ("sketch" in self.conditions):
                raise ValueError(f"{name}: expected one where 'sketch' is a condition, got {getattr(self, name)}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        state = dict(vars(self))
        for name in ("grid", "sketch_grid"):
            state[name] = None if state[name] is None else list(state[name].shape)
        state["conditions"] = list(self.conditions)
        for name in ("encoder_attention", "decoder_attention"):
            pattern: Pattern = state[name]
            state[name] = [*map(spec_to_dict, pattern)] if isinstance(pattern, tuple) else spec_to_dict(pattern)
        return state

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> ModelConfig:
        """Inverse of :meth:`to_dict`. ValueError for unknown or missing keys, or unknown names."""
        different = set(state) ^ set(cls.__dataclass_fields__)
        if different:
            raise ValueError(
                f"model config: unknown or missing keys {sorted(different)}; the checkpoint is of another version"
            )
        state = dict(state, conditions=tuple(state["conditions"]))
        for name in ("grid", "sketch_grid"):
            state[name] = None if state[name] is None else Grid(*state[name])
        for name in ("encoder_attention", "decoder_attention"):
            found = state[name]
            state[name] = tuple(map(spec_from_dict, found)) if isinstance(found, list) else spec_from_dict(found)
        return cls(**state)


def attention_name(pattern: Pattern) -> str:
    """What records and tables call a pattern: the variant's name, or the names over depth, ``"full+nearby3d"``."""
    return "+".join(spec.name for spec in ((pattern,) if isinstance(pattern, AttentionSpec) else pattern))


def spec_to_dict(spec: AttentionSpec) -> dict[str, Any]:
    """Name and parameters of an attention variant; :func:`spec_from_dict` reads them."""
    return {"name": spec.name, **asdict(spec)}  # type: ignore[call-overload]


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


def _check_pattern(name: str, pattern: Pattern) -> None:
    specs = pattern if isinstance(pattern, tuple) else (pattern,)
    if not specs or not all(isinstance(spec, AttentionSpec) for spec in specs):
        raise ValueError(f"{name}: expected an attention such as Nearby3D() or a tuple of them, got {pattern!r}")
