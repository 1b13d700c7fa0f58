"""``pytorch-fid`` against pytorch-fid, from files to the number."""

import numpy as np
import pytest
import pytorch_fid.inception
import torch
from pytorch_fid.fid_score import calculate_fid_given_paths, calculate_frechet_distance, get_activations

from evaluation.metrics.fid import fid
from evaluation.metrics.frechet import distance_of_features
from evaluation.protocols import pytorch_fid as protocols

SLICE = 128  # of 2,048 features: scipy's sqrtm takes 20 s for all

pytestmark = [
    pytest.mark.filterwarnings("ignore::evaluation.metrics.uncertainty.SmallSampleWarning"),
    pytest.mark.filterwarnings("ignore:.*disp.*:DeprecationWarning"),  # of scipy's sqrtm
]


@pytest.fixture
def random_weights(fid_inception, monkeypatch):
    """It always downloads; here it gets the random file."""
    state = torch.load(fid_inception, weights_only=True)
    monkeypatch.setattr(pytorch_fid.inception, "load_state_dict_from_url", lambda *_, **__: state)


@pytest.fixture
def theirs(random_weights, sets) -> list[np.ndarray]:
    network = pytorch_fid.inception.InceptionV3([3])
    return [get_activations(sorted(folder.iterdir()), network, batch_size=4, num_workers=0) for folder in sets.folders]


def test_features_and_their_distance(ours, theirs):
    mine = ours(protocols.FID)
    for features, expected in zip(mine.features, theirs, strict=True):
        np.testing.assert_allclose(features, expected, rtol=0, atol=1e-4)
    statistics = [
        f(side[:, :SLICE]) for side in theirs for f in (lambda x: x.mean(0), lambda x: np.cov(x, rowvar=False))
    ]
    expected = calculate_frechet_distance(*statistics)
    assert float(distance_of_features(*(side[:, :SLICE] for side in mine.features))) == pytest.approx(
        expected, rel=1e-5
    )


@pytest.mark.slow
def test_fid(ours, random_weights, sets):
    mine = ours(protocols.FID, replicates=2)
    paths = [str(folder) for folder in sets.folders]
    theirs = calculate_fid_given_paths(paths, batch_size=4, device="cpu", dims=2048, num_workers=0)
    assert fid(*mine.features, mine.protocol).value == pytest.approx(theirs, rel=1e-5)
