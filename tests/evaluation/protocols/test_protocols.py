import dataclasses
import json

import pytest

from evaluation.judges import weights as judges
from evaluation.protocols import PROTOCOLS, FIDProtocol, Protocol, sprites

# A published number stands on these. After a change of constants raise the family's version and add a line, made with
# python -c "from evaluation.protocols import PROTOCOLS; [print(i, PROTOCOLS[i].hash) for i in PROTOCOLS]"
HASHES = {
    "fid@ttur-1": "0a89459be97998215018b82c18ae6845dba73c33515dff5ff3eb4f919606bcb9",
    "is@ttur-1": "09b91f8ca9a7737c9759975dd50dcead9dca29eeaa6532a9deb7d916e9d893b1",
    "fid@adm-1": "65c2a8514419578ea4a0ed319a553f80b3905639913f18807bd2533616192b2d",
    "fid@clean-1": "853aeeadb2a02b062a10670ab8c4109702ee01bbff5641bf012261cd54adda99",
    "fid@dmgan-coco-1": "0a049f6cdd8c3f0251ab8e2e52b1c66999e97c43912bcb006222a85b663d57e1",
    "fid@pytorch-fid-1": "9f0266f4aca1d87c9b774c449b47dfd83259d22bfd30ad770ef74051cb4f6b3e",
    "fid@sg2ada-1": "eec26edfc05ed7ff9f5e9a37e086aca3c0d3cca92733ce81288923947516405b",
    "fid@sprites-1": "035a64bf65aec38f53c2f2c8086156364cb512bcd92a46a516020445ac5fd0cc",
    "is@sprites-1": "67aa092348dc44492c76762d7a72692cc8e234d67d35edd6eb6a6a6cf268f7c8",
    "clipsim@sprites-1": "a5cecc959a9b227fcf46def190058e799b7d0a4b6e1371662b293485b12e6ffc",
    "caption-accuracy@sprites-1": "5ef2c2791b6182416240d50323cb8cd682d4aa59237ae9d26ce0daef027e188e",
    "fid@torchmetrics-aa-1": "2d10c03a6789aa1b2f9fe0c02f09a166715981ce18fcd9fadbb381ae951c443d",
}


def test_every_protocol_is_frozen_by_its_hash():
    assert {name: PROTOCOLS[name].hash for name in PROTOCOLS} == HASHES


@pytest.mark.parametrize("name", PROTOCOLS.names())
def test_registered_under_its_own_id(name):
    protocol = PROTOCOLS[name]
    assert protocol.id == name
    assert protocol.source
    json.dumps(protocol.constants, allow_nan=False)


@pytest.mark.parametrize(
    ("protocol", "judge"),
    [
        (sprites.FID, "image"),
        (sprites.INCEPTION_SCORE, "image"),
        (sprites.CAPTION_ACCURACY, "image"),
        (sprites.CLIPSIM, "clip"),
    ],
)
def test_the_judges_are_the_ones_shipped(protocol, judge):
    card = judges.read_card()[judge]
    assert (protocol.network, protocol.weights_sha256) == (card["name"], card["sha256"])


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
    constants = {"metric": "a", "family": "b-1", "network": "c", "layer": "d", "weights_sha256": None, "replicates": 2}
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


@pytest.mark.parametrize(("picture_px", "expected"), [(256, 16.0), (32, 2.0), (64, 4.0)])
def test_blur_scales_with_the_picture(picture_px, expected):
    assert sprites.FID.sigma_px(4, picture_px) == expected
    assert dataclasses.replace(sprites.FID, blur_picture_px=None).sigma_px(4, picture_px) == 4.0
