"""What sessions of sketches share: is the result what the sketch says, by a segmenter, and how sketches are shown."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from evaluation import judges
from evaluation.metrics import (
    DetectedFrequencyWeightedIoU,
    DetectedMeanIoU,
    DetectedPixelAccuracy,
    FrequencyWeightedIoU,
    PixelAccuracy,
)
from evaluation.protocols import sprites
from evaluation.records import MetricValue
from evaluation.sessions.measures import Measure, beside
from evaluation.sessions.samples import Samples
from evaluation.sessions.standard import Way
from nuwa.system import Nuwa

AT_ONCE = 256  # frames
INK = torch.tensor(
    [(38, 38, 44), (230, 97, 92), (94, 160, 235), (245, 196, 83), (108, 196, 138), (190, 132, 226), (240, 150, 90)],
    dtype=torch.uint8,
)  # RGB of the classes on the sheet; colours of no sprite, so that nobody takes a sketch for a picture


def ways(task: str) -> list[Way]:
    """The model is asked with the sketch and its caption, and with the sketch alone."""

    def both(system: Nuwa, samples: Samples, **how: Any) -> Tensor:
        return system.generate(task, sketches=samples.truth["maps"], captions=samples.captions, **how)

    def alone(system: Nuwa, samples: Samples, **how: Any) -> Tensor:
        return system.generate(task, sketches=samples.truth["maps"], **how)

    return [Way(name="with caption", make=both), Way(name="sketch alone", make=alone)]


def detected(segmenter: judges.Segmenter) -> list[Measure]:
    """PA, FWIoU and mIoU of the map that the segmenter makes of the result, against the sketch."""

    def seen(pixels: Tensor) -> Tensor:
        frames = pixels.flatten(0, -4)
        found = torch.cat([segmenter(part) for part in frames.split(AT_ONCE)])
        return found.unflatten(0, pixels.shape[:-3])

    kinds = {"pa": DetectedPixelAccuracy, "fwiou": DetectedFrequencyWeightedIoU, "miou": DetectedMeanIoU}
    return [
        beside(
            partial(kind, sprites.DETECTED[name]),
            lambda samples: samples.ask(seen),
            lambda samples: samples.truth["maps"],
            needs=["maps"],
        )
        for name, kind in kinds.items()
    ]


def rebuilt(system: Nuwa, samples: Samples, *, batch: int = AT_ONCE) -> list[MetricValue]:
    """PA and FWIoU of the sketches as their tokenizer, VQ-GAN-Seg, gives them back."""
    assert system.sketch_tokenizer is not None  # tasks of sketches have one
    metrics = (PixelAccuracy(), FrequencyWeightedIoU())
    for maps in samples.truth["maps"].split(batch):
        again = system.sketch_tokenizer.decode(system.sketch_tokenizer.encode(maps.to(system.device))).cpu()
        for metric in metrics:
            metric.update(again if maps.dim() == 4 else again[:, 0], maps)
    return [estimate.record for metric in metrics for estimate in metric.estimates()]


def coloured(samples: Samples) -> Tensor:
    """Sketches (m, h, w) or (m, t, h, w) as pictures (m, 3, h, w) or clips (m, t, 3, h, w) uint8."""
    maps = samples.truth["maps"].long()
    return INK[maps % len(INK)].movedim(-1, -3).contiguous()
