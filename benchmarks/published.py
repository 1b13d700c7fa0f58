"""Networks with random weights in the formats of the published files, and pictures on disk, for timing without a download."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from evaluation import weights
from evaluation.features import NETWORKS, OpenAIClip
from evaluation.judges.clip import clip_model
from evaluation.protocols import PROTOCOLS, openai_clip
from evaluation.scoring import views
from nuwa.files import sha256
from nuwa.registry import Registry

CLIPSIM = dataclasses.replace(
    openai_clip.CLIPSIM_B32, family="random-1", network="random ViT-B/32", weights_sha256=None
)
"""CLIPSIM by a network that nobody trained."""


def save_pictures(folder: Path, count: int, size_px: int, seed: int) -> dict[str, str]:
    """``count`` soft, coloured JPEG pictures into ``folder``; their captions by id."""
    folder.mkdir(parents=True)
    g = torch.Generator().manual_seed(seed)
    for index in range(count):
        coarse = torch.rand(1, 3, 6, 6, generator=g)
        fine = F.interpolate(coarse, (size_px, size_px), mode="bicubic")[0] + 0.05 * torch.randn(
            3, size_px, size_px, generator=g
        )
        pixels = (fine.clamp(0, 1) * 255).byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(folder / f"{index:05d}.jpg", quality=95)
    return {f"{index:05d}.jpg": f"picture number {index} of soft shapes in many colours" for index in range(count)}


def save_inception(folder: Path) -> Path:
    """TensorFlow's Inception in its published format, with random weights that keep features of order one."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    with (
        mock.patch.object(torch, "load", return_value={}),
        mock.patch.object(FeatureExtractorInceptionV3, "load_state_dict"),
    ):
        network = FeatureExtractorInceptionV3("random", ["2048"], feature_extractor_weights_path="none")
    g = torch.Generator().manual_seed(0)
    state = network.state_dict()
    for name, tensor in state.items():
        if tensor.dim() > 1:
            state[name] = torch.randn(tensor.shape, generator=g) * (2 / tensor[0].numel()) ** 0.5
        elif name.endswith(("running_mean", "bias")):
            state[name] = 0.1 * torch.randn(tensor.shape, generator=g)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / weights.WEIGHTS["inception-fid"].file
    torch.save(state, path)
    return path


@contextlib.contextmanager
def taken_for_published(inception: Path, clip: OpenAIClip | None = None) -> Iterator[None]:
    """Inside, the registries take the random Inception, and CLIP where it is given, for the ones published."""
    digest = sha256(inception)
    known = Registry[weights.WeightFile]("weight file")
    for name in weights.WEIGHTS:
        changes: dict[str, Any] = {"size_bytes": None, "sha256": digest} if name == "inception-fid" else {}
        known.add(name, dataclasses.replace(weights.WEIGHTS[name], **changes))
    protocols = {
        name: dataclasses.replace(PROTOCOLS[name], weights_sha256=digest)
        for name in PROTOCOLS
        if PROTOCOLS[name].network == "inception-fid"
    }
    with (
        mock.patch.object(weights, "WEIGHTS", known),
        mock.patch.object(views, "WEIGHTS", known),
        mock.patch.dict(PROTOCOLS._parts, {**protocols, CLIPSIM.id: CLIPSIM}),
        mock.patch.dict(NETWORKS._parts, {CLIPSIM.network: lambda *_: clip}),
    ):
        yield


def huggingface_clip() -> tuple[Any, Any]:
    """``(model, processor)`` of transformers: a ViT-B/32 with random weights, tokens from clip-anytorch's word pieces."""
    import tempfile

    import clip.simple_tokenizer
    import transformers

    torch.manual_seed(0)
    model = transformers.CLIPModel(transformers.CLIPConfig(projection_dim=512)).eval()
    with torch.no_grad():  # torchmetrics cuts scores off at 0, and with this seed all of them are below
        model.visual_projection.weight.neg_()
    with gzip.open(clip.simple_tokenizer.default_bpe(), "rt", encoding="utf-8") as handle:
        merges = handle.read().split("\n")[1 : 49152 - 256 - 2 + 1]
    with tempfile.TemporaryDirectory() as folder:
        vocabulary, rules = Path(folder) / "vocab.json", Path(folder) / "merges.txt"
        vocabulary.write_text(json.dumps(clip.simple_tokenizer.SimpleTokenizer().encoder), encoding="utf-8")
        rules.write_text("#version: 0.2\n" + "\n".join(merges), encoding="utf-8")
        tokenizer = transformers.CLIPTokenizer(str(vocabulary), str(rules))
    return model, transformers.CLIPProcessor(transformers.CLIPImageProcessor(), tokenizer)


def as_openai_clip(theirs: Any) -> OpenAIClip:
    """clip-anytorch's model with the weights of transformers' model, so that both compute the same."""
    network = clip_model().CLIP(512, 224, 12, 768, 32, 77, 49408, 512, 8, 12)
    source = theirs.state_dict()
    state: dict[str, Tensor] = {
        "logit_scale": source["logit_scale"],
        "text_projection": source["text_projection.weight"].T,
        "visual.proj": source["visual_projection.weight"].T,
        "token_embedding.weight": source["text_model.embeddings.token_embedding.weight"],
        "positional_embedding": source["text_model.embeddings.position_embedding.weight"],
        "visual.class_embedding": source["vision_model.embeddings.class_embedding"],
        "visual.conv1.weight": source["vision_model.embeddings.patch_embedding.weight"],
        "visual.positional_embedding": source["vision_model.embeddings.position_embedding.weight"],
    }
    for kind in ("weight", "bias"):
        state[f"ln_final.{kind}"] = source[f"text_model.final_layer_norm.{kind}"]
        state[f"visual.ln_pre.{kind}"] = source[f"vision_model.pre_layrnorm.{kind}"]
        state[f"visual.ln_post.{kind}"] = source[f"vision_model.post_layernorm.{kind}"]
        for ours, tower in (("transformer", "text_model"), ("visual.transformer", "vision_model")):
            for layer in range(12):
                there, here = f"{tower}.encoder.layers.{layer}", f"{ours}.resblocks.{layer}"
                state[f"{here}.attn.in_proj_{kind}"] = torch.cat(
                    [source[f"{there}.self_attn.{part}_proj.{kind}"] for part in "qkv"]
                )
                for mine, theirs_name in {
                    "attn.out_proj": "self_attn.out_proj",
                    "ln_1": "layer_norm1",
                    "ln_2": "layer_norm2",
                    "mlp.c_fc": "mlp.fc1",
                    "mlp.c_proj": "mlp.fc2",
                }.items():
                    state[f"{here}.{mine}.{kind}"] = source[f"{there}.{theirs_name}.{kind}"]
    network.load_state_dict(state)
    return OpenAIClip(network, CLIPSIM, sha256="")
