"""Both Inceptions with random weights in the published file formats; the pictures' path to the features is what is tested."""

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import inception_v3

from evaluation import weights
from evaluation.features import InceptionJudge, load_inception_judge
from evaluation.features.inception import build
from evaluation.features.prepare import normalise, prepare
from evaluation.metrics import PictureProtocols, PictureScorer
from evaluation.metrics.resize import resize
from evaluation.protocols import PROTOCOLS, FIDProtocol, sprites, ttur
from evaluation.weights import MissingWeightsError
from nuwa.files import sha256

PUBLISHED = [name for name in PROTOCOLS if name.startswith("fid@") and name != sprites.FID.id]


@pytest.fixture(scope="module")
def folder(fid_inception, imagenet_inception) -> Path:
    """A folder with both files."""
    assert fid_inception.parent == imagenet_inception.parent
    return fid_inception.parent


@pytest.fixture
def accepted(registry, fid_inception, imagenet_inception) -> None:
    """The registry as if the random files were the ones published."""
    registry(fid_inception, imagenet_inception)


def judge(protocol: FIDProtocol, folder: Path) -> InceptionJudge:
    path = folder / weights.WEIGHTS[protocol.network].file
    return InceptionJudge(build(protocol.network, path), protocol, digest=sha256(path))


def pictures(b: int = 2, size: int = 64) -> Tensor:
    return torch.randint(0, 256, (b, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_imagenet_is_torchvision(folder):
    protocol = PROTOCOLS["fid@dmgan-coco-1"]
    network = inception_v3(weights=None, aux_logits=True, init_weights=False, transform_input=True).eval()
    network.load_state_dict(torch.load(folder / weights.WEIGHTS["inception-imagenet"].file, weights_only=True))
    pooled: list[Tensor] = []
    network.avgpool.register_forward_hook(lambda module, inputs, output: pooled.append(output.flatten(1)))
    with torch.no_grad():
        logits = network(resize(pictures(), 299, protocol.resize) / 255)
    ours = judge(protocol, folder)(pictures())
    torch.testing.assert_close(ours.features, pooled[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.class_logits, logits - network.fc.bias, rtol=1e-4, atol=1e-3)


def test_cogview_reads_logits_with_their_bias_and_does_not_resize(folder, make_pictures):
    """eval_utils/inception_score.py: pictures in [-1, 1] into torchvision's network as they are."""
    network = inception_v3(weights=None, aux_logits=True, init_weights=False, transform_input=False).eval()
    network.load_state_dict(torch.load(folder / weights.WEIGHTS["inception-imagenet"].file, weights_only=True))
    images = make_pictures(2, 100, 120)
    with torch.no_grad():
        expected = network(2 * (images / 255) - 1)
    ours = judge(PROTOCOLS["is@cogview-1"], folder)
    torch.testing.assert_close(ours(images).class_logits, expected, rtol=1e-4, atol=1e-3)
    with pytest.raises(ValueError, match="is@cogview-1: expected pictures of at least 75 px, got 64×80"):
        ours(make_pictures(2, 64, 80))


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_protocol_names_a_file_that_is_known(name):
    protocol = PROTOCOLS[name]
    assert weights.WEIGHTS[protocol.network].sha256 == protocol.weights_sha256
    assert protocol.size_px == 299
    assert protocol.width == 2048


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("minus-128-over-128", [-1.0, 0.0, 127 / 128]),
        ("over-127.5-minus-1", [-1.0, 128 / 127.5 - 1, 1.0]),
        ("none", [0.0, 128.0, 255.0]),
    ],
)
def test_ranges(rule, expected):
    levels = torch.tensor([0.0, 128.0, 255.0]).expand(1, 3, 1, 3)
    got = normalise(levels, dataclasses.replace(ttur.FID, normalise=rule))
    torch.testing.assert_close(got[0, 0, 0], torch.tensor(expected))


@pytest.mark.parametrize("name", ["fid@clean-1", "fid@dmgan-coco-1"])
def test_published_protocols_score_pictures(folder, accepted, name):
    protocol = dataclasses.replace(PROTOCOLS[name], drop_last_of=None, replicates=3)
    scorers = []
    for shift in (0, 40):
        network = load_inception_judge(protocol, folder)
        assert network.protocol.weights_sha256 != network.sha256  # random ones
        protocols = PictureProtocols(
            fid=dataclasses.replace(protocol, weights_sha256=network.sha256),
            inception_score=None,
            clipsim=None,
            caption_accuracy=None,
        )
        scorers.append(PictureScorer(network, None, (0,), protocols))
        scorers[-1].update((pictures(3) // 2 + shift).byte(), None)
    with pytest.warns(match="3 generated pictures for 2048 features|3 real pictures for 2048 features"):
        found = scorers[0].against(scorers[1])
    assert [metric.name for metric in found] == ["FID-0"]
    assert found[0].protocol == name
    assert found[0].value > 0


def test_published_numbers_need_published_weights(folder, accepted):
    network = load_inception_judge(ttur.FID, folder)
    with pytest.raises(ValueError, match="needs a protocol of its own"):
        PictureScorer(network, None, (0,), PictureProtocols(fid=ttur.FID, inception_score=None, caption_accuracy=None))


@pytest.mark.parametrize("network", ["inception-fid", "inception-imagenet"])
def test_folded_convolutions_are_the_published_ones(folder, network, monkeypatch):
    path = folder / weights.WEIGHTS[network].file
    protocol = PROTOCOLS["fid@ttur-1" if network == "inception-fid" else "fid@dmgan-coco-1"]
    ours = InceptionJudge(build(network, path), protocol, digest="")(pictures())
    monkeypatch.setattr("evaluation.features.inception.fold", lambda network: network)
    theirs = InceptionJudge(build(network, path), protocol, digest="")(pictures())
    assert float((ours.features - theirs.features).abs().max()) <= 1e-5 * float(theirs.features.abs().max())
    assert not torch.equal(ours.features, theirs.features)  # something was folded


def test_batches_do_not_change_features(folder):
    network = judge(ttur.FID, folder)
    together = network(pictures(3)).features
    apart = torch.cat([network(picture[None]).features for picture in pictures(3)])
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-5)


def test_it_does_not_learn(folder):
    network = nn.Sequential(judge(ttur.FID, folder))
    network.train()
    assert not any(module.training for module in network[0].modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_missing_weights_are_said(tmp_path):
    with pytest.raises(MissingWeightsError, match=r"pt_inception-2015-12-05-6726825d\.pth \(inception-fid"):
        load_inception_judge(ttur.FID, tmp_path)


def test_other_weights_are_refused(folder):
    with pytest.raises(ValueError, match="expected 95,628,359 bytes"):
        load_inception_judge(ttur.FID, folder)


@pytest.mark.parametrize("name", [name for name in PROTOCOLS if PROTOCOLS[name].network == "inception-fid"])
def test_floats_and_single_pictures_are_refused(name):
    for images in (pictures().float(), pictures()[0]):
        with pytest.raises(ValueError, match=r"resize: expected uint8 \(b, c, h, w\)"):
            prepare(images, PROTOCOLS[name])


def test_another_network_is_refused():
    with pytest.raises(ValueError, match="expected a network of inception-fid"):
        InceptionJudge(nn.Identity(), sprites.FID, digest="")
