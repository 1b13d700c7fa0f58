import dataclasses

import pytest
from torchvision.models import get_model_weights

from evaluation import weights
from evaluation.features.kinetics import LAST_LAYERS
from evaluation.protocols import (
    PROTOCOLS,
    ActionAccuracyProtocol,
    ClipDistanceProtocol,
    FIDProtocol,
    FrameFIDProtocol,
    LPIPSProtocol,
    find_protocol,
    frames,
    google,
    kinetics,
    pairs,
)

OF_FILES = [name for name in PROTOCOLS if PROTOCOLS[name].network in weights.WEIGHTS]


@pytest.mark.parametrize("name", OF_FILES)
def test_weights_are_those_of_the_registry(name):
    protocol = PROTOCOLS[name]
    assert weights.WEIGHTS[protocol.network].sha256 == protocol.weights_sha256
    if isinstance(protocol, LPIPSProtocol):
        assert weights.WEIGHTS[protocol.linear].sha256 == protocol.linear_sha256


@pytest.mark.parametrize("kind", [kinetics.FID_VID, kinetics.ACC], ids=["fid-vid", "acc"])
@pytest.mark.parametrize("name", LAST_LAYERS)
def test_preparation_is_torchvisions(kind, name):
    protocol = kind[name]
    published = get_model_weights(LAST_LAYERS[name][0])["KINETICS400_V1"]
    transforms = published.transforms()
    assert protocol.resize_px == tuple(transforms.resize_size)
    assert (protocol.size_px, protocol.size_px) == tuple(transforms.crop_size)
    assert (protocol.mean, protocol.std) == (tuple(transforms.mean), tuple(transforms.std))
    assert transforms.interpolation.value == "bilinear"
    assert published.url.endswith(weights.WEIGHTS[name].file)
    assert protocol.min_frames >= published.meta.get("min_temporal_size", 1)


@pytest.mark.parametrize("name", kinetics.NETWORKS)
def test_the_network_is_in_the_id(name):
    short = name.removesuffix("-kinetics-400")
    assert kinetics.FID_VID[name].id == f"fid-vid@{short}-1"
    assert kinetics.ACC[name].id == f"acc@{short}-1"


@pytest.mark.parametrize(
    "protocol", [frames.POSITIONS, frames.POOLED, frames.SPRITES], ids=lambda protocol: protocol.id
)
def test_frames_are_judged_as_pictures_are(protocol):
    picture = PROTOCOLS["fid@sprites-1" if protocol.width == 128 else "fid@ttur-1"]
    own = {"metric", "family", "radii", "resampled", "source"}
    assert isinstance(protocol, FrameFIDProtocol)
    for field in dataclasses.fields(FIDProtocol):
        if field.name not in own:
            assert getattr(protocol, field.name) == getattr(picture, field.name)


@pytest.mark.parametrize("name", ["fvd@stylegan-v-1", "stylegan-v-1", "stylegan-v"])
def test_protocols_go_by_short_names(name):
    assert find_protocol("fvd", name, ClipDistanceProtocol) is PROTOCOLS["fvd@stylegan-v-1"]


def test_a_protocol_is_itself():
    assert find_protocol("fvd", google.FVD, ClipDistanceProtocol) is google.FVD


@pytest.mark.parametrize(("name", "near"), [("google-2", "google"), ("style-gan-v", "stylegan-v")])
def test_an_unknown_name_is_answered_with_the_nearest(name, near):
    with pytest.raises(ValueError, match=f"fvd: unknown protocol '{name}'; did you mean '{near}'"):
        find_protocol("fvd", name, ClipDistanceProtocol)


def test_a_class_subset_is_in_the_id():
    protocol = kinetics.ACC["r3d-18"].among("ten", tuple(range(10)))
    assert isinstance(protocol, ActionAccuracyProtocol)
    assert (protocol.id, protocol.class_set, protocol.classes) == ("acc@r3d-18-ten-1", "ten", tuple(range(10)))


@pytest.mark.parametrize("classes", [(3,), (1, 1), (0, 400), (-1, 2)], ids=str)
def test_a_class_subset_is_checked(classes):
    with pytest.raises(ValueError, match="expected two or more different classes of 400"):
        kinetics.ACC["r3d-18"].among("some", classes)


@pytest.mark.parametrize("changes", [{"ceiling_db": None}, {"average": "squared-error"}], ids=str)
def test_a_ceiling_belongs_to_ratios_of_frames(changes):
    with pytest.raises(ValueError, match="expected a ceiling where ratios of frames are averaged, and only there"):
        dataclasses.replace(pairs.PSNR, **changes)
