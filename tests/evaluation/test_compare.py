"""``python -m evaluation compare``: one pair of folders under several protocols."""

import dataclasses
from pathlib import Path

import pytest
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from evaluation import weights
from evaluation.__main__ import main
from evaluation.protocols import PROTOCOLS
from evaluation.records import read_record
from evaluation.scoring import views
from nuwa.files import sha256
from nuwa.registry import Registry
from tests.evaluation.scoring.conftest import folder, toy  # noqa: F401

pytestmark = pytest.mark.filterwarnings("ignore::evaluation.metrics.SmallSampleWarning")


@pytest.fixture
def compare(tmp_path, monkeypatch, folder):  # noqa: F811
    """Runs the command on two folders of its own and returns the record."""
    monkeypatch.chdir(tmp_path)

    def run(count=20, **options):
        if not (tmp_path / "real").exists():
            folder("real", count)
            folder("fake", count, seed=1, sizes=((10, 12), (14, 9)))
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        main(["compare", "--real", "real", "--fake", "fake", *words])
        return read_record(Path("runs/compare/record.json"))

    return run


def test_one_number_for_every_protocol_and_a_sentence_for_every_pair(toy, compare, capsys):  # noqa: F811
    record = compare(protocols="toy,toy-pil")
    (row,) = record.rows
    assert (record.task, row.name, row.role) == ("compare", "fake", "model")
    assert [value.protocol for value in row.metrics] == ["fid@toy-1", "fid@toy-pil-1"]
    first, second = row.metrics
    said = capsys.readouterr().out
    assert f"fid@toy-1 → fid@toy-pil-1: {second.value - first.value:+.3g}. toy-1 resizes with torch's bilinear" in said
    assert "toy-pil-1 resizes with Pillow's antialiased bicubic" in said
    assert "toy-1 divides covariances by n − 1, toy-pil-1 divides covariances by n." in said
    assert "plot: python -m reports run runs/compare" in said


def test_a_protocol_that_gives_no_number_is_named(toy, compare, monkeypatch, capsys):  # noqa: F811
    dropping = dataclasses.replace(PROTOCOLS["fid@toy-1"], family="toy-drop-1", drop_last_of=64)
    monkeypatch.setitem(PROTOCOLS._parts, dropping.id, dropping)
    record = compare(protocols="toy,toy-drop")
    assert [value.protocol for value in record.rows[0].metrics] == ["fid@toy-1"]
    assert ("fid@toy-drop-1", "expected at least 2, got an empty set") in [
        (skip.id, skip.reason.split(": ")[-1].split(";")[0]) for skip in record.skipped
    ]
    assert "left out: fid@toy-drop-1: generated pictures: expected at least 2" in capsys.readouterr().out
    with pytest.raises(ValueError, match="compare: no protocol gave a number; fid@toy-drop-1: generated pictures"):
        compare(protocols="toy-drop")


def test_one_size_is_asked_for_where_one_protocol_needs_it(toy, compare):  # noqa: F811
    with pytest.raises(ValueError, match="fake: expected pictures of one size, as fid@toy-plain-1"):
        compare(protocols="toy,toy-plain")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "inception-fid: expected the folder with its weight file .*name one with --weights"),
        ({"weights": "."}, "expected these files in .*; put them there and run again"),
        ({"protocols": "clean"}, "inception-fid: expected the folder"),
        ({"protocols": "cleen"}, "unknown protocol 'cleen'; did you mean 'clean'"),
        ({"protocols": ","}, "fid has no protocol with published weights; name some with --protocols"),
        ({"metric": "fad"}, "unknown metric 'fad'"),
    ],
)
def test_wrong_use_is_a_sentence(compare, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        compare(count=2, **options)


@pytest.fixture
def published(tmp_path, monkeypatch) -> Path:
    """A folder with TensorFlow's Inception in the published format, but random, and protocols that take it for theirs."""
    with monkeypatch.context() as patch:
        patch.setattr(torch, "load", lambda *_, **__: {})
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        network = FeatureExtractorInceptionV3("random", ["2048"], feature_extractor_weights_path="none")
    g = torch.Generator().manual_seed(0)
    state = {
        name: torch.randn(tensor.shape, generator=g) * (2 / tensor[0].numel()) ** 0.5 if tensor.dim() > 1 else tensor
        for name, tensor in network.state_dict().items()
    }
    path = tmp_path / "weights" / weights.WEIGHTS["inception-fid"].file
    path.parent.mkdir()
    torch.save(state, path)
    digest = sha256(path)
    known = Registry[weights.WeightFile]("weight file")
    for name in weights.WEIGHTS:
        mine = {"size_bytes": None, "sha256": digest} if name == "inception-fid" else {}
        known.add(name, dataclasses.replace(weights.WEIGHTS[name], **mine))
    for module in (weights, views):
        monkeypatch.setattr(module, "WEIGHTS", known)
    for name in PROTOCOLS:
        if PROTOCOLS[name].network == "inception-fid":
            mine = dataclasses.replace(PROTOCOLS[name], weights_sha256=digest, replicates=3)
            monkeypatch.setitem(PROTOCOLS._parts, name, mine)
    return path.parent


def test_all_published_protocols(compare, published, monkeypatch, capsys):
    calls = []
    look = views.Judges.look
    monkeypatch.setattr(views.Judges, "look", lambda self, *given: calls.append(len(given[0])) or look(self, *given))
    record = compare(count=2, weights=published)
    (row,) = record.rows
    found = {value.protocol.partition("@")[2]: value.value for value in row.metrics}
    assert {"ttur-1", "pytorch-fid-1", "clean-1", "torchmetrics-aa-1", "adm-1", "sg2ada-1"} <= set(found)
    assert found["ttur-1"] == found["adm-1"]
    assert found["sg2ada-1"] == pytest.approx(found["ttur-1"], rel=0.5)
    assert len(set(found.values())) == len(found) - 1
    assert "fid@dmgan-coco-1" in {skip.id for skip in record.skipped}
    said = capsys.readouterr().out
    assert said.count(" → fid@") == len(found) * (len(found) - 1) // 2
    assert "ttur-1 and adm-1 have the same constants, so their numbers are equal." in said
    assert "left out: fid@dmgan-coco-1: expected these files" in said
    assert sum(calls) == 4  # one decode of every picture
