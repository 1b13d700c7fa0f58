"""I3D against content-debiased-fvd's, with equal weights of our own."""

import pytest
import torch
import torch.nn.functional as F
from stand_ins import waves

from evaluation.features.i3d import I3D, load_i3d, same_padding

# InceptionI3d(400) of cd-fvd 0.1.1 (the port of VideoGPT and TATS) with the state dict ``waves``, on the clip below:
# logits[0, ::80], and extract_features(clip).mean((2, 3, 4))[0, ::200]
LOGITS = [-0.05966009, 0.04810401, -0.04049742, 0.03754373, 0.00051128]
FEATURES = [0.04943945, 0.0, 0.00032799, 0.0, 0.03728630, 0.01748399]


@pytest.fixture(scope="module")
def network() -> I3D:
    network = I3D().eval()
    network.load_state_dict(waves(network))
    return network


def test_second_opinion_cd_fvd(network):
    clip = torch.sin(torch.arange(3 * 9 * 224 * 224, dtype=torch.float64) * 0.37).view(1, 3, 9, 224, 224).float()
    with torch.no_grad():
        features, logits = network(clip)
    torch.testing.assert_close(logits[0, ::80], torch.tensor(LOGITS), rtol=0, atol=2e-6)
    torch.testing.assert_close(features[0, ::200], torch.tensor(FEATURES), rtol=0, atol=2e-6)


def test_parameters_have_the_published_names(network):
    names = set(network.state_dict())
    assert {
        "Conv3d_1a_7x7.conv3d.weight",
        "Conv3d_1a_7x7.bn.running_var",
        "Mixed_3b.b0.conv3d.weight",
        "Mixed_4e.b2b.bn.weight",
        "Mixed_5c.b3b.bn.bias",
        "logits.conv3d.weight",
        "logits.conv3d.bias",
    } <= names
    # 57 convolutions with their normalisation, and the last one with its bias
    assert len([name for name in names if not name.endswith("num_batches_tracked")]) == 57 * 5 + 2
    assert sum(parameter.numel() for parameter in network.parameters()) == 12_697_264


def test_the_published_file_has_no_batch_counters(network, tmp_path):
    state = {name: value for name, value in waves(network).items() if not name.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "i3d.pt")
    loaded = load_i3d(tmp_path / "i3d.pt")
    assert all(torch.equal(loaded.state_dict()[name], value) for name, value in state.items())


def test_a_file_of_another_network_is_refused(tmp_path):
    torch.save({"conv.weight": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(RuntimeError, match="Conv3d_1a_7x7"):
        load_i3d(tmp_path / "other.pt")


@pytest.mark.parametrize("t", [9, 16, 17])
def test_logits_are_averaged_over_time(network, t):
    clip = torch.rand(1, 3, t, 32, 40, generator=torch.Generator().manual_seed(t)) * 2 - 1
    maps = []
    hook = network.Mixed_5c.register_forward_hook(lambda module, inputs, output: maps.append(output))
    with torch.no_grad():
        features, logits = network(clip)
        hook.remove()
        whole = F.avg_pool3d(maps[0], (2, *maps[0].shape[3:]), (1, 1, 1))
        each = network.logits["conv3d"](whole)
    assert maps[0].shape == (1, 1024, -(-t // 8), 1, 2)
    torch.testing.assert_close(features, whole.mean((2, 3, 4)))
    torch.testing.assert_close(logits, each.mean((2, 3, 4)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "extent", "stride"), [(16, 7, 2), (15, 7, 2), (7, 3, 1), (5, 2, 2), (9, 3, 2), (6, 1, 2)]
)
def test_padding_is_tensorflows_same(size, extent, stride):
    padded = same_padding(torch.ones(1, 1, size, size, size), (extent,) * 3, (stride,) * 3)
    missing = padded.shape[2] - size
    # tf.nn: pad_total = max((ceil(size / stride) - 1) * stride + extent - size, 0), the odd one at the end
    assert missing == max((-(-size // stride) - 1) * stride + extent - size, 0)
    assert int(padded[0, 0, :, size // 2, size // 2].argmax()) == missing // 2
    assert (padded.shape[2] - extent) // stride + 1 == -(-size // stride)


def test_too_few_frames_are_named(network):
    with pytest.raises(ValueError, match="I3D: expected at least 9 frames, got 8"):
        network(torch.zeros(1, 3, 8, 32, 32))
