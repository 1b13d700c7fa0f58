import dataclasses
import json

import pytest

from evaluation.protocols import PROTOCOLS, FIDProtocol, Protocol, sprites

# A published number stands on these. After a change of constants raise the family's version and add a line, made with
# python -c "from evaluation.protocols import PROTOCOLS; [print(i, PROTOCOLS[i].hash) for i in PROTOCOLS]"
HASHES = {
    "fid@sprites-1": "a4e88a14e8d46343b510147cab5f2ef17ad485c012e53103a5707fdddfb09950",
    "is@sprites-1": "44af23db9b5280d64b76f6c1af03e3f96c2085880f79e8e562e28ed98e779d16",
    "clipsim@sprites-1": "2eababe9148ac8c50f999ea6961b989aace5aaa4a72d8443dcd345270872d780",
    "caption-accuracy@sprites-1": "3750f0ed96d13f72309cff023fbf7fcc33b2e28eb2c914e705a6f14da42d7e73",
}


def test_every_protocol_is_frozen_by_its_hash():
    assert {name: PROTOCOLS[name].hash for name in PROTOCOLS} == HASHES


@pytest.mark.parametrize("name", PROTOCOLS.names())
def test_registered_under_its_own_id(name):
    protocol = PROTOCOLS[name]
    assert protocol.id == name
    assert protocol.source
    json.dumps(protocol.constants, allow_nan=False)


def altered(value: object) -> object:
    if isinstance(value, bool) or value is None:
        return not value
    return value + 1 if isinstance(value, int | float) else (*value, 99) if isinstance(value, tuple) else f"{value}x-1"


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(FIDProtocol) if f.name != "source"])
def test_every_constant_moves_the_hash(field):
    value = altered(getattr(sprites.FID, field))
    assert dataclasses.replace(sprites.FID, **{field: value}).hash != sprites.FID.hash


def test_the_words_about_it_do_not_move_the_hash():
    assert dataclasses.replace(sprites.FID, source="said otherwise").hash == sprites.FID.hash


def test_kinds_with_equal_constants_differ():
    constants = {"metric": "a", "family": "b-1", "network": "c", "weights_sha256": None, "replicates": 2}
    other = type("Other", (Protocol,), {})
    one, two = (kind(**constants, interval_seed=1, source="d") for kind in (Protocol, other))
    assert one.hash != two.hash


@pytest.mark.parametrize("changes", [{"family": "sprites"}, {"family": "Sprites-1"}, {"metric": "FID 0"}])
def test_an_id_has_a_metric_and_a_version(changes):
    with pytest.raises(ValueError, match="a family ends in its version"):
        dataclasses.replace(sprites.FID, **changes)


def test_unknown_protocol_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'fid@sprites-1'"):
        PROTOCOLS["fid@sprite-1"]


@pytest.mark.parametrize(("picture_px", "expected"), [(256, 4.0), (32, 0.5), (512, 8.0)])
def test_blur_scales_with_the_picture(picture_px, expected):
    assert sprites.FID.sigma_px(4, picture_px) == expected
    assert dataclasses.replace(sprites.FID, blur_picture_px=None).sigma_px(4, picture_px) == 4.0
