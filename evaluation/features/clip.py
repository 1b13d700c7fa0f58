"""OpenAI's CLIP as a judge of pictures and captions, from its published files through clip-anytorch's model class.

The files are TorchScript archives of half-precision weights; only their tensors are read, and all is computed in float32.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evaluation import weights
from evaluation.captions import check_captions, tokenize
from evaluation.features.exact import exact
from evaluation.features.prepare import prepare
from evaluation.judges.clip import clip_model, encode_text
from evaluation.judges.frozen import Judge
from evaluation.protocols import PictureProtocol
from nuwa.files import sha256


class CLIPJudgement(NamedTuple):
    """What the picture tower says of b pictures."""

    features: Tensor
    """Embeddings (b, e) float32, as they come: not of length 1."""


class OpenAIClip(Judge):
    """One of OpenAI's CLIPs under one protocol, frozen: bytes and sentences in, float32 out."""

    def __init__(self, network: nn.Module, protocol: PictureProtocol, *, sha256: str) -> None:
        super().__init__(network.float(), name=protocol.network, sha256=sha256)
        size_px = self.network.visual.input_resolution
        if size_px != protocol.size_px:
            raise ValueError(f"{protocol.id}: expected a network for {protocol.size_px} px, got one for {size_px} px")
        self.protocol = protocol

    def forward(self, images: Tensor) -> CLIPJudgement:
        """Judge pictures (b, 3, h, w) uint8 in 0…255 of any size. ValueError for another dtype or layout."""
        pictures = prepare(images, self.protocol)
        with exact(pictures.device):
            return CLIPJudgement(self.network.encode_image(pictures))

    def encode_images(self, images: Tensor) -> Tensor:
        """Unit vectors (b, e) float32 of pictures (b, 3, h, w) uint8 in 0…255 of any size."""
        return F.normalize(self(images).features, dim=-1)

    def encode_texts(self, captions: Sequence[str]) -> Tensor:
        """Unit vectors (b, e) float32 of captions; of one with more than 77 tokens the first are read.

        ValueError for one text instead of a list, and for a caption without words.
        """
        check_captions(captions, len(captions))
        ids = tokenize(captions).ids.to(self.network.positional_embedding.device)
        with exact(ids.device):
            return F.normalize(encode_text(self.network, ids), dim=-1)


def load_openai_clip(
    protocol: PictureProtocol, folder: str | Path | None, device: torch.device | str = "cpu"
) -> OpenAIClip:
    """The CLIP of ``protocol`` from the weight files in ``folder``.

    MissingWeightsError where the file is not there, ValueError where it is not the one published.
    """
    path = weights.find(protocol.network, folder)
    return OpenAIClip(build(path), protocol, sha256=sha256(path)).to(device)


def build(path: str | Path) -> Any:
    """clip-anytorch's model with the tensors of the archive at ``path``, in the published format."""
    with warnings.catch_warnings():  # deprecated, but the files are published in no other form
        warnings.simplefilter("ignore", FutureWarning)
        state = torch.jit.load(str(path), map_location="cpu").state_dict()
    return clip_model().build_model(state)
