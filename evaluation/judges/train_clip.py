"""The recipe of the CLIP judge: contrastive learning in which every caption meets pictures that are nearly right.

Pictures come in families: a scene and variants that differ from it in one thing. A picture's own caption has to win
against its relatives' captions, and a caption's picture against its relatives, as in best-of-8 reranking.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from evaluation.judges.board import board
from evaluation.judges.clip import ClipSize, build_clip, encode_text
from evaluation.judges.degrade import Mix
from evaluation.judges.image import PLACE_LOGITS
from evaluation.judges.practice import identity, join, practice, vary
from evaluation.judges.recipe import Recipe, batches, damaged, fit, render_bytes
from evaluation.judges.train_image import board_loss
from nuwa import noise
from nuwa.data.sprites import Scenes, captions, world
from nuwa.tokenizers.text import TextTokenizer

_UNKNOWN = 1
_LARGEST_SCALE = float(np.log(100))  # of the cosines, as in CLIP


@dataclass(frozen=True, kw_only=True)
class ClipRecipe(Recipe):
    """Settings behind the shipped CLIP judge."""

    pictures: int = 98_304
    steps: int = 1_500
    batch: int = 256
    learning_rate: float = 1.5e-3
    mix: Mix = field(default_factory=lambda: Mix(whole=0.4, strong=0.05))
    family: int = 4
    """Pictures in a family; divides ``pictures`` and ``batch``."""
    unknown: float = 0.2
    """Share of captions in which ``<unk>`` is strewn, so that words outside the vocabulary come to mean nothing."""
    reading: float = 1.0
    """Weight, at the start, of reading the scene from either embedding; it falls to 0 at the end. Without it a
    small transformer spends most of its training on finding out that there are objects at all."""
    size: ClipSize = field(default_factory=ClipSize)

    def __post_init__(self) -> None:
        if self.pictures % self.family or self.batch % self.family:
            raise ValueError(
                f"family: expected a divisor of pictures {self.pictures} and batch {self.batch}, got {self.family}"
            )


def train_clip(recipe: ClipRecipe) -> tuple[Any, TextTokenizer, float]:
    """The trained CLIP, the vocabulary of its captions, and the seconds its training took."""
    scenes = families(recipe.pictures // recipe.family, recipe.family)
    pictures, truth, scene_id = render_bytes(scenes), board(scenes), torch.from_numpy(identity(scenes))
    sentences = captions(scenes)
    tokenizer = TextTokenizer.from_captions(sentences)
    ids = tokenizer.encode(sentences).ids

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = build_clip(recipe.size, tokenizer.vocab_size)
        # One reader for both towers, thrown away afterwards: it puts a scene at the same place in both spaces.
        reader = nn.Linear(recipe.size.embed_dim, 9 * sum(PLACE_LOGITS) + len(world.BACKGROUNDS))
    learner = nn.ModuleDict({"network": network, "reader": reader})
    generator = torch.Generator().manual_seed(recipe.seed)
    order = batches(len(scenes) // recipe.family, recipe.batch // recipe.family, generator)
    steps_done = 0

    def loss() -> Tensor:
        nonlocal steps_done
        rows = (next(order)[:, None] * recipe.family + torch.arange(recipe.family)).flatten()
        seen = damaged(pictures[rows], generator, recipe.mix)
        told = strew_unknown(ids[rows], recipe.unknown, generator)
        # The fused attention's backward pass on CPUs is slower than plain products of these small matrices.
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bfloat16), sdpa_kernel(SDPBackend.MATH):
            embeddings = (network.encode_image(seen), encode_text(network, told))
            read = [reader(embedding).float() for embedding in embeddings]
        image, words = (F.normalize(embedding.float(), dim=-1) for embedding in embeddings)
        cosines = network.logit_scale.clamp(max=_LARGEST_SCALE).exp() * image @ words.T
        fits = (scene_id[rows][:, None] == scene_id[rows]).float()
        fits = fits / fits.sum(dim=1, keepdim=True)
        contrast = (F.cross_entropy(cosines, fits) + F.cross_entropy(cosines.T, fits)) / 2
        weight = recipe.reading * (1 - steps_done / recipe.steps)
        steps_done += 1
        wanted = truth[rows]
        for scene in read:
            places, background = scene.split([9 * sum(PLACE_LOGITS), len(world.BACKGROUNDS)], dim=-1)
            parts = places.unflatten(1, (9, -1)).split(PLACE_LOGITS, dim=-1)
            reading = board_loss(parts, wanted) + F.cross_entropy(background, wanted.background)
            contrast = contrast + weight * reading
        return contrast

    seconds = fit(loss, learner, recipe, "train CLIP judge")
    return network.eval(), tokenizer, seconds


def families(count: int, size: int) -> Scenes:
    """Scenes (count · size) in which each family of ``size`` lies together: a scene, then its variants.

    Every member has its own wording, so that nothing but the scene tells relatives apart.
    """
    first = practice(np.arange(count))
    variants = [vary(first, noise.key("judges", "family", member)) for member in range(1, size)]
    rows = np.arange(count * size).reshape(size, count).T.flatten()
    scenes = join(first, *variants)[rows]
    wording = noise.bits(noise.key("judges", "wording"), np.arange(len(scenes))).view(np.int64)
    return replace(scenes, wording=wording)


def strew_unknown(ids: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Put one to three ``<unk>`` between the words of some captions.

    Args:
        ids: (b, 77) tokens, 0 after the end; at least three at the end are padding.
        share: of captions that get any.
        generator: of the random choices.

    Returns:
        (b, 77) tokens.
    """
    b, out = len(ids), ids.clone()
    chosen = torch.rand(b, generator=generator) < share
    count = torch.randint(1, 4, (b,), generator=generator)
    length = (ids > 0).sum(dim=1)
    for row in chosen.nonzero().flatten().tolist():
        caption = ids[row, : int(length[row])].tolist()
        for _ in range(int(count[row])):
            caption.insert(int(torch.randint(1, len(caption), (), generator=generator)), _UNKNOWN)
        out[row, : len(caption)] = torch.tensor(caption)
    return out
