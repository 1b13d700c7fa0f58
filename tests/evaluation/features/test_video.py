"""Judges of clips from weight files in the published formats; the way from clips to a number is what is tested."""

import dataclasses
import pickle
from pathlib import Path

import pytest
import torch
from stand_ins import ScriptedI3D, moving_clips, publish, save_scripted, waves
from torch import nn
from torchvision.models.video import r3d_18

from evaluation.features import VideoJudge, load_video_judge
from evaluation.features.clip_pixels import prepare
from evaluation.features.i3d import I3D
from evaluation.features.video import TorchScriptI3D, build
from evaluation.metrics import FVD, ActionAccuracy, FIDVid
from evaluation.protocols import cd_fvd, google, kinetics, stylegan_v, videogpt
from evaluation.weights import MissingWeightsError

SMALL = {"size_px": 32, "weights_sha256": None}
R3D = dataclasses.replace(kinetics.FID_VID["r3d-18"], resize_px=(36, 40), **SMALL)
SHORT = {"replicates": 3, "clips": None}

pytestmark = pytest.mark.filterwarnings("ignore::evaluation.metrics.uncertainty.SmallSampleWarning")


def save_i3d(path: Path) -> None:
    torch.save(waves(I3D()), path)


def save_r3d(path: Path) -> None:
    torch.manual_seed(0)
    torch.save(r3d_18(weights=None).state_dict(), path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    with pytest.MonkeyPatch.context() as patch:
        publish(patch, folder, i3d_torchscript=save_scripted, i3d_kinetics_400=save_i3d, r3d_18=save_r3d)
        yield folder


@pytest.fixture(scope="module")
def r3d(folder) -> VideoJudge:
    return load_video_judge(dataclasses.replace(R3D, **SHORT), folder)


def own(protocol):
    """The protocol for files of our own: those of the test would be refused under the published digests."""
    return dataclasses.replace(protocol, weights_sha256=None, **SHORT)


@pytest.mark.parametrize("protocol", [google.FVD, stylegan_v.FVD], ids=lambda protocol: protocol.id)
def test_the_torchscript_file_is_called_as_its_protocol_says(folder, protocol):
    judge = load_video_judge(dataclasses.replace(own(protocol), size_px=24), folder)
    clips = moving_clips(2, size=20)
    judgement = judge(clips)
    torch.manual_seed(0)
    whole = ScriptedI3D()
    levels = clips.transpose(1, 2)
    if protocol is google.FVD:
        expected = whole(prepare(clips, judge.protocol), rescale=False, resize=False, return_features=True)
    else:
        expected = whole(levels, rescale=True, resize=True, return_features=True)
    torch.testing.assert_close(judgement.features, expected, rtol=1e-4, atol=1e-5)
    assert judgement.features is judgement.class_logits
    assert judgement.features.shape == (2, 400)


def test_pictures_of_another_size_are_refused():
    class Map(nn.Module):
        def forward(self, x, rescale, resize, return_features):
            return torch.zeros(len(x), 400, 2, 2)

    with pytest.raises(ValueError, match=r"expected 224×224 pixels, got \(256, 256\)"):
        TorchScriptI3D(Map(), resize=False)(torch.zeros(1, 3, 16, 256, 256))


@pytest.mark.parametrize("protocol", [videogpt.FVD, cd_fvd.FVD], ids=lambda protocol: protocol.id)
def test_the_state_dict_gives_logits(folder, protocol):
    judge = load_video_judge(dataclasses.replace(own(protocol), size_px=32), folder)
    network = I3D().eval()
    network.load_state_dict(waves(network))
    clips = moving_clips(2, size=24)
    with torch.no_grad():
        _, expected = network(prepare(clips, judge.protocol))
    torch.testing.assert_close(judge(clips).features, expected)


def test_what_is_read_is_the_protocols(folder):
    clips = moving_clips(2, t=12, size=40)
    protocols = [dataclasses.replace(kind["i3d-kinetics-400"], **SMALL) for kind in (kinetics.FID_VID, kinetics.ACC)]
    distance, accuracy = (load_video_judge(protocol, folder)(clips) for protocol in protocols)
    assert distance.features.shape == (2, 1024)
    assert accuracy.features.shape == (2, 400)
    assert torch.equal(distance.class_logits, accuracy.class_logits)


def test_a_distance_from_clips(folder):
    protocol = own(dataclasses.replace(google.FVD, size_px=24))
    fvd = FVD(judge=load_video_judge(protocol, folder))
    assert fvd.protocol == protocol
    generated, real = moving_clips(8, size=20), moving_clips(6, size=20, seed=1)
    for part in generated.split(3):
        fvd.update(part, real=False)
    fvd.update(real.double() / 255, real=True)
    by_hand = FVD(protocol)
    judge = load_video_judge(protocol, folder)
    by_hand.update(judge(generated).features, real=False)
    by_hand.update(judge(real).features, real=True)
    assert float(fvd.compute()) == pytest.approx(float(by_hand.compute()), rel=1e-6)
    assert fvd.estimates()[0].n == 8
    assert not [name for name in fvd.state_dict() if "judge" in name]


def test_the_network_is_read_when_it_is_needed(folder):
    fvd = FVD(own(dataclasses.replace(google.FVD, size_px=24)), weights=folder)
    given = FVD(judge=load_video_judge(fvd.protocol, folder))
    for metric in (fvd, given):
        metric.update(moving_clips(4, size=20), real=False)
        metric.update(moving_clips(4, size=20, seed=1), real=True)
    assert float(fvd.compute()) == float(given.compute())
    again = pickle.loads(pickle.dumps(fvd))  # without the network, which is read again
    again.update(moving_clips(4, size=20, seed=2), real=True)
    fvd.update(moving_clips(4, size=20, seed=2), real=True)
    assert float(again.compute()) == float(fvd.compute())


def test_published_names_need_published_files(folder):
    fvd = FVD("stylegan-v", weights=folder)
    with pytest.raises(
        ValueError, match=r"fvd@stylegan-v-1: expected the weights bec6519f.*needs a protocol of its own"
    ):
        fvd.update(moving_clips(2), real=True)


def test_accuracy_and_distance_on_torchvisions_network(r3d):
    clips = moving_clips(4, t=5, size=24)
    vid = FIDVid(judge=r3d)
    for real in (True, False):
        vid.update(clips, real=real)
    assert float(vid.compute()) < 1e-6
    protocol = dataclasses.replace(kinetics.ACC["r3d-18"], resize_px=(36, 40), **SMALL)
    judge = VideoJudge(r3d.network, protocol, digest=r3d.sha256)
    acc = ActionAccuracy(judge=judge)
    acc.update(clips, judge(clips).class_logits.argmax(1))
    assert float(acc.compute()) == 1.0


@pytest.mark.parametrize("batch", [1, 3])
def test_batches_do_not_change_features(r3d, batch):
    clips = moving_clips(6, t=4, size=24)
    together = r3d(clips).features
    apart = torch.cat([r3d(part).features for part in clips.split(batch)])
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-5)


def test_it_does_not_learn(r3d):
    judge = nn.Sequential(r3d)
    judge.train()
    assert not any(module.training for module in judge.modules() if module is not judge)
    assert not any(parameter.requires_grad for parameter in judge.parameters())


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        (moving_clips(1, t=8), "expected clips of at least 10 frames"),
        (moving_clips(1).permute(0, 1, 3, 4, 2), "channels last"),
        (moving_clips(1).float(), "divide by 255"),
    ],
)
def test_clips_are_checked_at_the_door(folder, clips, message):
    with pytest.raises(ValueError, match=message):
        load_video_judge(own(google.FVD), folder)(clips)


def test_published_numbers_need_published_weights(folder):
    with pytest.raises(ValueError, match="needs a protocol of its own"):
        FVD(judge=load_video_judge(google.FVD, folder))


def test_the_judge_is_under_the_protocol_of_the_metric(folder):
    judge = load_video_judge(own(stylegan_v.FVD), folder)
    with pytest.raises(ValueError, match="expected a judge under this protocol, got one under fvd@stylegan-v-1"):
        FVD(own(google.FVD), judge=judge)


def test_missing_weights_are_said(tmp_path):
    with pytest.raises(MissingWeightsError, match=r"i3d_torchscript\.pt \(i3d-torchscript: FVD of google, StyleGAN-V"):
        load_video_judge(google.FVD, tmp_path)


def test_the_network_is_built_without_the_registry(folder):
    path = folder / "i3d_torchscript.pt"
    assert isinstance(VideoJudge(build(google.FVD, path), google.FVD, digest="").network, TorchScriptI3D)
