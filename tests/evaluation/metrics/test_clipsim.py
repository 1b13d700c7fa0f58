import dataclasses

import numpy as np
import pytest
import torch

from evaluation.metrics import CLIPSIM
from evaluation.metrics.clipsim import caption_similarity, clipsim
from evaluation.protocols import sprites


def embeddings(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_cosine_of_pairs():
    images, texts = embeddings(6, 4), embeddings(6, 4, seed=1)
    expected = [
        np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(images.numpy(), texts.numpy(), strict=True)
    ]
    np.testing.assert_allclose(caption_similarity(images, texts), expected, rtol=1e-5)


def test_frames_are_averaged_before_samples():
    clips, texts = embeddings(3, 5, 4), embeddings(3, 4, seed=1)
    frames = caption_similarity(clips.flatten(0, 1), texts.repeat_interleave(5, 0))
    torch.testing.assert_close(caption_similarity(clips, texts), frames.view(3, 5).mean(1))


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_scale_is_the_protocols(scale):
    protocol = dataclasses.replace(sprites.CLIPSIM, scale=scale)
    estimate = clipsim(torch.tensor([0.2, 0.4, 0.6]), protocol)
    assert estimate.value == pytest.approx(0.4 * scale)
    assert estimate.ci95[0] <= estimate.value <= estimate.ci95[1]
    assert estimate.n == 3
    metric = CLIPSIM(protocol)
    metric.update(torch.eye(3), torch.eye(3))
    assert float(metric.compute()) == pytest.approx(scale)


def test_two_models_on_the_same_captions_are_paired():
    texts = torch.nn.functional.normalize(embeddings(200, 8), dim=-1)
    wanted, drift = 0.5 * texts + embeddings(200, 8, seed=1), 0.02 * texts
    near, nearer = (clipsim(caption_similarity(images, texts), sprites.CLIPSIM) for images in (wanted, wanted + drift))
    difference = nearer.minus(near)
    assert difference.value == pytest.approx(nearer.value - near.value)
    assert difference.ci95[1] - difference.ci95[0] < (near.ci95[1] - near.ci95[0]) / 10
    assert difference.p_value < 0.01


def test_other_numbers_are_not_paired():
    one = clipsim(torch.tensor([0.2, 0.4, 0.6]), sprites.CLIPSIM)
    with pytest.raises(ValueError, match="expected one metric, protocol and n"):
        one.minus(clipsim(torch.tensor([0.2, 0.4]), sprites.CLIPSIM))


@pytest.mark.parametrize(
    ("images", "texts", "message"),
    [
        (torch.ones(3, 4), torch.ones(2, 4), "one caption to each picture"),
        (torch.ones(3, 4), torch.ones(3, 5), r"got \(3, 4\) and \(3, 5\)"),
        (torch.ones(3), torch.ones(3), "expected images"),
        (torch.zeros(3, 4), torch.ones(3, 4), "image vectors with a direction"),
        (torch.ones(3, 4), torch.full((3, 4), torch.nan), "text vectors with a direction"),
    ],
)
def test_wrong_use_is_caught(images, texts, message):
    with pytest.raises(ValueError, match=message):
        CLIPSIM().update(images, texts)


@pytest.mark.parametrize("n", [0, 1])
def test_one_picture_is_no_set(n):
    with pytest.raises(ValueError, match="at least 2"):
        clipsim(torch.zeros(n), sprites.CLIPSIM)
