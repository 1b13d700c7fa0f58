"""The CLIP judge: captions and pictures of sprites in one space, built from CLIP's own model class."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evaluation.judges import weights
from evaluation.judges.frozen import Judge
from evaluation.judges.pictures import SIZE_PX, prepare
from nuwa.tokenizers.text import TEXT_GRID, TextBatch, TextTokenizer

NAME = "sprites CLIP judge 1"


@dataclass(frozen=True, kw_only=True)
class ClipSize:
    """Sizes of CLIP's model class; its picture tower has one head per 64 channels."""

    embed_dim: int = 128
    vision_layers: int = 3
    vision_width: int = 128
    vision_patch_size: int = 8
    transformer_width: int = 96
    transformer_heads: int = 4
    transformer_layers: int = 3


class ClipJudge(Judge):
    """The trained towers, frozen: bytes and sentences in, unit vectors out, in float32.

    A word outside the vocabulary becomes ``<unk>``, which the judge was taught to pass over: "a red circle moving left"
    is compared as "a red circle". Such a caption says more than the judge can see.
    """

    def __init__(self, network: nn.Module, tokenizer: TextTokenizer, *, sha256: str) -> None:
        super().__init__(network, name=NAME, sha256=sha256)
        self.tokenizer = tokenizer

    @torch.no_grad()
    def encode_images(self, images: Tensor) -> Tensor:
        """Unit vectors (b, e) float32 of pictures (b, 3, h, w) uint8 in 0…255 of any size.

        ValueError for another dtype or layout.
        """
        pictures = prepare(images)
        with torch.autocast(pictures.device.type, enabled=False):
            return F.normalize(self.network.encode_image(pictures), dim=-1)

    @torch.no_grad()
    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors (b, e) float32 of captions; of one with more than 77 tokens the first are read.

        ValueError for one text instead of a list, and for a caption without any word that the judge knows.
        """
        batch = self.tokenizer.encode(texts)
        for row in (~_has_words(batch)).nonzero().flatten().tolist():
            raise ValueError(
                f"caption {row}: expected words of the sprites world, got {texts[row]!r}; name what is shown"
            )
        device: torch.device = self.network.positional_embedding.device
        with torch.autocast(device.type, enabled=False):
            return F.normalize(encode_text(self.network, batch.ids.to(device)), dim=-1)

    def knows(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text has a word that the judge knows, so that :meth:`encode_texts` can take it."""
        return _has_words(self.tokenizer.encode(texts)).tolist()


def _has_words(batch: TextBatch) -> Tensor:
    return ((batch.ids > 1) & batch.valid).sum(dim=1) > 2  # 0 is padding, 1 <unk>; two of the rest are the ends


def load_clip_judge(device: torch.device | str = "cpu", *, folder: Path = weights.FOLDER) -> ClipJudge:
    """The shipped CLIP judge on ``device``. ValueError where its weight file is not the one in ``judges.json``."""
    stored = weights.load("clip", folder)
    tokenizer = TextTokenizer.from_dict(stored.header["vocabulary"])
    network = build_clip(ClipSize(**stored.header["config"]), tokenizer.vocab_size)
    network.load_state_dict(stored.tensors)
    return ClipJudge(network, tokenizer, sha256=stored.sha256).to(device)


def build_clip(size: ClipSize, vocab_size: int) -> Any:
    """``clip.model.CLIP`` for 32 px and 77 tokens, with fresh weights."""
    return clip_model().CLIP(
        **asdict(size), image_resolution=SIZE_PX, context_length=TEXT_GRID.size, vocab_size=vocab_size
    )


def encode_text(network: Any, ids: Tensor, group: int = 64) -> Tensor:
    """CLIP's ``encode_text`` of ids (b, s), (b, e), in groups of like length without the padding behind their longest.

    The text tower is causal and reads a caption at its end, so the padding says nothing and costs most of the work.
    """
    lengths = ids.argmax(dim=1) + 1  # the end has the highest id, and 0 is a piece too in OpenAI's vocabulary
    order = lengths.argsort(stable=True)
    parts = [network.encode_text(ids[rows, : int(lengths[rows[-1]])]) for rows in order.split(group)]
    return torch.cat(parts)[order.argsort()]


@cache
def clip_model() -> Any:
    """clip-anytorch's model.py alone: the package around it imports torchvision and pkg_resources."""
    path = importlib.metadata.distribution("clip-anytorch").locate_file("clip/model.py")
    spec = importlib.util.spec_from_file_location("evaluation_clip_model", str(path))
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {path}; install clip-anytorch again")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
