"""``ttur`` against torch-fidelity: features, FID, IS, KID, precision and recall through its own front door."""

import pytest
import torch
from torch_fidelity import calculate_metrics
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from evaluation.metrics.fid import fid
from evaluation.metrics.inception_score import inception_score, split_scores
from evaluation.metrics.kid import kid
from evaluation.metrics.prdc import prdc
from evaluation.protocols import ttur

pytestmark = pytest.mark.filterwarnings("ignore::evaluation.metrics.uncertainty.SmallSampleWarning")

SPLITS, SUBSETS = {"splits": 3}, {"subsets": 8, "subset_size": 5}


@pytest.fixture(scope="module")
def theirs(fid_inception, sets) -> dict[str, float]:
    class Pictures(torch.utils.data.Dataset):
        def __init__(self, side: torch.Tensor) -> None:
            self.side = side

        def __len__(self) -> int:
            return len(self.side)

        def __getitem__(self, row: int) -> torch.Tensor:
            return self.side[row]

    return calculate_metrics(
        input1=Pictures(sets.generated),
        input2=Pictures(sets.real),
        fid=True,
        isc=True,
        kid=True,
        prc=True,
        feature_extractor="inception-v3-compat",
        isc_splits=SPLITS["splits"],
        kid_subsets=SUBSETS["subsets"],
        kid_subset_size=SUBSETS["subset_size"],
        feature_extractor_weights_path=str(fid_inception),
        batch_size=4,
        cuda=False,
        cache=False,
        save_cpu_ram=True,  # and no worker processes
        verbose=False,
    )


def test_features(ours, fid_inception, sets):
    network = FeatureExtractorInceptionV3(
        "x", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(fid_inception)
    )
    features, logits = network(sets.generated[:2])
    mine = ours(ttur.FID).generated
    torch.testing.assert_close(mine.features[:2], features, rtol=0, atol=1e-4)
    torch.testing.assert_close(mine.class_logits[:2], logits, rtol=0, atol=1e-4)
    assert float(mine.features.std(0).mean()) > 0.04  # random weights, but not dead ones


def test_fid(ours, theirs):
    mine = ours(ttur.FID, replicates=2)
    assert fid(*mine.features, mine.protocol).value == pytest.approx(theirs["frechet_inception_distance"], rel=1e-5)


def test_inception_score(ours, theirs):
    mine = ours(ttur.INCEPTION_SCORE, **SPLITS)
    logits = mine.generated.class_logits
    assert inception_score(logits, mine.protocol).value == pytest.approx(theirs["inception_score_mean"], rel=1e-5)
    std = split_scores(logits, mine.protocol).std(ddof=mine.protocol.ddof)
    assert std == pytest.approx(theirs["inception_score_std"], rel=1e-4)
    assert theirs["inception_score_mean"] > 1.01


def test_kid(ours, theirs):
    mine = ours(ttur.KID, **SUBSETS)
    assert kid(*mine.features, mine.protocol).value == pytest.approx(
        theirs["kernel_inception_distance_mean"], abs=1e-6
    )  # as torch-fidelity is to TensorFlow


def test_precision_and_recall(ours, theirs):
    mine = ours(ttur.PRDC)
    found = {each.name: each.value for each in prdc(*mine.features, mine.protocol)}
    assert (found["precision"], found["recall"]) == pytest.approx((theirs["precision"], theirs["recall"]), rel=1e-6)
