import dataclasses

import pytest
import torch

from evaluation.inputs import Statistics, open_pictures, pairs
from evaluation.metrics import FID, METRICS, InceptionScore, ProtocolMetric
from evaluation.metrics.base import gather
from evaluation.metrics.frechet import frechet_distance
from evaluation.protocols import PROTOCOLS, sprites
from evaluation.scoring import asks
from evaluation.scoring.asks import ASKS, ELSEWHERE, Ask, Asked, Evidence, of_features, of_pairs, parse
from evaluation.scoring.cache import Cache
from evaluation.scoring.reading import read
from evaluation.scoring.views import Judges, View
from tests.evaluation.scoring.conftest import TOY, TOY_IS

pytestmark = pytest.mark.filterwarnings("ignore::evaluation.metrics.SmallSampleWarning")
CPU = torch.device("cpu")


def ids(metrics: str, family: str | None = None) -> list[str]:
    return [each.protocol.id for each in parse(metrics, family)]


def test_names_with_and_without_a_family():
    assert ids("fid,is") == ["fid@ttur-1", "is@ttur-1"]
    assert ids(" fid , is@sprites,", "clean") == ["fid@clean-1", "is@sprites-1"]
    assert ids("fid-k", "sprites-1") == ["fid@sprites-1"]
    assert [each.name for each in parse("fid,fid@clean,fid-k")] == ["fid", "fid", "fid-k"]


def test_the_newest_version_of_a_family(toy, monkeypatch):
    for version in (2, 10):
        newer = dataclasses.replace(TOY, family=f"toy-{version}")
        monkeypatch.setitem(PROTOCOLS._parts, newer.id, newer)
    assert ids("fid@toy") == ["fid@toy-10"]
    assert ids("fid@toy-2") == ["fid@toy-2"]


@pytest.mark.parametrize(
    ("metrics", "family", "sentence"),
    [
        ("", None, "expected some of fid, fid-k, is, kid.*, got none"),
        ("fidd", None, r"unknown metric 'fidd'; did you mean 'fid'\?"),
        ("fid@cleen", None, r"fid: unknown protocol 'cleen'; did you mean 'clean'\? .*known: ttur"),
        ("fid,is", "clean", "is: unknown protocol 'clean'"),
        ("fid,fid", None, "expected each once, got 'fid' twice"),
        ("caption-accuracy", None, "needs the scenes that captions name"),
    ],
)
def test_what_is_not_known_is_said(metrics, family, sentence):
    with pytest.raises(ValueError, match=sentence):
        parse(metrics, family)


@pytest.mark.parametrize("name", METRICS)
def test_every_registered_metric_can_be_asked_for_or_is_said_to_be_elsewhere(name):
    assert (name in {ASKS[each].metric for each in ASKS}) != (name in ELSEWHERE)


@pytest.mark.parametrize("name", ASKS)
def test_every_default_is_a_protocol(name):
    assert parse(name)[0].protocol.metric == ASKS[name].metric


@pytest.fixture
def evidence(toy, folder, tmp_path):
    """``evidence(asked)`` for 20 generated and 25 real pictures."""
    sources = open_pictures(folder("ours", 20)), open_pictures(folder("theirs", 25, seed=1))

    def look(asked: Asked, real: Statistics | None = None) -> Evidence:
        judges = Judges([*asked.views("generated"), *asked.views("real")], None, CPU)
        ours, theirs = (
            read(source, judges, Cache(tmp_path / "cache"), views=asked.views(side), shard=8)
            if asked.views(side)
            else None
            for source, side in zip(sources, ("generated", "real"), strict=True)
        )
        return Evidence(generated=ours, real=real or theirs, judges=judges, captions={}, device=CPU)

    return look


def features(evidence: Evidence, view: View) -> tuple[torch.Tensor, torch.Tensor]:
    return evidence.generated[view], evidence.real[view]


def test_fid_of_every_radius(evidence):
    (asked,) = parse("fid-k", "toy")
    found = asked.estimates(seen := evidence(asked))
    assert [estimate.name for estimate in found] == ["FID-0", "FID-1", "FID-2", "FID-4", "FID-8"]
    for estimate, radius in zip(found, TOY.radii, strict=True):
        metric = FID(TOY, radius)
        for side, values in zip((False, True), features(seen, View(protocol=TOY, radius=radius)), strict=True):
            metric.update(values, real=side)
        assert estimate.value == pytest.approx(float(metric.compute()), rel=1e-9)
        assert estimate.n == 20
    assert parse("fid", "toy")[0].estimates(seen)[0].value == found[0].value


def test_the_real_side_alone_is_blurred(evidence, monkeypatch):
    real = dataclasses.replace(TOY, family="toy-real-1", blur_target="real", radii=(0, 4))
    monkeypatch.setitem(PROTOCOLS._parts, real.id, real)
    (asked,) = parse("fid-k", "toy-real")
    assert asked.views("generated") == (View(protocol=real), View(protocol=real))
    assert asked.views("real") == (View(protocol=real), View(protocol=real, radius=4))
    sharp, blurred = asked.estimates(evidence(asked))
    assert sharp.value != blurred.value


def test_inception_score_needs_one_side(evidence):
    (asked,) = parse("is", "toy")
    assert asked.views("real") == ()
    assert asked.ask.needs == ()
    seen = evidence(asked)
    (estimate,) = asked.estimates(seen)
    metric = InceptionScore(TOY_IS)
    metric.update(seen.generated[View(protocol=TOY_IS, answer="class_logits")])
    assert estimate.value == pytest.approx(float(metric.compute()), rel=1e-12)


def test_statistics_stand_for_the_real_side(evidence):
    (asked,) = parse("fid", "toy")
    _, real = features(evidence(asked), View(protocol=TOY))
    mean, covariance = real.double().mean(0), real.double().T.cov()
    statistics = Statistics(name="a.npz", mean=mean, covariance=covariance, number=25, fingerprint="")
    seen = evidence(asked, statistics)
    (estimate,) = asked.estimates(seen)
    ours = seen.generated[View(protocol=TOY)].double()
    expected = float(frechet_distance(ours.mean(0), ours.T.cov(), mean, covariance))
    assert estimate.value == pytest.approx(expected, rel=1e-9)


def test_one_line_wires_another_metric(evidence, monkeypatch):
    """A metric of features that was registered elsewhere."""

    class ToyDistance(FID):
        metric = "toy-distance"

    monkeypatch.setitem(METRICS._parts, "toy-distance", ToyDistance)
    toy = dataclasses.replace(TOY, metric="toy-distance")
    monkeypatch.setitem(PROTOCOLS._parts, toy.id, toy)
    monkeypatch.setitem(ASKS._parts, "toy-distance", of_features("toy-distance", default="toy"))
    (asked,) = parse("toy-distance")
    (estimate,) = asked.estimates(evidence(asked))
    assert estimate.protocol == "toy-distance@toy-1"
    assert estimate.value > 0


class MeanError(ProtocolMetric):
    """Mean absolute error, in the form of a paired metric."""

    higher_is_better = False

    def __init__(self, protocol, **settings):
        super().__init__(protocol, **settings)
        self.add_state("values", [], dist_reduce_fx="cat")

    def update(self, generated, real):
        self.values.append((generated.double() - real.double()).abs().flatten(1).mean(1, keepdim=True))

    def compute(self):
        return gather(self.values).mean()

    def _estimates(self):
        values = gather(self.values)
        found = {"value": float(values.mean()), "ci95": (0.0, 255.0), "n": len(values), "higher_is_better": False}
        return [asks.Estimate(name="error", protocol=self.protocol.id, replicates=values.flatten().numpy(), **found)]


def test_a_metric_of_pairs(toy, folder, tmp_path, monkeypatch):
    monkeypatch.setitem(METRICS._parts, "toy-error", MeanError)
    protocol = dataclasses.replace(
        sprites.CLIPSIM, metric="toy-error", family="toy-1", network="none", weights_sha256=None
    )
    asked = Asked(name="toy-error", ask=of_pairs("toy-error", default="toy"), protocol=protocol)
    source = pairs(open_pictures(folder("ours", 7)), open_pictures(folder("theirs", 7, seed=1)))
    judges = Judges(asked.views("generated"), None, CPU)
    for _ in range(2):  # the second time from the cache
        ours = read(source, judges, Cache(tmp_path / "cache"), shard=3)
        (estimate,) = asked.estimates(Evidence(generated=ours, real=None, judges=judges, captions={}, device=CPU))
        (batch,) = source
        expected = (batch.images[:, 0].double() - batch.images[:, 1].double()).abs().mean()
        assert estimate.value == pytest.approx(float(expected))
        assert estimate.n == 7


def test_captions_are_needed_for_every_picture(toy, folder, tmp_path):
    (asked,) = parse("clipsim", "sprites")
    judges = Judges(asked.views("generated"), None, CPU)
    ours = read(open_pictures(folder("ours", 4, sizes=((32, 32),))), judges, Cache(tmp_path / "cache"))
    captions = {"000.png": "a red circle", "001.png": "a blue ring"}
    with pytest.raises(ValueError, match=r"captions: 2 of 4 pictures have none: 002\.png, 003\.png; add them"):
        asked.estimates(Evidence(generated=ours, real=None, judges=judges, captions=captions, device=CPU))


def test_an_ask_says_what_it_needs():
    assert ASKS["clipsim"].needs == ("captions",)
    assert isinstance(ASKS["fid"], Ask)
    assert ASKS["fid"].takes_statistics
    assert not ASKS["fid-k"].takes_statistics
