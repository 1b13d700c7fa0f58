"""Why two protocols give two numbers for the same pictures, in words made from the constants that differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from itertools import combinations
from typing import Any

from evaluation.protocols.base import PROTOCOLS, Protocol
from evaluation.records import MetricValue

_SILENT = frozenset({"metric", "family", "replicates", "interval_seed", "source"})
"""Constants that name the protocol or make its interval, but not its number."""

_VALUES: dict[str, dict[object, str]] = {
    "network": {
        "inception-fid": "TensorFlow's Inception of 2015",
        "inception-imagenet": "torchvision's Inception of ImageNet",
        "clip-vit-b-32": "OpenAI's CLIP ViT-B/32",
        "clip-vit-b-16": "OpenAI's CLIP ViT-B/16",
        "clip-vit-l-14": "OpenAI's CLIP ViT-L/14",
        "clip-vit-l-14-336": "OpenAI's CLIP ViT-L/14 at 336 px",
        "dinov2-vitl14": "DINOv2 ViT-L/14",
    },
    "resize": {
        "none": "takes pictures as they are",
        "tf1-bilinear": "resizes with TensorFlow 1's bilinear, which skips pixels and shifts by half a one",
        "torch-bilinear": "resizes with torch's bilinear, which skips pixels where it shrinks",
        "torch-bilinear-antialias": "resizes with torch's antialiased bilinear",
        "pil-bicubic-float": "resizes with Pillow's antialiased bicubic in float32",
        "pil-bilinear-uint8": "resizes with Pillow's antialiased bilinear and rounds to bytes",
        "pil-bicubic-uint8": "resizes with Pillow's antialiased bicubic and rounds to bytes",
        "clip-bicubic-uint8": "resizes the shorter side with Pillow's bicubic and cuts out the centre",
        "square-bicubic-uint8": "cuts out the central square and resizes it with Pillow's bicubic",
        "torch-bicubic-antialias": "resizes with torch's antialiased bicubic",
    },
    "normalise": {
        "none": "feeds bytes",
        "minus-128-over-128": "scales by (x − 128) / 128",
        "over-127.5-minus-1": "scales by x / 127.5 − 1",
        "imagenet": "scales by ImageNet's mean and deviation",
        "clip": "scales by the mean and deviation of CLIP's pictures",
        "imagenet-to-inception": "scales by x / 255, then ImageNet's mean and deviation turned into Inception's",
    },
    "quantise": {"round": "rounds floats to bytes", "truncate": "cuts floats to bytes, half a level darker"},
    "ddof": {0: "divides covariances by n", 1: "divides covariances by n − 1"},
    "blur_target": {"both": "blurs both sides", "real": "blurs the real side only"},
    "blur_kernel": {"gaussian": "blurs with a Gaussian", "pil-box": "blurs with Pillow's box approximation"},
    "shuffle": {True: "shuffles the pictures", False: "takes the pictures as they come"},
    "shuffled_by": {"numpy": "shuffles with NumPy's stream", "torch": "shuffles with torch's stream"},
    "split_rule": {"even": "makes even splits", "chunks": "makes splits of rounded-up size", "blocks": "makes blocks"},
    "fewer": {"refuse": "refuses small sets", "shrink": "makes do with small sets"},
    "long_captions": {"truncate": "reads the beginning of long captions", "refuse": "refuses long captions"},
    "negative": {"keep": "keeps cosines below 0", "zero": "counts cosines below 0 as 0"},
    "border": {
        "reflect": "averages over the whole picture, mirrored at the border",
        "crop": "averages where the window lies inside",
        "inside": "counts what lies exactly on a ball",
        "outside": "does not count what lies exactly on a ball",
    },
}

_PHRASES: dict[str, Callable[[Any], str]] = {
    "network": lambda value: f"asks {value}",
    "weights_sha256": lambda value: f"has the weights {str(value)[:8]}",
    "layer": lambda value: f"reads {value}",
    "size_px": lambda value: "keeps the size" if value is None else f"resizes to {value} px",
    "radii": lambda value: f"knows FID-{', '.join(map(str, value))}",
    "drop_last_of": lambda value: (
        "uses every picture" if value is None else f"leaves out what does not fill a batch of {value}"
    ),
    "splits": lambda value: f"makes {value} splits",
    "classes": lambda value: f"has {value} classes",
    "prefix": lambda value: f"puts {value!r} before captions",
    "scale": lambda value: f"multiplies by {value:g}",
    "neighbours": lambda value: f"looks at {value} neighbours",
    "subsets": lambda value: f"draws {value} subsets",
    "subset_size": lambda value: f"draws subsets of {value}",
    "blur_picture_px": lambda value: (
        "blurs in pixels of the picture" if value is None else f"blurs in pixels of a picture {value} px wide"
    ),
    "blur_before_resize": lambda value: f"blurs {'before' if value else 'after'} the resize",
}

_RARE = {"radii", "blur_target", "blur_kernel", "blur_picture_px", "blur_before_resize"}
"""Constants of FID-k, which do not touch the plain distance."""

_INTERVAL = {"resampled"}
"""Constants of the interval alone."""


def differing(first: Protocol, second: Protocol, *, blurred: bool = False) -> dict[str, tuple[object, object]]:
    """The constants that make the numbers differ, by name; those of the blur only where pictures are ``blurred``."""
    silent = _SILENT | _INTERVAL | (set() if blurred else _RARE)
    names = [each.name for protocol in (first, second) for each in fields(protocol) if each.name not in silent]
    values = {name: (getattr(first, name, None), getattr(second, name, None)) for name in dict.fromkeys(names)}
    return {name: pair for name, pair in values.items() if pair[0] != pair[1]}


def explain(first: Protocol, second: Protocol, *, blurred: bool = False) -> str:
    """A sentence on what makes the difference between two protocols of one metric.

    >>> from evaluation.protocols import sg2ada, ttur
    >>> explain(ttur.FID, sg2ada.FID)
    'ttur-1 divides covariances by n − 1, sg2ada-1 divides covariances by n.'
    """
    found = differing(first, second, blurred=blurred)
    if "network" in found:  # other weights and layers go without saying
        found = {name: values for name, values in found.items() if name not in ("weights_sha256", "layer", "width")}
    if not found:
        return f"{first.family} and {second.family} have the same constants, so their numbers are equal."
    parts = [f"{first.family} {_phrase(name, a)}, {second.family} {_phrase(name, b)}" for name, (a, b) in found.items()]
    return "; ".join(parts) + "."


def differences(values: Sequence[MetricValue]) -> Iterator[str]:
    """For every two numbers of one metric their difference, and what makes it. Their protocols have to be registered."""
    for first, second in combinations(values, 2):
        why = explain(PROTOCOLS[first.protocol], PROTOCOLS[second.protocol])
        yield f"{first.protocol} → {second.protocol}: {second.value - first.value:+.3g}. {why}"


def _phrase(name: str, value: object) -> str:
    known = _VALUES.get(name, {}).get(value)
    if name in _PHRASES:
        return _PHRASES[name](known or value)
    shown = repr(value) if isinstance(value, str) else value
    return known or f"has {name.replace('_', ' ')} {shown}"
