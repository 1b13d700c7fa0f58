"""Metrics fed with pictures: the protocol by name, its network when it is needed, and the usual mistakes."""

import dataclasses
import pickle
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

import evaluation
from evaluation import (
    CLIPFID,
    CMMD,
    FID,
    KID,
    PRDC,
    FDDINOv2,
    FDInfinity,
    InceptionScore,
    MissingWeightsError,
    load_judge,
)
from evaluation.metrics.blur import blur
from evaluation.metrics.frechet import distance_of_features
from evaluation.metrics.kid import kid
from evaluation.protocols import PROTOCOLS, clean, pytorch_fid, sprites, ttur

pytestmark = pytest.mark.filterwarnings("ignore::evaluation.metrics.uncertainty.SmallSampleWarning")

TWO_SETS = [FID, CLIPFID, FDDINOv2, KID, PRDC, FDInfinity, CMMD]
PUBLISHED = [
    (FID, "ttur", "pt_inception-2015-12-05-6726825d.pth"),
    (FID, "dmgan-coco", "inception_v3_google-1a9a5a14.pth"),
    (KID, "ttur", "pt_inception-2015-12-05-6726825d.pth"),
    (PRDC, "dgm", "dinov2_vitl14_pretrain.pth"),
    (FDInfinity, "ttur", "pt_inception-2015-12-05-6726825d.pth"),
    (CMMD, "google-research", "ViT-L-14-336px.pt"),
    (CLIPFID, "clean", "ViT-B-32.pt"),
    (FDDINOv2, "edm2", "dinov2_vitl14_pretrain.pth"),
    (InceptionScore, "cogview", "inception_v3_google-1a9a5a14.pth"),
]


class Judge(nn.Module):
    """Features and logits of a picture: what a few random lines across its pixels say."""

    def __init__(self, width: int = 6, classes: int = 4) -> None:
        super().__init__()
        g = torch.Generator().manual_seed(0)
        self.features = nn.Parameter(torch.randn(3 * 16 * 16, width, generator=g, dtype=torch.float64) / 30)
        self.classes = nn.Parameter(torch.randn(3 * 16 * 16, classes, generator=g, dtype=torch.float64) / 3)

    def forward(self, images: Tensor) -> SimpleNamespace:
        assert images.dtype == torch.uint8
        pixels = images.flatten(1).double() / 255 - 0.5
        return SimpleNamespace(features=pixels @ self.features, class_logits=pixels @ self.classes)


NARROW = {
    FID: dataclasses.replace(sprites.FID, width=6, replicates=5, weights_sha256=None),
    KID: dataclasses.replace(sprites.KID, width=6, replicates=5, weights_sha256=None),
    PRDC: dataclasses.replace(sprites.PRDC, width=6, replicates=5, weights_sha256=None),
    FDInfinity: dataclasses.replace(sprites.FD_INFINITY, width=6, replicates=5, weights_sha256=None),
    CMMD: dataclasses.replace(PROTOCOLS["cmmd@google-research-1"], width=6, replicates=5, weights_sha256=None),
    InceptionScore: dataclasses.replace(
        sprites.INCEPTION_SCORE, classes=4, splits=2, replicates=5, weights_sha256=None
    ),
}


@pytest.fixture
def pictures(make_pictures):
    return make_pictures(30, 16, 16, seed=0), make_pictures(25, 16, 16, seed=1) // 2


def fed(kind: type, *sides: Tensor, batch: int = 30, **settings: object) -> object:
    metric = kind(NARROW[kind], **settings)
    for side, real in zip(sides, (False, True), strict=False):
        for part in side.split(batch):
            metric.update(part, **({} if kind is InceptionScore else {"real": real}))
    return metric


@pytest.mark.parametrize("kind", NARROW)
def test_pictures_and_what_the_network_says_of_them_give_one_number(kind, pictures):
    judge, layer = Judge(), "class_logits" if kind is InceptionScore else "features"
    said = [getattr(judge(side), layer).detach() for side in pictures]
    assert float(fed(kind, *pictures, judge=judge).compute()) == pytest.approx(
        float(fed(kind, *said).compute()), rel=1e-9
    )


def test_a_callable_that_answers_with_features_will_do(pictures):
    judge = Judge()
    metric = fed(FID, *pictures, judge=lambda images: judge(images).features)
    assert float(metric.compute()) == pytest.approx(float(fed(FID, *pictures, judge=judge).compute()), rel=1e-12)


def test_bytes_and_floats_are_the_same_pictures(pictures):
    floats = [side / 255 for side in pictures]
    assert float(fed(FID, *floats, judge=Judge()).compute()) == float(fed(FID, *pictures, judge=Judge()).compute())


@pytest.mark.parametrize("target", ["both", "real"])
def test_fid_k_blurs_what_the_protocol_says(pictures, target):
    protocol = dataclasses.replace(NARROW[FID], blur_target=target, blur_picture_px=None)
    judge = Judge()
    metric = FID(protocol, radius=2, judge=judge)
    metric.update(pictures[0], real=False)
    metric.update(pictures[1], real=True)
    judge.requires_grad_(False)
    soft = [blur(side, 2, protocol.blur_kernel) for side in pictures]
    expected = distance_of_features(
        *(judge(s).features for s in (soft[0] if target == "both" else pictures[0], soft[1]))
    )
    assert float(metric.compute()) == pytest.approx(float(expected), rel=1e-9)
    assert metric.estimates()[0].name == "FID-2"


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("batch", [1, 7, 64])
def test_batches_and_order_do_not_move_fid(make_pictures, batch, order):
    """The shipped judge of sprites, from pictures to the number; the bound is 1e-6."""
    sides = make_pictures(70, 32, 32, seed=0), make_pictures(70, 32, 32, seed=1) // 2
    numbers = []
    for size, seed in ((70, None), (batch, order)):
        metric = FID()
        for side, real in zip(sides, (False, True), strict=True):
            mixed = side if seed is None else side[torch.randperm(70, generator=torch.Generator().manual_seed(seed))]
            for part in mixed.split(size):
                metric.update(part, real=real)
        numbers.append(float(metric.compute()))
    assert numbers[1] == pytest.approx(numbers[0], rel=1e-6)


@pytest.mark.parametrize("name", ["clean", "clean-1", "fid@clean-1", clean.FID])
def test_a_protocol_by_name(name):
    assert FID(protocol=name).protocol is clean.FID


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        (FID, "claen", "fid: unknown protocol 'claen'; did you mean 'clean'"),
        (FID, "fid@clean-2", "did you mean 'clean'"),
        (FID, "is@ttur-1", "fid: unknown protocol 'is@ttur-1'"),
        (FID, ttur.KID, "fid: expected a protocol of fid, got kid@ttur-1"),
        (KID, "pytorch-fid", r"kid: unknown protocol 'pytorch-fid'.* \(known: ttur, clean, sprites, sg2ada"),
        (InceptionScore, "cogveiw", "is: unknown protocol 'cogveiw'; did you mean 'cogview'"),
    ],
)
def test_another_name_is_answered_with_the_nearest(kind, name, message):
    with pytest.raises(ValueError, match=message):
        kind(protocol=name)


@pytest.mark.parametrize("kind", TWO_SETS)
def test_default_protocols_are_their_own(kind):
    assert kind().protocol.metric == kind.metric


class TestWithoutWeights:
    @pytest.fixture(autouse=True)
    def offline(self, monkeypatch):
        def refuse(*_, **__):
            raise AssertionError("nothing here may use the network")

        monkeypatch.setattr(socket, "socket", refuse)
        monkeypatch.setattr(socket, "create_connection", refuse)

    @pytest.mark.parametrize(("kind", "name", "file"), PUBLISHED)
    def test_nothing_is_missed_until_pictures_come(self, kind, name, file, pictures):
        metric = kind(protocol=name)
        width = metric.protocol.classes if kind is InceptionScore else metric.protocol.width
        side = {} if kind is InceptionScore else {"real": True}
        metric.update(torch.zeros(3, width), **side)
        with pytest.raises(
            MissingWeightsError, match=rf"expected a folder .*\n  {file} \(.*sha256 [0-9a-f]{{8}}.* from https"
        ):
            metric.update(pictures[0], **side)

    @pytest.mark.parametrize(("kind", "name", "file"), PUBLISHED)
    def test_the_folder_without_the_file_is_named(self, kind, name, file, pictures, tmp_path):
        metric = kind(protocol=name, weights=tmp_path)
        with pytest.raises(MissingWeightsError, match=rf"expected these files in .*{tmp_path.name}; .*\n  {file}"):
            metric.update(pictures[0], **({} if kind is InceptionScore else {"real": True}))

    def test_another_file_is_refused_and_stays(self, pictures, tmp_path):
        path = tmp_path / "ViT-B-32.pt"
        path.write_bytes(b"something else")
        metric = CLIPFID(weights=tmp_path)
        with pytest.raises(ValueError, match=r"expected sha256 40d36571.*, got [0-9a-f]{64}"):
            metric.update(pictures[0], real=True)
        assert path.read_bytes() == b"something else"

    def test_sprites_need_no_folder(self, make_pictures):
        metric = FID()
        metric.update(make_pictures(3, 32, 32), real=True)
        assert metric.real_features[0].shape == (3, 128)


def test_published_files_are_read_from_the_folder(fid_inception, registry, of_random_weights, make_pictures):
    registry(fid_inception)
    protocol = of_random_weights(clean.FID, fid_inception)
    metric = FID(protocol, weights=str(fid_inception.parent))
    metric.update(make_pictures(2, 40, 50), real=True)
    expected = load_judge(protocol, fid_inception.parent)(make_pictures(2, 40, 50)).features
    torch.testing.assert_close(metric.real_features[0], expected, rtol=0, atol=1e-5)


def test_numbers_of_other_weights_need_another_protocol(fid_inception, registry, make_pictures):
    registry(fid_inception)
    metric = FID("clean", weights=fid_inception.parent)
    with pytest.raises(ValueError, match=r"fid@clean-1: expected the weights 6726825d.*needs a protocol of its own"):
        metric.update(make_pictures(2, 40, 50), real=True)


def test_a_judge_that_prepares_otherwise_is_refused(fid_inception, registry, of_random_weights):
    registry(fid_inception)
    judge = load_judge(of_random_weights(pytorch_fid.FID, fid_inception), fid_inception.parent)
    with pytest.raises(
        ValueError, match=r"fid@clean-1: expected a judge that prepares .*, got one under fid@pytorch-fid-1"
    ):
        FID(of_random_weights(clean.FID, fid_inception), judge=judge)


def test_one_judge_serves_a_family(fid_inception, registry, of_random_weights, make_pictures):
    registry(fid_inception)
    judge, asked = load_judge(of_random_weights(ttur.FID, fid_inception), fid_inception.parent), []
    judge.register_forward_hook(lambda *_: asked.append(kind))
    for kind, protocol in ((FID, ttur.FID), (KID, ttur.KID), (InceptionScore, ttur.INCEPTION_SCORE)):
        metric = kind(of_random_weights(protocol, fid_inception), judge=judge)
        metric.update(make_pictures(2, 40, 50), **({} if kind is InceptionScore else {"real": True}))
    assert asked == [FID, KID, InceptionScore]


class TestInterrupted:
    @pytest.mark.parametrize("kind", NARROW)
    def test_a_pickle_goes_on(self, kind, pictures):
        sides = pictures[:1] if kind is InceptionScore else pictures
        metric = pickle.loads(pickle.dumps(fed(kind, *(side[:11] for side in sides), judge=Judge())))
        for side, real in zip(sides, (False, True), strict=False):
            metric.update(side[11:], **({} if kind is InceptionScore else {"real": real}))
        whole = float(fed(kind, *sides, judge=Judge()).compute())
        assert float(metric.compute()) == pytest.approx(whole, rel=1e-9)

    def test_a_pickle_does_not_hold_a_network_that_can_be_loaded_again(self, make_pictures):
        metric = FID()
        fresh = len(pickle.dumps(metric))
        metric.update(make_pictures(2, 32, 32), real=True)
        assert len(pickle.dumps(metric)) < fresh + 10_000  # two rows of features, and no 3 MB of weights
        resumed = pickle.loads(pickle.dumps(metric))
        resumed.update(make_pictures(2, 32, 32), real=True)
        assert torch.equal(resumed.real_features[0], resumed.real_features[1])

    def test_a_state_dict_does_not_hold_the_network(self, pictures):
        assert set(fed(FID, *pictures, judge=Judge()).state_dict()) == {
            *("real_moments", "real_features", "generated_moments", "generated_features")
        }


MISTAKES = [
    (torch.full((4, 3, 8, 8), 200.0), "divide by 255"),
    (torch.randint(0, 2, (4, 3, 8, 8), dtype=torch.uint8), "multiply by 255"),
    (torch.randint(0, 2, (4, 3, 8, 8)), "convert with .to"),
    (torch.zeros(4, 8, 8, 3), "channels last"),
    (torch.full((4, 3, 8, 8), torch.nan), "NaN or infinity"),
    (torch.full((4, 3, 8, 8), -0.5), r"use \(images \+ 1\) / 2"),
    (torch.zeros(0, 3, 8, 8), "at least one picture"),
    (torch.zeros(3, 8, 8), "add the batch axis"),
    (torch.zeros(2, 5, 3, 8, 8), "flatten clips"),
    (torch.zeros(4, 1, 8, 8), r"expected 3 channels \(RGB\)"),
    (torch.zeros(4, 7), r"expected \(b, 6\)|expected \(b, 4\)"),
    (torch.full((4, 6), torch.inf), r"NaN or infinity|expected \(b, 4\)"),
    ([1, 2], "expected a tensor, got list"),
]


@pytest.mark.parametrize("kind", NARROW)
@pytest.mark.parametrize(("samples", "message"), MISTAKES)
def test_wrong_pictures_are_caught(kind, samples, message):
    metric = kind(NARROW[kind], judge=Judge())
    with pytest.raises(ValueError, match=message):
        metric.update(samples, **({} if kind is InceptionScore else {"real": True}))


@pytest.mark.parametrize("kind", NARROW)
@pytest.mark.parametrize(("number", "got"), [(0, "an empty set"), (1, "one")])
def test_sets_without_spread_are_caught(kind, number, got, pictures):
    metric = kind(NARROW[kind], judge=Judge())
    if number:
        metric.update(pictures[0][:1], **({} if kind is InceptionScore else {"real": False}))
    with pytest.raises(ValueError, match=f"got {got}"):
        metric.estimates()


def test_the_package_exports_its_metrics_and_loads_them_late():
    assert {"FID", "KID", "InceptionScore", "PROTOCOLS", "METRICS"} <= set(dir(evaluation))
    assert all(getattr(evaluation, name) is not None for name in evaluation.__all__)
    with pytest.raises(AttributeError, match="no attribute 'FDI'"):
        _ = evaluation.FDI
    code = "import sys, evaluation; print([name for name in ('torch', 'torchmetrics', 'torchvision') if name in sys.modules])"
    root = Path(__file__).parents[3]
    out = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_kid_by_pictures_is_the_function(pictures):
    judge = Judge()
    said = [judge(side).features.detach().float() for side in pictures]
    assert fed(KID, *pictures, judge=judge).estimates()[0].value == kid(*said, NARROW[KID]).value
