"""torchvision's video networks, taken apart, against themselves whole, with random weights in the published format."""

import pytest
import torch
from torchvision.models import get_model

from evaluation.features.kinetics import LAST_LAYERS, KineticsNetwork

SIZES = {"s3d": (14, 32), "mvit-v2-s": (16, 224)}  # what the network cannot do without; else 4 frames of 32×32


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n == "mvit-v2-s" else ()) for n in LAST_LAYERS]
)
def test_features_and_logits_are_those_of_the_whole(name, tmp_path):
    torch.manual_seed(0)
    model, last = LAST_LAYERS[name]
    whole = get_model(model, weights=None).eval()
    torch.save(whole.state_dict(), tmp_path / "published.pth")
    ours = KineticsNetwork(name).eval()
    ours.load_published(tmp_path / "published.pth")
    t, size = SIZES.get(name, (4, 32))
    if name == "s3d":  # its pooling takes 7×7 of 224 pixels, and nothing smaller
        whole.avgpool = ours.trunk.avgpool = torch.nn.Identity()
    clips = torch.randn(1, 3, t, size, size)
    heard: list[torch.Tensor] = []
    whole.get_submodule(last).register_forward_pre_hook(lambda module, inputs: heard.append(inputs[0]))
    with torch.no_grad():
        expected = whole(clips)
        features, logits = ours(clips)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(features, heard[0].flatten(2).mean(2) if name == "s3d" else heard[0])
    assert expected.std() > 1e-3  # random weights, but not dead ones


def test_an_unknown_network_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match="unknown video network 'r3d-19'; did you mean 'r3d-18'"):
        KineticsNetwork("r3d-19")
