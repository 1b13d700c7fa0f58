"""A trained NÜWA: tokenizers and model in one object, and its eight tasks from input to pictures and clips."""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

import torch
from torch import Tensor, nn

from nuwa import files
from nuwa.data.captioned import some
from nuwa.model.config import ModelConfig
from nuwa.model.layers import Condition
from nuwa.model.nuwa import NuwaModel
from nuwa.request import Limits, Request
from nuwa.sampling.decode import decode
from nuwa.sampling.graphs import CapturedDecoder
from nuwa.sampling.inputs import Sampling
from nuwa.tasks import TASKS, for_encoder
from nuwa.tokenizers.text import NO_WORDS, TextTokenizer, UnknownWordsWarning
from nuwa.tokenizers.vqgan import VQGAN, VQGANConfig
from nuwa.tokenizers.vqgan_seg import VQGANSeg, VQGANSegConfig
from nuwa.training import checkpoint

TOKENIZER_FILE, MODEL_FILE = "tokenizer.safetensors", "model.safetensors"
SKETCH_FILE = "sketch-tokenizer.safetensors"
CONFIG_FILE = "config.json"
FORMAT = "nuwa-1"  # of the config file; another one where it would be read wrongly

Captions = str | Sequence[str]


class How(TypedDict, total=False):
    """How a task is sampled."""

    sampling: Sampling | None
    sample_indices: Sequence[int] | None


class Nuwa:
    """What people use: ``Nuwa.from_pretrained(folder).t2i("a large red circle in the center on a white background")``.

    One method for each task of :data:`nuwa.tasks.TASKS`. Pixels are uint8 RGB in 0…255, clips (t, 3, H, W). Whatever is made
    of one sample (a text, one picture) is one sample, whatever is made of a batch is a batch; arguments are written with
    their batch axis b below. ``sampling`` is the checkpoint's where not given, and ``sample_indices`` number the samples
    (0, 1, … by default): the same index, seed and input give the same result in any batch.

    Pixels that are given come back unchanged: the result is made in token space, where a cell is known if all its pixels
    are, and then the given pixels are pasted over it. Guidance strengthens words and sketches, so it has no effect on
    ``i2i`` and ``v2v``.
    """

    def __init__(
        self,
        tokenizer: VQGAN,
        text: TextTokenizer,
        model: NuwaModel,
        sampling: Sampling | None = None,
        *,
        sketch_tokenizer: VQGANSeg | None = None,
        tasks: Sequence[str] = ("t2i",),
        preset: str = "",
    ) -> None:
        """``tasks`` are those that the model was trained on, ``preset`` names the set-up, where it was one.

        ValueError for parts that do not fit each other.
        """
        expected = (model.config.num_codes, model.config.num_sketch_codes, model.config.vocab_size)
        sketch_codes = None if sketch_tokenizer is None else sketch_tokenizer.config.num_codes
        found = (tokenizer.config.num_codes, sketch_codes, text.vocab_size)
        if expected != found:
            raise ValueError(
                f"expected tokenizers with {expected[0]} codes, {expected[1] or 'no'} sketch codes and {expected[2]} text "
                f"ids, got {found[0]}, {found[1] or 'no'} and {found[2]}; they belong to another checkpoint"
            )
        self.tokenizer, self.text, self.model = tokenizer.eval(), text, model.eval()
        self.sketch_tokenizer = None if sketch_tokenizer is None else sketch_tokenizer.eval()
        self.sampling = sampling or Sampling()
        self.tasks = tuple(TASKS[name].name for name in tasks)
        self.preset = preset
        self._captured: CapturedDecoder | None = None

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.decoder.head.weight.device

    @property
    def parts(self) -> dict[str, nn.Module]:
        """The networks by the names of their files."""
        parts: dict[str, nn.Module] = {TOKENIZER_FILE: self.tokenizer, MODEL_FILE: self.model}
        return parts if self.sketch_tokenizer is None else parts | {SKETCH_FILE: self.sketch_tokenizer}

    @property
    def limits(self) -> Limits:
        """What the checkpoint takes."""
        return Limits(grid=self.model.config.grid, size_px=self.tokenizer.config.size_px, tasks=self.tasks)

    def to(self, device: torch.device | str) -> Nuwa:
        """Move everything to a device. What was captured is left behind."""
        for part in self.parts.values():
            part.to(device)
        self._captured = None
        return self

    def capture(self) -> Nuwa:
        """Draw by CUDA graphs from here on: the first sample of a kind takes seconds longer, the others are faster.

        See :class:`nuwa.sampling.CapturedDecoder`. ValueError where the model is not on a GPU.
        """
        self._captured = CapturedDecoder(self.model.decoder)
        return self

    def t2i(self, captions: Captions, **how: Unpack[How]) -> Tensor:
        """Text to image: pictures (b, 3, H, W) of b captions."""
        return self.generate("t2i", captions=captions, **how)

    def s2i(self, sketches: Tensor, captions: Captions | None = None, **how: Unpack[How]) -> Tensor:
        """Sketch to image: pictures (b, 3, H, W) of segmentation maps (b, H, W), and of words where they are given."""
        return self.generate("s2i", sketches=sketches, captions=captions, **how)

    def i2i(self, pictures: Tensor, mask: Tensor, *, route: str | None = None, **how: Unpack[How]) -> Tensor:
        """Image completion: pictures (b, 3, H, W) with what the mask, bool (H, W) or (b, H, W), covers made anew."""
        return self.generate("i2i", given=pictures, mask=mask, route=route, **how)

    def ti2i(
        self, pictures: Tensor, mask: Tensor, captions: Captions, *, route: str | None = None, **how: Unpack[How]
    ) -> Tensor:
        """Text-guided manipulation: as :meth:`i2i`; the captions say what the whole results show."""
        return self.generate("ti2i", given=pictures, mask=mask, captions=captions, route=route, **how)

    def t2v(self, captions: Captions, **how: Unpack[How]) -> Tensor:
        """Text to video: clips (b, t, 3, H, W) of b captions."""
        return self.generate("t2v", captions=captions, **how)

    def v2v(self, frames: Tensor, **how: Unpack[How]) -> Tensor:
        """Video prediction: clips (b, t, 3, H, W) that begin with the given frames (b, 1…t-1, 3, H, W)."""
        return self.generate("v2v", given=frames, **how)

    def s2v(self, sketches: Tensor, captions: Captions | None = None, **how: Unpack[How]) -> Tensor:
        """Sketch to video: clips (b, t, 3, H, W) of maps (b, t, H, W), and of words where they are given."""
        return self.generate("s2v", sketches=sketches, captions=captions, **how)

    def tv2v(
        self, clips: Tensor, mask: Tensor, captions: Captions, *, route: str | None = None, **how: Unpack[How]
    ) -> Tensor:
        """Text-guided manipulation of clips (b, t, 3, H, W); a mask (b, t, H, W) has one for every frame."""
        return self.generate("tv2v", given=clips, mask=mask, captions=captions, route=route, **how)

    @torch.no_grad()
    def generate(
        self,
        task: str,
        *,
        captions: Captions | None = None,
        sketches: Tensor | None = None,
        given: Tensor | None = None,
        mask: Tensor | None = None,
        route: str | None = None,
        sampling: Sampling | None = None,
        sample_indices: Sequence[int] | None = None,
    ) -> Tensor:
        """Any task by its name; the eight methods call this one.

        ``mask`` is True where pixels are to be made. ``route`` is "masked-condition" or "zero-shot" for tasks with a mask
        (see :mod:`nuwa.tasks`); where it is not given, the first of them that the checkpoint was trained for. ValueError
        with one sentence for input of another kind, shape or type, for a task or a route that the checkpoint was not
        trained for, and for sample indices of another number. UnknownWordsWarning for words that the model never met.

        Where no ``sampling`` is given, the checkpoint's is taken, with the temperature of tasks that have one of their own.
        """
        request = Request.of(
            task, self.limits, captions=captions, sketches=sketches, given=given, mask=mask, route=route
        )
        self._warn_of_unknown(request)
        indices = range(request.b) if sample_indices is None else sample_indices
        if len(indices) != request.b:
            raise ValueError(f"{task}: expected one sample index for each of {request.b} samples, got {len(indices)}")
        made = request.paste(
            self.tokenizer.decode(self._draw(request, sampling or request.task.own(self.sampling), indices))
        )
        made = made[:, 0] if request.task.target == "picture" else made
        return made[0] if request.single else made

    def draw(self, captions: Sequence[str], sampling: Sampling, sample_indices: Sequence[int]) -> Tensor:
        """Tokens (b, 1, h, w) int64 of text to image for b captions."""
        return self._draw(Request.of("t2i", self.limits, captions=captions), sampling, sample_indices)

    @torch.no_grad()
    def _draw(self, request: Request, sampling: Sampling, indices: Sequence[int]) -> Tensor:
        """Tokens (b, t, h, w) int64."""
        null, model = self.text.null(request.b), self.model
        if request.captions is not None:
            text = self.text.encode(request.captions)
        elif request.route == "zero-shot":  # learnt from captions, and from none as the empty text
            text = null
        else:
            text = self.text.encode([NO_WORDS] * request.b)
        sketch = None
        if request.maps is not None:
            assert self.sketch_tokenizer is not None
            sketch = self.sketch_tokenizer.encode(request.maps.to(self.device))
        given = known = partial = None
        if request.visible is not None and request.known is not None:
            given, known = self.tokenizer.encode(request.visible.to(self.device)), request.known.to(self.device)
            partial = for_encoder(request.task, given, known) if request.route == "masked-condition" else None
            given, known = given.flatten(1), known.flatten(1)
        if not request.task.guided:
            sampling = replace(sampling, guidance=1.0)
        conditions = model.conditions(
            text.ids.to(self.device), text.valid.to(self.device), sketch=sketch, partial=partial
        )
        emptied: list[Condition] = []
        if sampling.guidance != 1.0:  # without words and sketch; what is given stays
            emptied = model.conditions(null.ids.to(self.device), null.valid.to(self.device), partial=partial)
        draw = functools.partial(decode, model.decoder) if self._captured is None else self._captured.decode
        tokens = draw(
            conditions, sampling, indices,
            grid=request.grid, unconditional=emptied, given=given, known=known,
        )  # fmt: skip
        return tokens.unflatten(1, request.grid.shape)

    def _warn_of_unknown(self, request: Request) -> None:
        if words := self.text.unknown_words(request.captions or []):
            warnings.warn(
                f"{request.task.name}: no training caption has the words {some([repr(word) for word in words])}; the model "
                "cannot follow them",
                UnknownWordsWarning,
                stacklevel=4,
            )

    def pictures(self, tokens: Tensor) -> Tensor:
        """Pictures uint8 (b, 3, H, W) of tokens (b, 1, h, w)."""
        return self.tokenizer.decode(tokens)[:, 0]

    @property
    def config(self) -> dict[str, Any]:
        """All but the weights, as plain JSON values: what ``config.json`` holds."""
        sketch = self.sketch_tokenizer
        return {
            "format": FORMAT,
            "preset": self.preset,
            "tasks": list(self.tasks),
            "sampling": vars(self.sampling),
            "tokenizer": vars(self.tokenizer.config),
            "sketch_tokenizer": None if sketch is None else vars(sketch.config),
            "model": self.model.config.to_dict(),
            "text": self.text.to_dict(),
        }

    def save_pretrained(self, folder: str | Path) -> None:
        """Write ``config.json`` and one safetensors file a network; a folder without the former is not whole."""
        folder = Path(folder)
        (folder / CONFIG_FILE).unlink(missing_ok=True)
        for name, part in self.parts.items():
            checkpoint.save_weights(folder / name, part, {"network": type(part).__name__})
        files.write_json(folder / CONFIG_FILE, self.config)

    @classmethod
    def from_pretrained(cls, folder: str | Path, device: torch.device | str = "cpu") -> Nuwa:
        """Read what :meth:`save_pretrained` wrote. ValueError where a file is missing or is not one of these."""
        folder = Path(folder)
        _check_there(folder, CONFIG_FILE)
        config = read_config(folder / CONFIG_FILE)
        sketch = config["sketch_tokenizer"]
        system = cls(
            VQGAN(VQGANConfig.from_dict(config["tokenizer"])),
            TextTokenizer.from_dict(config["text"]),
            NuwaModel(ModelConfig.from_dict(config["model"])),
            Sampling(**config["sampling"]),
            sketch_tokenizer=None if sketch is None else VQGANSeg(VQGANSegConfig.from_dict(sketch)),
            tasks=config["tasks"],
            preset=config["preset"],
        )
        _check_there(folder, *system.parts)
        for name, part in system.parts.items():
            _check_network(folder / name, type(part).__name__)
            checkpoint.load_weights(folder / name, part)
        return system.to(device)


def _check_there(folder: Path, *names: str) -> None:
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"{folder}: expected {' and '.join(missing)}, found none; is it a checkpoint folder?")


def read_config(path: Path) -> dict[str, Any]:
    """The content of a config file. ValueError where it is no JSON, of another format, or lacks a part."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: expected JSON, got something else ({error}); copy the checkpoint again") from error
    form = config.get("format") if isinstance(config, dict) else None
    if form != FORMAT:
        raise ValueError(f"{path}: expected the format {FORMAT!r}, got {form!r}; was it written by save_pretrained?")
    if config.keys() != _PARTS:
        raise ValueError(
            f"{path}: expected a config of {', '.join(sorted(_PARTS))}, got {', '.join(sorted(config))}; was it written by "
            "save_pretrained?"
        )
    found: dict[str, Any] = config
    return found


_PARTS = {"format", "preset", "tasks", "sampling", "tokenizer", "sketch_tokenizer", "model", "text"}


def _check_network(path: Path, network: str) -> None:
    found = checkpoint.read_config(path)
    if found != {"network": network}:
        raise ValueError(
            f"{path}: expected the weights of {network} as save_pretrained writes them, got those of "
            f"{found.get('network', 'a training: ' + ', '.join(sorted(found)))}"
        )


def untrained(like: Nuwa, seed: int = 0) -> Nuwa:
    """The same tokenizers with a model of random weights: the ceiling of every distance."""
    torch.manual_seed(seed)
    return Nuwa(
        like.tokenizer, like.text, NuwaModel(like.model.config), like.sampling,
        sketch_tokenizer=like.sketch_tokenizer, tasks=like.tasks, preset=like.preset,
    ).to(like.device)  # fmt: skip
