"""Train the judges: ``python -m evaluation.judges --out runs/judges``; the shipped ones lie beside this file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from torch import nn

from evaluation.judges import clip, image, weights
from evaluation.judges.measure import SPLITS, measure_clip, measure_image
from evaluation.judges.recipe import Recipe
from evaluation.judges.train_clip import ClipRecipe, train_clip
from evaluation.judges.train_image import ImageRecipe, train_image
from evaluation.provenance import environment
from nuwa.errors import run_cli

JudgeName = Literal["image", "clip"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Train judges of the sprites world, measure them, and write their weights with ``judges.json``."""

    out: Path = Path("runs/judges")
    """Folder for the weights; judges already in it and not trained now stay as they are."""
    judges: tuple[JudgeName, ...] = ("image", "clip")
    """Which to train."""
    threads: int = 1
    """CPU threads; weights are the same again only with the same number."""
    measured: int = 8192
    """Test pictures of each split behind the figures in ``judges.json``."""
    image: ImageRecipe = field(default_factory=ImageRecipe)
    clip: ClipRecipe = field(default_factory=ClipRecipe)


def main(arguments: list[str]) -> None:
    """Train what ``arguments`` ask for."""
    options = tyro.cli(Options, args=arguments)
    torch.set_num_threads(options.threads)
    for judge in options.judges:
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


_TRAIN: dict[JudgeName, Callable[[Options], None]] = {"image": _image, "clip": _clip}


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
