"""``clean`` and ``sg2ada`` against clean-fid, which reads the network from NVIDIA's TorchScript; here that file is random.

The stand-in has what clean-fid asks of the published one: ``layers`` from 299 px to features, and TensorFlow's resize in
front of them where it is called itself.
"""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from cleanfid.fid import compute_fid, frechet_distance, get_folder_features, kernel_distance
from cleanfid.inception_torchscript import InceptionV3W
from torch import Tensor, nn

from evaluation.features.inception import _LAYERS, build
from evaluation.metrics.fid import fid
from evaluation.metrics.frechet import distance_of_features
from evaluation.metrics.kid import kid
from evaluation.metrics.resize import tf1_bilinear
from evaluation.protocols import clean, sg2ada

SLICE = 128  # of 2,048 features: scipy's sqrtm takes 20 s for all
CPU = torch.device("cpu")

pytestmark = [
    pytest.mark.filterwarnings("ignore::evaluation.metrics.uncertainty.SmallSampleWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*disp.*:DeprecationWarning"),  # of scipy's sqrtm
    pytest.mark.filterwarnings("ignore:.*mode.*parameter:DeprecationWarning"),  # of Pillow's fromarray
]


class Whole(nn.Module):
    """The published file's front: bytes of any size to features."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, img: Tensor, return_features: bool = True) -> Tensor:
        for dim in (3, 2):
            length = img.shape[dim]
            position = torch.arange(299, dtype=torch.float32) * (length / 299)
            low = position.long()
            share = position - low
            share = share if dim == 3 else share[:, None]
            first = img.index_select(dim, low)
            img = first + (img.index_select(dim, (low + 1).clamp_max(length - 1)) - first) * share
        return self.layers((img - 128) / 128)


@pytest.fixture(scope="module")
def nvidia(fid_inception, tmp_path_factory) -> Path:
    """A folder with ``inception-2015-12-05.pt``."""
    network = build("inception-fid", fid_inception)
    layers = nn.Sequential(*(network.get_submodule(name) for name in _LAYERS["inception-fid"].split()), nn.Flatten())
    folder = tmp_path_factory.mktemp("nvidia")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        traced = torch.jit.trace(layers.eval(), torch.zeros(1, 3, 299, 299), check_trace=False)
        torch.jit.script(Whole(traced)).save(str(folder / "inception-2015-12-05.pt"))
    return folder


def network_of(folder: Path, *, resize_inside: bool) -> Callable[[Tensor], Tensor]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return InceptionV3W(str(folder), download=False, resize_inside=resize_inside)


@pytest.fixture(scope="module")
def theirs(nvidia, sets) -> list[np.ndarray]:
    network = network_of(nvidia, resize_inside=False)
    settings = {"num_workers": 0, "batch_size": 4, "device": CPU, "mode": "clean", "verbose": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return [get_folder_features(str(folder), network, **settings) for folder in sets.folders]


def test_features(ours, theirs):
    for features, expected in zip(ours(clean.FID).features, theirs, strict=True):
        np.testing.assert_allclose(features, expected, rtol=0, atol=1e-4)


def test_distance(ours, theirs):
    statistics = [
        f(side[:, :SLICE]) for side in theirs for f in (lambda x: x.mean(0), lambda x: np.cov(x, rowvar=False))
    ]
    mine = distance_of_features(*(side[:, :SLICE] for side in ours(clean.FID).features))
    assert float(mine) == pytest.approx(frechet_distance(*statistics), rel=1e-5)


def test_kid(ours, theirs):
    mine = ours(clean.KID, subsets=8)
    np.random.seed(mine.protocol.seed)  # noqa: NPY002 — it draws from the global generator, generated pictures first
    expected = kernel_distance(theirs[1], theirs[0], num_subsets=8)
    assert kid(*mine.features, mine.protocol).value == pytest.approx(expected, rel=1e-4)  # theirs is float32


@pytest.mark.slow
def test_fid(ours, nvidia, sets):
    theirs = compute_fid(
        *(str(folder) for folder in sets.folders),
        mode="clean",
        custom_feat_extractor=network_of(nvidia, resize_inside=False),
        num_workers=0,
        device=CPU,
        verbose=False,
    )
    mine = ours(clean.FID, replicates=2)
    assert fid(*mine.features, mine.protocol).value == pytest.approx(theirs, rel=1e-5)


def test_the_resize_inside_is_tensorflows(ours, nvidia, sets):
    """What ``legacy_tensorflow``, StyleGAN2-ADA and StyleGAN-V use."""
    few = sets.generated[:2].float()
    with torch.no_grad():
        expected = network_of(nvidia, resize_inside=True)(few)
        straight = network_of(nvidia, resize_inside=False)(tf1_bilinear(few, 299))
    torch.testing.assert_close(expected, straight, rtol=0, atol=1e-4)
    torch.testing.assert_close(ours(sg2ada.FID).generated.features[:2], expected, rtol=0, atol=1e-4)
