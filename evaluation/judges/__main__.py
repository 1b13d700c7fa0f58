"""Train the judges: ``python -m evaluation.judges --out runs/judges``; the shipped ones lie beside this file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import torch
import tyro
from torch import nn

from evaluation.judges import clip, image, segmenter, video, weights
from evaluation.judges.measure import SPLITS, measure_clip, measure_image
from evaluation.judges.measure_clips import measure_segmenter, measure_video
from evaluation.judges.recipe import Recipe
from evaluation.judges.train_clip import ClipRecipe, train_clip
from evaluation.judges.train_image import ImageRecipe, train_image
from evaluation.judges.train_segmenter import SegmenterRecipe, train_segmenter
from evaluation.judges.train_video import VideoRecipe, train_video
from evaluation.provenance import environment
from nuwa.errors import run_cli
from nuwa.registry import suggest

JudgeName = Literal["image", "clip", "video", "segmenter"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Train judges of the sprites world, measure them, and write their weights with ``judges.json``."""

    out: Path = Path("runs/judges")
    """Folder for the weights; judges already in it and not trained now stay as they are."""
    only: str = ",".join(get_args(JudgeName))
    """Which to train, separated by commas."""
    threads: int = 1
    """CPU threads; weights are the same again only with the same number."""
    measured: int = 8192
    """Test pictures or clips of each split behind the figures in ``judges.json``."""
    image: ImageRecipe = field(default_factory=ImageRecipe)
    clip: ClipRecipe = field(default_factory=ClipRecipe)
    video: VideoRecipe = field(default_factory=VideoRecipe)
    segmenter: SegmenterRecipe = field(default_factory=SegmenterRecipe)

    def __post_init__(self) -> None:
        for name in self.chosen:
            if name not in get_args(JudgeName):
                known = list(get_args(JudgeName))
                raise ValueError(f"unknown judge {name!r}{suggest(name, known)} (known: {', '.join(known)})")

    @property
    def chosen(self) -> list[JudgeName]:
        """Judges to train, in order."""
        return [name.strip() for name in self.only.split(",")]  # type: ignore[misc]  # checked above


def main(arguments: list[str]) -> None:
    """Train what ``arguments`` ask for."""
    options = tyro.cli(Options, args=arguments)
    torch.set_num_threads(options.threads)
    for judge in options.chosen:
        _TRAIN[judge](options)


def _image(options: Options) -> None:
    network, seconds = train_image(options.image)
    header = {
        "name": image.NAME,
        "config": {"widths": options.image.widths, "num_features": options.image.num_features},
    }
    _ship("image", image.NAME, network, header, options.image, seconds, options)
    judge = image.load_image_judge(folder=options.out)
    _note("image", {split: measure_image(judge, split, options.measured) for split in SPLITS}, options)


def _clip(options: Options) -> None:
    network, tokenizer, seconds = train_clip(options.clip)
    header = {"name": clip.NAME, "config": asdict(options.clip.size), "vocabulary": tokenizer.to_dict()}
    _ship("clip", clip.NAME, network, header, options.clip, seconds, options)
    judge = clip.load_clip_judge(folder=options.out)
    _note("clip", {split: measure_clip(judge, split, options.measured) for split in SPLITS}, options)


def _video(options: Options) -> None:
    network, seconds = train_video(options.video)
    header = {
        "name": video.NAME,
        "config": {"widths": options.video.widths, "num_features": options.video.num_features},
    }
    _ship("video", video.NAME, network, header, options.video, seconds, options)
    judge = video.load_video_judge(folder=options.out)
    _note("video", {split: measure_video(judge, split, options.measured) for split in SPLITS}, options)


def _segmenter(options: Options) -> None:
    network, seconds = train_segmenter(options.segmenter)
    header = {"name": segmenter.NAME, "config": {"widths": options.segmenter.widths}}
    _ship("segmenter", segmenter.NAME, network, header, options.segmenter, seconds, options)
    judge = segmenter.load_segmenter(folder=options.out)
    _note("segmenter", {split: measure_segmenter(judge, split, options.measured) for split in SPLITS}, options)


_TRAIN: dict[JudgeName, Callable[[Options], None]] = {
    "image": _image,
    "clip": _clip,
    "video": _video,
    "segmenter": _segmenter,
}


def _ship(
    judge: JudgeName,
    name: str,
    network: nn.Module,
    header: dict[str, Any],
    recipe: Recipe,
    seconds: float,
    options: Options,
) -> None:
    path = options.out / f"{judge}.safetensors"
    digest = weights.save(path, network.state_dict(), header)
    entry = {
        "name": name,
        "file": path.name,
        "sha256": digest,
        "bytes": path.stat().st_size,
        "params": sum(parameter.numel() for parameter in network.parameters()),
        "training_cpu_s": round(seconds, 1),
        "recipe": asdict(recipe),
        "environment": asdict(environment("cpu", torch.bfloat16 if recipe.bfloat16 else torch.float32)),
    }
    weights.write_entry(options.out, judge, entry)


def _note(judge: JudgeName, accuracy: dict[str, dict[str, float]], options: Options) -> None:
    """Measure the weights as they were stored: what is shipped is what the figures describe."""
    entry = weights.read_card(options.out)[judge]
    weights.write_entry(options.out, judge, {**entry, "measured": options.measured, "accuracy": accuracy})
    print(f"{entry['name']}: {options.out / entry['file']}, {accuracy['test-seen']}")


if __name__ == "__main__":
    sys.exit(run_cli(main))
