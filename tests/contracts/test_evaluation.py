"""What every registered dataset, metric, protocol and weight file keeps."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from evaluation.data import DATASETS, DataOptions
from evaluation.features import load_judge
from evaluation.metrics import METRICS
from evaluation.protocols import PROTOCOLS, PictureProtocol
from evaluation.weights import WEIGHTS, MissingWeightsError
from nuwa.data.captioned import CaptionedPictures
from nuwa.registry import Registry

REGISTRIES: dict[str, Registry] = {"dataset": DATASETS, "metric": METRICS, "protocol": PROTOCOLS}


def options(root: Path | None = None) -> DataOptions:
    return DataOptions(root=root, num=6, size_px=16, weights=None, seed=0)


@pytest.mark.parametrize("kind", REGISTRIES)
def test_a_wrong_name_is_answered_with_the_nearest(kind: str) -> None:
    registry = REGISTRIES[kind]
    name = registry.names()[0]
    with pytest.raises(ValueError, match=rf"unknown {kind} '{re.escape(name)}x'; did you mean '{re.escape(name)}'\?"):
        registry[f"{name}x"]


@pytest.mark.parametrize("name", PROTOCOLS)
class TestProtocol:
    def test_the_id_names_a_metric_and_a_versioned_family(self, name: str) -> None:
        metric, _, family = name.partition("@")
        assert metric in METRICS
        assert re.search(r"-\d+$", family)
        assert PROTOCOLS[name].id == name

    def test_its_constants_are_json_and_its_hash_their_digest(self, name: str) -> None:
        protocol = PROTOCOLS[name]
        assert json.loads(json.dumps(protocol.constants, allow_nan=False))
        assert re.fullmatch(r"[0-9a-f]{64}", protocol.hash)
        assert [each for each in PROTOCOLS if PROTOCOLS[each].hash == protocol.hash] == [name]


PICTURES = [name for name in PROTOCOLS if isinstance(PROTOCOLS[name], PictureProtocol)]


@pytest.mark.parametrize("name", PICTURES)
def test_every_network_can_be_loaded_or_says_what_it_needs(name: str) -> None:
    protocol = PROTOCOLS[name]
    if protocol.network in WEIGHTS:
        assert WEIGHTS[protocol.network].sha256 == protocol.weights_sha256
        with pytest.raises(MissingWeightsError, match=re.escape(WEIGHTS[protocol.network].file)):
            load_judge(protocol)
    else:
        load_judge(protocol)


@pytest.mark.parametrize("name", PICTURES)
def test_protocols_of_a_family_prepare_pictures_alike(name: str) -> None:
    family = [PROTOCOLS[each] for each in PICTURES if PROTOCOLS[each].family == PROTOCOLS[name].family]
    same = [each for each in family if each.network == PROTOCOLS[name].network]
    assert len({(each.size_px, each.resize, each.normalise, each.quantise) for each in same}) == 1


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_has_a_protocol(name: str) -> None:
    assert [each for each in PROTOCOLS if each.partition("@")[0] == name]


def test_sprites_need_nothing() -> None:
    data = DATASETS["sprites"](options())
    for pictures in (data.test, data.real):
        assert isinstance(pictures.dataset, CaptionedPictures)
        assert len(pictures) == len(pictures.ids) == len(pictures.captions) == 6
        assert pictures.images.shape == (6, 3, 16, 16)
        assert pictures.images.dtype == torch.uint8
    assert not torch.equal(data.test.images, data.real.images)
    batch, captions = data.training().pictures.stream.batch(0, 5)
    assert (batch.shape, len(captions)) == ((5, 3, 16, 16), 5)


@pytest.mark.parametrize("name", [name for name in DATASETS if name != "sprites"])
def test_a_dataset_of_files_says_what_it_misses(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"{name}: expected --root"):
        DATASETS[name](options())
    with pytest.raises((ValueError, OSError), match=re.escape(str(tmp_path))):
        DATASETS[name](options(tmp_path))
