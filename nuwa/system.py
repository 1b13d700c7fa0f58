"""A trained NÜWA: tokenizer, text tokenizer and model in one object, from captions to pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nuwa.model.config import ModelConfig
from nuwa.model.layers import Condition
from nuwa.model.nuwa import NuwaModel
from nuwa.sampling.decode import Sampling, decode
from nuwa.tokenizers.text import TextTokenizer
from nuwa.tokenizers.vqgan import VQGAN, VQGANConfig
from nuwa.training import checkpoint

TOKENIZER_FILE, MODEL_FILE = "tokenizer.safetensors", "model.safetensors"


class Nuwa:
    """What people use: ``Nuwa.from_pretrained(folder).t2i("a large red circle in the center on a white background")``."""

    def __init__(
        self, tokenizer: VQGAN, text: TextTokenizer, model: NuwaModel, sampling: Sampling | None = None
    ) -> None:
        if model.config.num_codes != tokenizer.config.num_codes or model.config.vocab_size != text.vocab_size:
            raise ValueError(
                f"expected tokenizers with {model.config.num_codes} codes and {model.config.vocab_size} text ids, "
                f"got {tokenizer.config.num_codes} and {text.vocab_size}; they belong to another checkpoint"
            )
        self.tokenizer, self.text, self.model = tokenizer.eval(), text, model.eval()
        self.sampling = sampling or Sampling()

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.decoder.head.weight.device

    def to(self, device: torch.device | str) -> Nuwa:
        """Move everything to a device."""
        self.tokenizer.to(device)
        self.model.to(device)
        return self

    def t2i(
        self,
        captions: str | Sequence[str],
        *,
        sampling: Sampling | None = None,
        sample_indices: Sequence[int] | None = None,
    ) -> Tensor:
        """Pictures uint8 (b, 3, H, W) in 0…255 for b captions, or (3, H, W) for a single one.

        ``sample_indices`` number the samples (0, 1, … by default): the same index, seed and caption give the same
        picture in any batch. ValueError for a caption without words, for no captions, or for indices of another number.
        """
        single = isinstance(captions, str)
        listed = [captions] if isinstance(captions, str) else list(captions)
        indices = range(len(listed)) if sample_indices is None else sample_indices
        if not listed or len(indices) != len(listed):
            raise ValueError(
                f"t2i: expected captions and one sample index for each, got {len(listed)} captions and "
                f"{len(indices)} indices"
            )
        tokens = self.draw(listed, sampling or self.sampling, indices)
        pictures = self.pictures(tokens)
        return pictures[0] if single else pictures

    @torch.no_grad()
    def draw(self, captions: Sequence[str], sampling: Sampling, sample_indices: Sequence[int]) -> Tensor:
        """Tokens (b, t, h, w) int64 for b captions."""
        batch = self.text.encode(captions)
        conditions = [self._condition(batch.ids, batch.valid)]
        unconditional: list[Condition] = []
        if sampling.guidance != 1.0:
            null = self.text.null(len(captions))
            unconditional = [self._condition(null.ids, null.valid)]
        grid = self.model.config.grid
        tokens = decode(self.model.decoder, conditions, sampling, sample_indices, unconditional=unconditional)
        return tokens.unflatten(1, grid.shape)

    def _condition(self, ids: Tensor, valid: Tensor) -> Condition:
        return self.model.encoder.encode_text(ids.to(self.device), valid.to(self.device))

    def pictures(self, tokens: Tensor) -> Tensor:
        """Pictures uint8 (b, 3, H, W) of tokens (b, 1, h, w)."""
        return self.tokenizer.decode(tokens)[:, 0]

    def save_pretrained(self, folder: str | Path) -> None:
        """Write ``tokenizer.safetensors`` and ``model.safetensors``; each carries its config in the header."""
        folder = Path(folder)
        checkpoint.save_weights(folder / TOKENIZER_FILE, self.tokenizer, {"tokenizer": vars(self.tokenizer.config)})
        config = {
            "model": self.model.config.to_dict(),
            "text": self.text.to_dict(),
            "sampling": vars(self.sampling),
        }
        checkpoint.save_weights(folder / MODEL_FILE, self.model, config)

    @classmethod
    def from_pretrained(cls, folder: str | Path, device: torch.device | str = "cpu") -> Nuwa:
        """Read what :meth:`save_pretrained` wrote. ValueError where a file is missing or is not one of these."""
        folder = Path(folder)
        missing = [name for name in (TOKENIZER_FILE, MODEL_FILE) if not (folder / name).is_file()]
        if missing:
            raise ValueError(f"{folder}: expected {' and '.join(missing)}, found none; is it a checkpoint folder?")
        tokenizer = VQGAN(vqgan_config(_config(folder / TOKENIZER_FILE, "tokenizer")["tokenizer"]))
        checkpoint.load_weights(folder / TOKENIZER_FILE, tokenizer)
        config = _config(folder / MODEL_FILE, "model", "text", "sampling")
        model = NuwaModel(ModelConfig.from_dict(config["model"]))
        checkpoint.load_weights(folder / MODEL_FILE, model)
        return cls(tokenizer, TextTokenizer.from_dict(config["text"]), model, Sampling(**config["sampling"])).to(device)


def _config(path: Path, *parts: str) -> dict[str, Any]:
    config = checkpoint.read_config(path)
    if config.keys() != set(parts):
        raise ValueError(
            f"{path}: expected a config of {', '.join(parts)}, got {', '.join(sorted(config))}; was it written by "
            "save_pretrained?"
        )
    return config


def vqgan_config(state: dict[str, Any]) -> VQGANConfig:
    """A VQ-GAN's sizes from plain JSON values."""
    return VQGANConfig(**state | {"widths": tuple(state["widths"])})


def untrained(like: Nuwa, seed: int = 0) -> Nuwa:
    """The same tokenizers with a model of random weights: the ceiling of every distance."""
    torch.manual_seed(seed)
    return Nuwa(like.tokenizer, like.text, NuwaModel(like.model.config), like.sampling).to(like.device)
