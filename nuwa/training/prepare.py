"""From a preset and data to a trained system: train what is missing, go on with what was begun, reuse what is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar, get_args

import torch
from torch import Tensor

from nuwa import files
from nuwa.data.sources import Source
from nuwa.data.streams import MapStream, PicturesAndFrames, Stream
from nuwa.model.config import ConditionName, ModelConfig
from nuwa.model.nuwa import NuwaModel
from nuwa.presets import Preset
from nuwa.system import MODEL_FILE, Nuwa
from nuwa.tasks import Target
from nuwa.tokenizers.digest import weights_sha256
from nuwa.tokenizers.load import load_vqgan
from nuwa.tokenizers.perceptual import PerceptualDistance
from nuwa.tokenizers.text import TextTokenizer
from nuwa.tokenizers.vqgan import VQGAN, VQGANConfig
from nuwa.tokenizers.vqgan_seg import VQGANSeg, VQGANSegConfig
from nuwa.training import checkpoint
from nuwa.training.best import Best
from nuwa.training.codebook import CodebookTraining
from nuwa.training.distributed import on_first
from nuwa.training.loop import Stage, finished, fit
from nuwa.training.on_shards import on_shards, open_shards
from nuwa.training.parallel import Parallel, fill
from nuwa.training.sketch_tokenizer import SketchStage
from nuwa.training.tokenizer import TokenizerStage
from nuwa.training.transformer import TransformerStage, TransformerTraining
from nuwa.training.watching import Watching

T = TypeVar("T", VQGAN, VQGANSeg)


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """What a training reads."""

    name: str  # goes into the checkpoint's config: name, version, split and fingerprint of the data
    pictures: Source
    clips: Source | None = None  # where clips are learnt
    vocabulary: Sequence[str]  # captions whose word pieces the text tokenizer knows
    perceptual: PerceptualDistance | None

    def sources(self, preset: Preset) -> Mapping[Target, Source]:
        """Pictures, and clips where the preset learns them. ValueError where it does and there are none."""
        if preset.frames == 1:
            return {"picture": self.pictures}
        if self.clips is None:
            raise ValueError(
                f"preset {preset.name}: expected data with clips, got {self.name}; choose a preset of pictures"
            )
        return {"picture": self.pictures, "clip": self.clips}


def prepare(
    preset: Preset,
    data: TrainingData,
    folder: Path,
    device: torch.device,
    *,
    given_tokenizer: Path | None = None,
    start: Path | None = None,
    shards: Path | None = None,
    parallel: Parallel = "ddp",
    watching: Watching = Watching(),
    best: bool = False,
    workers: int | None = None,
) -> Nuwa:
    """The trained system of ``preset`` on ``data``.

    It is kept in ``folder/tokenizer``, ``folder/sketch-tokenizer`` where sketches are learnt, and ``folder/transformer``.
    ``start`` is a checkpoint folder to fine-tune: its tokenizers are used as they are, and its model is where the training
    begins; what it lacks, such as the sketches, begins from nothing, and it goes on reading what it reads. ValueError where
    it does not fit the preset. The result's tasks are the preset's; how they were learnt stands in the config of
    ``folder/transformer``.

    ``given_tokenizer`` is the folder of a tokenizer that is trained already, here or elsewhere
    (:mod:`nuwa.tokenizers.importing`), and used as it is. ValueError where its sizes are not the preset's, which
    :meth:`nuwa.presets.Preset.reading` makes so, or beside ``start``, which has its own.

    With ``shards`` the model reads tokens and words from that folder instead of encoding them at every step; what is
    missing there is encoded first (:func:`nuwa.training.on_shards.open_shards`). ValueError where they are another
    tokenizer's.

    ``watching`` says what is shown and kept of each training (:mod:`nuwa.training.watching`). The model of the result is that
    of the last step, or with ``best`` the one that was best on held-out data.

    ``workers`` processes read ahead, as many as pay where that is not given (:mod:`nuwa.training.ahead`).

    In several processes (:mod:`nuwa.training.group`) all of them call this; they train together, the model as ``parallel``
    says and the tokenizers by ``ddp``, and each gets the result.
    """
    if given_tokenizer is not None and start is not None:
        raise ValueError(f"tokenizer: expected none beside the checkpoint {start}, got {given_tokenizer}")
    sources = data.sources(preset)
    begun = None if start is None else Nuwa.from_pretrained(start)
    origin = {"data": data.name}
    if given_tokenizer is not None:
        tokenizer, text = _given(preset, given_tokenizer, device), None
        origin["tokenizer_weights_sha256"] = weights_sha256(tokenizer)
    elif begun is None or start is None:
        tokenizer, text = _tokenizer(preset, data, sources, folder / "tokenizer", device, watching, workers), None
        origin["tokenizer_sha256"] = files.sha256(folder / "tokenizer" / checkpoint.WEIGHTS)
    else:
        tokenizer, text = begun.tokenizer, begun.text
        origin["start_sha256"] = files.sha256(start / MODEL_FILE)
    sketch = None if begun is None else begun.sketch_tokenizer
    if "sketch" in preset.model.conditions and sketch is None:
        sketch = _sketch_tokenizer(preset, data, sources, folder / "sketch-tokenizer", device, watching, workers)
        origin["sketch_tokenizer_sha256"] = files.sha256(folder / "sketch-tokenizer" / checkpoint.WEIGHTS)
    if shards is not None:
        opened = open_shards(sources, shards, tokenizer, text or TextTokenizer.from_captions(data.vocabulary))
        words = next(iter(opened.values())).text
        if text is not None and text.to_dict() != words.to_dict():
            raise ValueError(
                f"{shards}: expected the text ids of {start}, got others; make the shards with --text {start}, or name a "
                "folder that has none yet"
            )
        text, sources = words, on_shards(sources, opened, preset.transformer.seed)
        origin |= {f"shards_{target}": each.fingerprint for target, each in opened.items()}
    text = text or TextTokenizer.from_captions(data.vocabulary)
    config = preset.config(vocab_size=text.vocab_size)
    if begun is not None:
        config = also_reading(config, begun.model.config)
    stage = TransformerStage(
        config, preset.transformer, sources, tokenizer, text, sketch=sketch, origin=origin, device=device,
        parallel=parallel, sampling=preset.sampling, workers=workers,
    )  # fmt: skip
    if begun is not None:
        begin_with(stage.model, begun.model, f"{start}")
    home = folder / "transformer"
    _fit(stage, home, preset.transformer, watching)
    model = NuwaModel(config)
    kept = Best(home, keep=watching.keep_best, measure=stage.measure)
    checkpoint.load_weights(kept.path() if best else home / checkpoint.WEIGHTS, model)
    tasks = tuple(preset.transformer.tasks)
    return Nuwa(
        tokenizer, text, model, preset.sampling, sketch_tokenizer=sketch, tasks=tasks, preset=preset.name
    ).to(device)  # fmt: skip


def also_reading(config: ModelConfig, begun: ModelConfig) -> ModelConfig:
    """``config`` for a model that still reads what the one it begins with reads, though nothing new is learnt from it."""
    conditions = tuple(name for name in get_args(ConditionName) if name in config.conditions + begun.conditions)
    source = config if "sketch" in config.conditions else begun
    return replace(
        config, conditions=conditions, sketch_grid=source.sketch_grid, num_sketch_codes=source.num_sketch_codes
    )


def begin_with(model: NuwaModel, begun: NuwaModel, where: str) -> None:
    """Copy the weights of a trained model. ValueError where one has no place in ``model`` or another shape there.

    ``model`` may have more: embeddings of conditions that ``begun`` does not read.
    """
    own, new = model.state_dict(), begun.state_dict()
    wrong = [name for name, value in new.items() if name not in own or own[name].shape != value.shape]
    if wrong:
        raise ValueError(
            f"{where}: expected a model that this preset goes on from, got one with other sizes ({wrong[0]}); "
            "use the preset that it was trained with, or one that adds conditions"
        )
    for name, value in new.items():
        fill(own[name], value)


def _given(preset: Preset, folder: Path, device: torch.device) -> VQGAN:
    found = load_vqgan(folder)
    if found.config != preset.tokenizer.model:
        raise ValueError(
            f"{folder}: expected a tokenizer of the sizes of preset {preset.name}, got {found.config}; take "
            "preset.reading(its config)"
        )
    return found.to(device)


def _tokenizer(
    preset: Preset,
    data: TrainingData,
    sources: Mapping[Target, Source],
    home: Path,
    device: torch.device,
    watching: Watching,
    workers: int | None,
) -> VQGAN:
    settings = preset.tokenizer
    validation = torch.cat([_frames(source.validation.pixels, 3) for source in sources.values()])
    stage = TokenizerStage(
        settings, _stream(preset, sources), validation, data.perceptual, data=data.name, device=device, workers=workers
    )
    _fit(stage, home, settings, watching)
    model = VQGAN(VQGANConfig.from_dict(checkpoint.read_config(home / checkpoint.WEIGHTS)["model"]))
    return _ready(model, home, device)


def _sketch_tokenizer(
    preset: Preset,
    data: TrainingData,
    sources: Mapping[Target, Source],
    home: Path,
    device: torch.device,
    watching: Watching,
    workers: int | None,
) -> VQGANSeg:
    settings = preset.sketch
    assert settings is not None  # the preset says so where it is made
    validation = torch.cat([_frames(source.sketches()[1], 2) for source in sources.values()])
    stream = _stream(preset, sources)
    assert isinstance(stream, MapStream)
    stage = SketchStage(settings, stream, validation, data=data.name, device=device, workers=workers)
    _fit(stage, home, settings, watching)
    model = VQGANSeg(VQGANSegConfig.from_dict(checkpoint.read_config(home / checkpoint.WEIGHTS)["model"]))
    return _ready(model, home, device)


def _stream(preset: Preset, sources: Mapping[Target, Source]) -> Stream:
    """What the tokenizers read: pictures, and as many frames of clips where those are learnt."""
    pictures = sources["picture"].stream
    return PicturesAndFrames(pictures, sources["clip"].stream, preset.frames) if "clip" in sources else pictures


def _frames(pixels: Tensor, dims: int) -> Tensor:
    """Pictures as they are, clips as their frames; one of either has so many axes."""
    return pixels if pixels.ndim == dims + 1 else pixels.flatten(0, 1)


def _fit(stage: Stage, home: Path, settings: CodebookTraining | TransformerTraining, watching: Watching) -> None:
    if not on_first(lambda: finished(home, stage.config)):
        steps = settings.steps
        fit(stage, home, steps=steps, seed=settings.seed, validate_every=max(250, steps // 10), watching=watching)


def _ready(model: T, home: Path, device: torch.device) -> T:
    checkpoint.load_weights(home / checkpoint.WEIGHTS, model)
    return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
