"""A config goes through JSON and back, and says what is wrong with it."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from nuwa import Grid
from nuwa.attention import ATTENTION, Axial3D, Block3D, Full, Nearby3D, Pattern, axial_in_turn
from nuwa.model.config import ModelConfig, ModelSizes, attention_name, spec_from_dict

SPECS = [
    *(ATTENTION[name]() for name in ATTENTION),
    Nearby3D(extent=(None, 5, 1)),
    Block3D(block=(1, None, 4)),
    (Full(), Nearby3D(extent=(3, 5, 5))),
    axial_in_turn(),
]


def config(**sizes: Any) -> ModelConfig:
    return ModelSizes(**sizes).on(Grid(2, 3, 4), num_codes=9, vocab_size=8)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_json_round_trip(spec: Pattern) -> None:
    one = config(d=64, stem="raster", dropout=0.1, encoder_attention=spec, decoder_attention=Nearby3D())
    other = dataclasses.replace(one, encoder_attention=Nearby3D(), decoder_attention=spec)
    for each in (one, other):
        assert ModelConfig.from_dict(json.loads(json.dumps(each.to_dict()))) == each


def test_json_round_trip_with_every_condition() -> None:
    sizes = ModelSizes(conditions=("text", "sketch", "partial"))
    one = sizes.on(Grid(2, 3, 4), num_codes=9, vocab_size=8, sketch_grid=Grid(2, 6, 6), num_sketch_codes=5)
    assert ModelConfig.from_dict(json.loads(json.dumps(one.to_dict()))) == one
    assert one.sketch_grid == Grid(2, 6, 6)


def test_a_model_that_reads_no_sketch_has_no_codes_for_it() -> None:
    one = ModelSizes().on(Grid(2, 3, 4), num_codes=9, vocab_size=8, sketch_grid=Grid(2, 6, 6), num_sketch_codes=5)
    assert one == config()
    assert one.sketch_grid is None


def test_layers_take_the_variants_of_a_pattern_in_turn() -> None:
    one = config(decoder_layers=4, decoder_attention=axial_in_turn(), encoder_layers=2, encoder_attention=Full())
    assert [spec.axes for spec in one.decoder_specs if isinstance(spec, Axial3D)] == [("t",), ("h",), ("w",), ("t",)]
    assert one.encoder_specs == (Full(), Full())


def test_name_of_a_pattern() -> None:
    assert attention_name(Nearby3D()) == "nearby3d"
    assert attention_name((Full(), Nearby3D())) == "full+nearby3d"


def test_every_field_is_written() -> None:
    assert config().to_dict().keys() == {field.name for field in dataclasses.fields(ModelConfig)}


def test_text_is_seen_whole() -> None:
    assert config(encoder_attention=Nearby3D()).text_attention == ATTENTION["full"]()


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"d": 100, "num_heads": 3}, "d: expected a multiple of num_heads = 3, got 100"),
        ({"num_heads": 0}, "num_heads: expected at least 1, got 0"),
        ({"d": -4}, "d: expected at least 1, got -4"),
        ({"decoder_layers": 0}, "decoder_layers: expected at least 1, got 0"),
        ({"dropout": 1.0}, r"dropout: expected a share in \[0, 1\), got 1.0"),
        ({"dropout": -0.1}, r"dropout: expected a share in \[0, 1\), got -0.1"),
        ({"decoder_attention": "full"}, r"decoder_attention: expected an attention such as Nearby3D\(\) .* got 'full'"),
        ({"encoder_attention": ()}, "encoder_attention: expected an attention"),
        ({"encoder_attention": [Full()]}, "encoder_attention: expected an attention"),
        ({"stem": "conv"}, "stem: expected 'nearby' or 'raster', got 'conv'"),
        ({"conditions": ("sketch",)}, "conditions: expected 'text' and others of .* in this order, got"),
        ({"conditions": ("text", "partial", "sketch")}, "conditions: expected 'text' and others of .* in this order"),
        ({"conditions": ("text", "sound")}, "conditions: expected 'text' and others"),
    ],
)
def test_bad_sizes(sizes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ModelSizes(**sizes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 3}, r"unknown or missing keys \['width'\]; the checkpoint is of another version"),
        ({"decoder_attention": {"name": "nearby"}}, r"unknown attention variant 'nearby'; did you mean 'nearby3d'\?"),
        (
            {"decoder_attention": {"name": "full", "extent": [3, 3, 3]}},
            r"attention 'full': unknown parameters \['extent'\]",
        ),
        ({"encoder_attention": {"name": "nearby3d", "extent": [2, 3, 3]}}, "extent on axis t: expected an odd"),
        ({"grid": [0, 1, 1]}, "grid axis t: expected a whole number >= 1, got 0"),
        ({"d": 0}, "d: expected at least 1, got 0"),
        ({"conditions": ["text", "sketch"]}, "sketch_grid: expected one where 'sketch' is a condition, got None"),
        ({"num_sketch_codes": 3}, "num_sketch_codes: expected one where 'sketch' is a condition, got 3"),
    ],
)
def test_bad_checkpoints(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ModelConfig.from_dict(config().to_dict() | change)


def test_a_missing_key() -> None:
    state = config().to_dict()
    del state["num_codes"]
    with pytest.raises(ValueError, match=r"unknown or missing keys \['num_codes'\]"):
        ModelConfig.from_dict(state)


def test_parameters_may_be_left_out() -> None:
    assert spec_from_dict({"name": "nearby3d"}) == Nearby3D()
