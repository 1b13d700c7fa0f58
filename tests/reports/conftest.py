"""A made-up evaluation run on disk, as the sessions write it: a record, samples with pictures, training logs."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw, ImageFilter

from evaluation import records
from reports.published import load_published

COLOURS = {"red": (214, 64, 58), "green": (72, 161, 84), "blue": (62, 105, 209), "yellow": (236, 197, 65)}
GROUNDS = {"white": (240, 238, 232), "grey": (150, 152, 158), "navy": (30, 38, 66), "sand": (214, 196, 160)}
SHAPES = ("circle", "square", "triangle")
FID = {
    "NÜWA tiny, K = 1": (8.41, 8.02, 7.33, 6.10, 4.85),
    "NÜWA tiny, K = 8": (7.12, 6.95, 6.48, 5.51, 4.42),
    "real pictures": (0.61, 0.58, 0.52, 0.44, 0.31),
    "reconstruction": (3.05, 2.71, 2.20, 1.52, 0.98),
    "untrained": (96.4, 92.3, 85.1, 70.6, 51.2),
}
ROLES = {"real pictures": "real", "reconstruction": "reconstruction", "untrained": "baseline"}
OTHERS = {  # IS, CLIPSIM, caption accuracy, then shape, colour, size, place, background accuracy
    "NÜWA tiny, K = 1": (14.21, 0.7812, 0.4121, 0.602, 0.941, 0.928, 0.987, 0.999),
    "NÜWA tiny, K = 8": (15.02, 0.8241, 0.5312, 0.701, 0.968, 0.941, 0.992, 1.0),
    "real pictures": (21.93, 0.8613, 0.9871, 0.991, 0.998, 0.996, 1.0, 1.0),
    "reconstruction": (17.40, 0.8302, 0.7432, 0.812, 0.989, 0.971, 0.998, 1.0),
    "untrained": (3.11, 0.2104, 0.0009, 0.171, 0.128, 0.334, 0.412, 0.252),
}
ATTRIBUTES = ("shape", "colour", "size", "place", "background")


def fid_row(name: str) -> records.Row:
    metrics = [
        number(f"FID-{k}", "fid@sprites-1", value, 0.04 * value + 0.05)
        for k, value in zip((0, 1, 2, 4, 8), FID[name], strict=True)
    ]
    inception, clipsim, *accuracies = OTHERS[name]
    metrics.append(number("IS", "is@sprites-1", inception, 0.35, better=True))
    metrics.append(number("CLIPSIM", "clipsim@sprites-1", clipsim, 0.0061, better=True))
    for metric, value in zip(("caption", *ATTRIBUTES), accuracies, strict=True):
        half = 1.96 * math.sqrt(max(value * (1 - value), 1e-4) / 1024)
        metrics.append(number(f"{metric} accuracy", "caption-accuracy@sprites-1", value, half, better=True))
    if name == "reconstruction":
        metrics.append(number("codebook usage", "codebook@nuwa-1", 0.971, 0.004, better=True))
        metrics.append(number("codebook perplexity", "codebook@nuwa-1", 201.4, 1.8, better=True))
    sampling = {"temperature": 1.0, "top_k": 100, "guidance": 1.5, "seed": 1} if name not in ROLES else {}
    return records.Row(name=name, role=ROLES.get(name, "model"), sampling=sampling, metrics=tuple(metrics))


def group_rows(name: str) -> list[records.Row]:
    """The same accuracies for the captions with one object and with more."""
    caption, *_ = OTHERS[name][2:]
    return [
        records.Row(
            name=f"{name}, {group}",
            role=ROLES.get(name, "model"),
            sampling={},
            metrics=(
                number("caption accuracy", "caption-accuracy@sprites-1", share * caption, 0.02, better=True, n=n),
            ),
        )
        for group, share, n in (("one object", 1.0, 614), ("2–3 objects", 0.8, 410))
    ]


def number(
    name: str, protocol: str, value: float, half: float, better: bool = False, n: int = 1024
) -> records.MetricValue:
    interval = (value - half, value + 1.1 * half)
    return records.MetricValue(name=name, protocol=protocol, value=value, ci95=interval, n=n, higher_is_better=better)


def record(**changes) -> records.Record:
    settings = {
        "name": "eval-t2i",
        "task": "t2i",
        "dataset": records.DatasetInfo(name="sprites", version="1", split="test-seen", fingerprint="3fa1" * 16),
        "model": records.ModelInfo(
            preset="tiny_t2i",
            encoder_attention="nearby3d",
            decoder_attention="nearby3d",
            params=1_318_400,
            checkpoint_sha256="b81c" * 16,
        ),
        "rows": tuple(row for name in FID for row in (fid_row(name), *group_rows(name))),
        "timings_s": {"train tokenizer": 184.2, "train transformer": 421.0, "sampling": 62.5, "scoring": 9.8},
        "peak_memory_gib": records.PeakMemory(host=1.84, cuda=None),
        "skipped": (records.Skipped(id="test-seen/0413", reason="caption names four objects; the judge reads three"),),
        "environment": records.Environment(
            python="3.11.2", torch="2.14.1", device="cpu (AMD EPYC 9R14)", threads=2, precision="float32"
        ),
        "seeds": {"training": 0, "sampling": 1, "bootstrap": 2020},
        "git": records.GitState(commit="5d0c9e7f" * 5, dirty=False),
        "command": "nox -s eval-t2i -- --device cpu",
    }
    return records.Record(**{**settings, **changes})


def picture(rng: np.random.Generator, size_px: int = 32) -> tuple[str, Image.Image]:
    """A caption and its picture, drawn anti-aliased: one to three shapes on a background."""
    places = {"top left": (0, 0), "top right": (0, 2), "centre": (1, 1), "bottom left": (2, 0), "bottom right": (2, 2)}
    ground = str(rng.choice(list(GROUNDS)))
    image = Image.new("RGB", (size_px * 4, size_px * 4), GROUNDS[ground])
    draw, words = ImageDraw.Draw(image), []
    for place in rng.choice(list(places), size=rng.integers(1, 4), replace=False):
        shape, colour, big = str(rng.choice(SHAPES)), str(rng.choice(list(COLOURS))), bool(rng.integers(2))
        row, column = places[str(place)]
        r = size_px * (0.62 if big else 0.4)
        x, y = (column + 0.5) * size_px * 4 / 3, (row + 0.5) * size_px * 4 / 3
        if shape == "circle":
            draw.ellipse((x - r, y - r, x + r, y + r), fill=COLOURS[colour])
        elif shape == "square":
            draw.rectangle((x - r, y - r, x + r, y + r), fill=COLOURS[colour])
        else:
            draw.polygon([(x, y - r), (x - r, y + r), (x + r, y + r)], fill=COLOURS[colour])
        words.append(f"a {'large' if big else 'small'} {colour} {shape} at the {place}")
    caption = f"{', '.join(words)} on a {ground} background"
    return caption, image.resize((size_px, size_px), Image.Resampling.BOX)


def write_samples(folder: Path, captions: dict[int, str], count: int = 12) -> None:
    """``count`` samples under ``folder``; ``captions`` replaces some of the captions."""
    rng, items = np.random.default_rng(7), []
    folder.mkdir(parents=True)
    for i in range(count):
        caption, real = picture(rng)
        pictures = {
            "real": real,
            "reconstruction": real.filter(ImageFilter.GaussianBlur(0.7)),
            "K = 1": real.filter(ImageFilter.MedianFilter(5)) if i % 3 else picture(rng)[1],
            "K = 8": real.filter(ImageFilter.MedianFilter(3)),
        }
        images = {}
        for label, image in pictures.items():
            images[label] = f"{i:04d}_{label.replace(' = ', '')}.png"
            image.save(folder / images[label])
        items.append({"id": f"test-seen/{i:04d}", "caption": captions.get(i, caption), "images": images})
    (folder / "samples.json").write_text(json.dumps({"items": items}), encoding="utf-8")


def write_log(path: Path, steps: int, codebook: bool) -> None:
    """A training log of ``steps`` lines whose measures on held-out data come every tenth."""
    rng = np.random.default_rng(3)
    path.parent.mkdir(parents=True)
    with path.open("w", encoding="utf-8") as handle:
        for i in range(steps):
            loss = 4.2 * math.exp(-5 * i / steps) + 0.9 + 0.08 * float(rng.standard_normal())
            line = {"step": 25 * i, "time_s": 0.9 * i, "loss": loss, "gradient_norm": 1.0}
            if i % 10 == 0 and codebook:
                line |= {
                    "val_l1_levels": 4 * loss,
                    "usage": 1 - 0.7 * math.exp(-8 * i / steps),
                    "perplexity": 190 * (1 - math.exp(-4 * i / steps)) + 9,
                    "usage_tokens": 16384.0,
                }
            elif i % 10 == 0:
                line |= {"val_loss": loss + 0.12, "val_loss_without_caption": loss + 0.9}
            handle.write(json.dumps(line) + "\n")


def write_run(folder: Path, captions: dict[int, str] | None = None, **changes) -> Path:
    """A whole run under ``folder``, which is returned."""
    records.write_record(folder / "record.json", record(**changes))
    write_samples(folder / "samples", captions or {})
    write_log(folder / "training" / "tokenizer" / "log.jsonl", steps=200, codebook=True)
    write_log(folder / "training" / "transformer" / "log.jsonl", steps=400, codebook=False)
    return folder


@pytest.fixture(scope="session")
def make_record() -> Callable[..., records.Record]:
    return record


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Path]:
    return write_run


@pytest.fixture(scope="session")
def base_record() -> records.Record:
    return record()


@pytest.fixture(scope="session")
def published() -> pd.DataFrame:
    return load_published()
