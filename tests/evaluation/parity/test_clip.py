"""OpenAI's CLIP against clip-anytorch itself, on the same random archives: pictures, words, and what is made of them."""

import dataclasses
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from evaluation.captions import tokenize
from evaluation.features import load_judge
from evaluation.features.prepare import prepare
from evaluation.metrics import CLIPSIM, CMMD, CLIPScore
from evaluation.metrics.fid import fid
from evaluation.protocols import PROTOCOLS, clean, google_research, hessel, openai_clip

with warnings.catch_warnings():  # as in pyproject.toml, which does not cover an import of this file
    warnings.simplefilter("ignore")
    import clip

pytestmark = [
    pytest.mark.filterwarnings("ignore::evaluation.metrics.uncertainty.SmallSampleWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning"),
]

CAPTIONS = [
    "a large red ring in the upper left on a navy background",
    "two dogs, a cat & three children playing in the snow!!!",
    "wow!{!~ !;",  # pieces with the id 0, which is the padding too
    "naïve café — 東京 &amp; ½",
    "word " * 100,
]


@pytest.fixture(scope="module")
def theirs(clips):
    """B/32 and its transform as ``clip.load`` gives them."""
    return clip.load(str(clips["clip-vit-b-32"]), device="cpu")


@pytest.fixture
def accepted(registry, clips):
    registry(*clips.values())
    return clips["clip-vit-b-32"].parent


def as_pil(picture: Tensor) -> Image.Image:
    return Image.fromarray(picture.permute(1, 2, 0).numpy())


@pytest.mark.parametrize("size", [(256, 256), (224, 224), (100, 150), (225, 226), (31, 400), (480, 640)], ids=str)
@pytest.mark.parametrize("size_px", [224, 336])
def test_pictures_are_prepared_as_by_its_own_transform(make_pictures, size, size_px):
    pictures = make_pictures(2, *size)
    protocol = dataclasses.replace(openai_clip.CLIPSIM_B32, size_px=size_px)
    expected = torch.stack([clip.clip._transform(size_px)(as_pil(picture)) for picture in pictures])
    torch.testing.assert_close(prepare(pictures, protocol), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [(256, 200), (401, 33), (640, 480)], ids=str)
def test_pictures_higher_than_wide_are_prepared_as_by_pillow_12(make_pictures, monkeypatch, size):
    """Pillow 13 takes the cheaper axis first, which moves single bytes; two calls fix the older order."""
    pictures = make_pictures(2, *size)
    plain = Image.Image.resize

    def width_first(self, size, resample=None, *_, **__):
        return plain(plain(self, (size[0], self.height), resample), size, resample)

    ours = prepare(pictures, openai_clip.CLIPSIM_B32)
    installed = torch.stack([clip.clip._transform(224)(as_pil(picture)) for picture in pictures])
    monkeypatch.setattr(Image.Image, "resize", width_first)
    expected = torch.stack([clip.clip._transform(224)(as_pil(picture)) for picture in pictures])
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(ours, installed, rtol=0, atol=1.01 / 255 / 0.26)  # one level


def test_embeddings(accepted, theirs, make_pictures):
    network, transform = theirs
    ours = load_judge(openai_clip.CLIPSIM_B32, accepted)
    pictures = make_pictures(3, 60, 90)
    with torch.no_grad():
        shown = network.encode_image(torch.stack([transform(as_pil(picture)) for picture in pictures]))
        said = network.encode_text(clip.tokenize(CAPTIONS, truncate=True))
    torch.testing.assert_close(ours(pictures).features, shown, rtol=0, atol=1e-4)
    for mine, expected in ((ours.encode_images(pictures), shown), (ours.encode_texts(CAPTIONS), said)):
        cosine = torch.cosine_similarity(mine, expected)
        assert float((cosine - 1).abs().max()) < 1e-6
        torch.testing.assert_close(mine.norm(dim=-1), torch.ones(len(mine)))
    assert float(torch.cosine_similarity(said[:1], said[1:]).max()) < 0.99  # captions that are told apart
    alone = torch.cat([ours.encode_texts([caption]) for caption in CAPTIONS])
    torch.testing.assert_close(alone, ours.encode_texts(CAPTIONS), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "captions", [CAPTIONS, ["ring"], ["word " * 75], ["word " * 76], ["!" * 300]], ids=lambda c: c[0][:9]
)
def test_tokens(captions):
    mine = tokenize(captions)
    assert torch.equal(mine.ids, clip.tokenize(captions, truncate=True))
    for row, caption in enumerate(captions):
        if row in mine.truncated:
            with pytest.raises(RuntimeError, match="too long for context length 77"):
                clip.tokenize(caption)
        else:
            clip.tokenize(caption)


@pytest.mark.parametrize("name", openai_clip.SHA256)
def test_every_model_loads(accepted, clips, name, make_pictures):
    protocol = dataclasses.replace(openai_clip.CLIPSIM_B32, **openai_clip.pictures(name))
    ours = load_judge(protocol, accepted)
    network, transform = clip.load(str(clips[name]), device="cpu")
    pictures = make_pictures(1, 60, 90)
    with torch.no_grad():
        expected = network.encode_image(transform(as_pil(pictures[0]))[None])
    torch.testing.assert_close(ours(pictures).features, expected, rtol=0, atol=1e-4)


def test_clipsim_and_clipscore(accepted, theirs, make_pictures, of_random_weights, clips):
    network, transform = theirs
    pictures, captions = make_pictures(4, 60, 90), CAPTIONS[:4]
    with torch.no_grad():
        shown = network.encode_image(torch.stack([transform(as_pil(picture)) for picture in pictures]))
        said, prefixed = (
            network.encode_text(clip.tokenize([prefix + caption for caption in captions]))
            for prefix in ("", "A photo depicts ")
        )
    path = clips["clip-vit-b-32"]
    for kind, protocol, texts in (
        (CLIPSIM, openai_clip.CLIPSIM_B32, said),
        (CLIPSIM, openai_clip.CLIPSIM_B32_X100, said),
        (CLIPScore, hessel.CLIPSCORE, prefixed),
    ):
        metric = kind(of_random_weights(protocol, path), weights=accepted)
        metric.update(pictures[:3], captions[:3])
        metric.update(pictures[3:], captions[3:])
        cosines = torch.cosine_similarity(shown, texts)
        expected = {"clipsim": cosines * protocol.scale, "clipscore": 2.5 * cosines.clamp_min(0)}[protocol.metric]
        assert float(metric.compute()) == pytest.approx(float(expected.mean()), abs=1e-5 * protocol.scale)


def test_clip_fid_is_clean_fids(accepted, sets, clips, of_random_weights):
    from cleanfid.clip_features import CLIP_fx, img_preprocess_clip
    from cleanfid.fid import get_batch_features

    path = clips["clip-vit-b-32"]
    network = CLIP_fx(str(path), device="cpu")
    protocol = of_random_weights(clean.CLIP_FID, path, replicates=2)
    judge = load_judge(protocol, accepted)
    mine, theirs = [], []
    for side in sets:
        wide = side.transpose(2, 3)  # there every Pillow takes the width first
        resized = [torch.from_numpy(img_preprocess_clip(p.permute(1, 2, 0).numpy())).permute(2, 0, 1) for p in wide]
        theirs.append(torch.from_numpy(get_batch_features(torch.stack(resized).float(), network, torch.device("cpu"))))
        mine.append(judge(wide).features)
        torch.testing.assert_close(mine[-1], theirs[-1], rtol=0, atol=1e-4)
    expected = fid(*theirs, protocol).value
    assert fid(*mine, protocol).value == pytest.approx(expected, rel=1e-5)


def test_cmmd_is_its_formula(accepted, sets, clips, of_random_weights):
    """As in sayakpaul/cmmd-pytorch, by Pillow, clip-anytorch and NumPy in float64."""
    path = clips["clip-vit-l-14-336"]
    network, _ = clip.load(str(path), device="cpu")
    normalise = clip.clip._transform(336).transforms[-1]
    embeddings = []
    for side in sets:
        crops = []
        for picture in side:
            image = as_pil(picture)
            length = min(image.size)
            left, top = (image.width - length) // 2, (image.height - length) // 2
            image = image.crop((left, top, left + length, top + length)).resize((336, 336), Image.Resampling.BICUBIC)
            crops.append(normalise(torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255))
        with torch.no_grad():
            embeddings.append(network.encode_image(torch.stack(crops)).double().numpy())
    x, y = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in embeddings)

    def mean(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.exp(-(np.square(a[:, None] - b[None]).sum(2)) / 200).mean())

    expected = 1000 * (mean(x, x) + mean(y, y) - 2 * mean(x, y))
    metric = CMMD(of_random_weights(google_research.CMMD, path), weights=accepted)
    metric.update(sets.generated, real=False)
    metric.update(sets.real, real=True)
    assert float(metric.compute()) == pytest.approx(expected, rel=1e-4)


def test_another_size_is_refused(accepted):
    protocol = dataclasses.replace(PROTOCOLS["clipsim@openai-b32-1"], size_px=336)
    with pytest.raises(ValueError, match="expected a network for 336 px, got one for 224 px"):
        load_judge(protocol, accepted)
