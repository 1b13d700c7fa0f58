"""``torchmetrics-aa`` against torchmetrics: its default FID, IS and KID, and its FID without antialias against ``ttur``."""

import pytest
import torch
from torchmetrics.image.fid import FrechetInceptionDistance, NoTrainInceptionV3
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance

from evaluation.images import as_bytes
from evaluation.metrics.fid import fid
from evaluation.metrics.inception_score import inception_score, split_scores
from evaluation.metrics.kid import kid
from evaluation.protocols import torchmetrics_aa, ttur

pytestmark = [
    pytest.mark.filterwarnings("ignore::evaluation.metrics.uncertainty.SmallSampleWarning"),
    pytest.mark.filterwarnings("ignore:Metric `(InceptionScore|Kernel Inception Distance)` will save all:UserWarning"),
]


@pytest.fixture(scope="module")
def network(fid_inception, once):
    """Their extractor with their defaults; it computes both layers in one pass."""
    extractor = NoTrainInceptionV3("x", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(fid_inception))
    return once(extractor._torch_fidelity_forward)


class Layer(torch.nn.Module):
    num_features = 2048

    def __init__(self, network: torch.nn.Module, layer: int) -> None:
        super().__init__()
        self.network, self.layer = network, layer

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network.ask(images)[self.layer]


def test_features(ours, network, sets):
    mine = ours(torchmetrics_aa.FID)
    for side, judgement in zip(sets, (mine.generated, mine.real), strict=True):
        features, logits = network.ask(side)
        torch.testing.assert_close(judgement.features, features, rtol=0, atol=1e-4)
        torch.testing.assert_close(judgement.class_logits, logits, rtol=0, atol=1e-4)


def test_fid(ours, network, sets):
    theirs = FrechetInceptionDistance(feature=Layer(network, 0))
    theirs.update(sets.generated, real=False)
    theirs.update(sets.real, real=True)
    mine = ours(torchmetrics_aa.FID, replicates=2)
    assert fid(*mine.features, mine.protocol).value == pytest.approx(float(theirs.compute()), rel=1e-5)


def test_inception_score(ours, network, sets):
    mine = ours(torchmetrics_aa.INCEPTION_SCORE, splits=3)
    theirs = InceptionScore(feature=Layer(network, 1), splits=3)
    theirs.update(sets.generated)
    torch.manual_seed(mine.protocol.seed)  # it draws from the global generator
    mean, std = (float(each) for each in theirs.compute())
    logits = mine.generated.class_logits
    assert inception_score(logits, mine.protocol).value == pytest.approx(mean, rel=1e-5)
    assert split_scores(logits, mine.protocol).std(ddof=mine.protocol.ddof) == pytest.approx(std, rel=1e-4)


def test_kid(ours, network, sets):
    mine = ours(torchmetrics_aa.KID, subsets=8, subset_size=5)
    theirs = KernelInceptionDistance(feature=Layer(network, 0), subsets=8, subset_size=5)
    theirs.update(sets.generated, real=False)
    theirs.update(sets.real, real=True)
    torch.manual_seed(mine.protocol.seed)
    mean, _ = theirs.compute()
    assert kid(*mine.features, mine.protocol).value == pytest.approx(float(mean), rel=1e-4)  # theirs is float32


def test_without_antialias_it_is_ttur(ours, fid_inception, sets):
    extractor = NoTrainInceptionV3("x", ["2048"], feature_extractor_weights_path=str(fid_inception), antialias=False)
    torch.testing.assert_close(ours(ttur.FID).generated.features[:2], extractor(sets.generated[:2]), rtol=0, atol=1e-4)


def test_antialias_is_another_number(ours):
    """The tools' own tests feed 299 px, where it is not."""
    mine, other = ours(torchmetrics_aa.FID, replicates=2), ours(ttur.FID, replicates=2)
    assert fid(*mine.features, mine.protocol).value != pytest.approx(
        fid(*other.features, other.protocol).value, rel=1e-3
    )


def test_floats_are_cut_to_bytes():
    floats = torch.rand(2, 3, 8, 8)
    expected = (floats * 255).byte()  # theirs, with normalize=True
    assert torch.equal(as_bytes(floats, torchmetrics_aa.FID.quantise), expected)
    assert not torch.equal(as_bytes(floats, ttur.FID.quantise), expected)
