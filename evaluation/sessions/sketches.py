"""What sessions of sketches share: is the result what the sketch says, by a segmenter, and how sketches are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from evaluation import judges, weights
from evaluation.metrics import (
    DetectedFrequencyWeightedIoU,
    DetectedMeanIoU,
    DetectedPixelAccuracy,
    FrequencyWeightedIoU,
    PixelAccuracy,
)
from evaluation.metrics.base import Estimate
from evaluation.protocols import segments, sprites
from evaluation.records import MetricValue
from evaluation.sessions.base import Run
from evaluation.sessions.measures import Measure, beside
from evaluation.sessions.samples import Samples
from evaluation.sessions.splits import Splits
from evaluation.sessions.standard import Way
from nuwa.system import Nuwa

AT_ONCE = 256  # frames
SPRITES, COCO = "sprites-1", "coco-things-1"  # class sets that a segmenter knows
INK = torch.tensor(
    [(38, 38, 44), (230, 97, 92), (94, 160, 235), (245, 196, 83), (108, 196, 138), (190, 132, 226), (240, 150, 90)],
    dtype=torch.uint8,
)  # RGB of the classes on the sheet; colours of no sprite, so that nobody takes a sketch for a picture


def ways(state: Run, data: Splits) -> list[Way]:
    """The model is asked with the sketch and its caption, where the data has some, and with the sketch alone."""
    task = state.task

    def both(system: Nuwa, samples: Samples, **how: Any) -> Tensor:
        return system.generate(task, sketches=samples.truth["maps"], captions=samples.captions, **how)

    def alone(system: Nuwa, samples: Samples, **how: Any) -> Tensor:
        return system.generate(task, sketches=samples.truth["maps"], **how)

    without = Way(name="sketch alone", make=alone)
    if data.wordless:
        state.skip("rows with caption", f"{data.splits[0].dataset.name} has no captions")
        return [without]
    return [Way(name="with caption", make=both), without]


def detected(state: Run, data: Splits) -> list[Measure]:
    """PA, FWIoU and mIoU of the map that a segmenter makes of the result, against the sketch.

    Of sprites by their judge. Of MS-COCO by the published DeepLabV3, in Pascal VOC's 20 categories, where --weights has its
    file. Skipped, with the reason, where no segmenter knows the classes.
    """
    segmenter: Callable[[Tensor], Tensor]
    if data.class_set == SPRITES:
        segmenter, protocols, true = judges.load_segmenter(state.device), sprites.DETECTED, _as_they_are
    elif data.class_set == COCO:
        protocols, folder, classes = segments.DETECTED, state.options.weights, data.classes
        file = weights.WEIGHTS[protocols["pa"].network].file
        if folder is None or not (folder / file).is_file():
            state.skip(
                "Detected PA, FWIoU and mIoU", f"a segmenter is needed, and --weights names no folder with {file}"
            )
            return []
        from evaluation.features import as_voc, load_segmenter

        assert classes is not None
        segmenter, true = load_segmenter(protocols["pa"], folder, state.device), lambda maps: as_voc(maps, classes)
    else:
        name = data.splits[0].dataset.name
        state.skip("Detected PA, FWIoU and mIoU", f"no segmenter of this suite knows the classes of {name}")
        return []

    def seen(pixels: Tensor) -> Tensor:
        frames = pixels.flatten(0, -4)
        found = torch.cat([segmenter(part) for part in frames.split(AT_ONCE)])
        return found.unflatten(0, pixels.shape[:-3])

    kinds = {"pa": DetectedPixelAccuracy, "fwiou": DetectedFrequencyWeightedIoU, "miou": DetectedMeanIoU}
    return [
        beside(
            partial(kind, protocols[name]),
            lambda samples: samples.ask(seen),
            lambda samples: true(samples.truth["maps"]),
            needs=["maps"],
        )
        for name, kind in kinds.items()
    ]


def rebuilt(state: Run, data: Splits) -> Callable[[Nuwa, Samples], Sequence[MetricValue]]:
    """PA and FWIoU of the sketches as their tokenizer, VQ-GAN-Seg, gives them back; skipped for classes without protocol."""
    if data.class_set is None:
        name = data.splits[0].dataset.name
        state.skip("PA and FWIoU of the reconstruction", f"no protocol of this suite names the classes of {name}")
        return lambda _system, _samples: []
    return partial(_rebuilt, class_set=data.class_set)


def _rebuilt(system: Nuwa, samples: Samples, *, class_set: str) -> list[MetricValue]:
    return [estimate.record for estimate in rebuilt_estimates(system, samples, class_set=class_set)]


def rebuilt_estimates(system: Nuwa, samples: Samples, *, class_set: str, batch: int = AT_ONCE) -> list[Estimate]:
    """PA and FWIoU of the sketches of samples as their tokenizer gives them back. ValueError for classes without a protocol."""
    if class_set not in segments.PA:
        raise ValueError(f"PA and FWIoU: expected classes of {', '.join(segments.PA)}, got {class_set or 'others'!r}")
    assert system.sketch_tokenizer is not None  # tasks of sketches have one
    metrics = (PixelAccuracy(segments.PA[class_set]), FrequencyWeightedIoU(segments.FWIOU[class_set]))
    for maps in samples.truth["maps"].split(batch):
        again = system.sketch_tokenizer.decode(system.sketch_tokenizer.encode(maps.to(system.device))).cpu()
        for metric in metrics:
            metric.update(again if maps.dim() == 4 else again[:, 0], maps)
    return [estimate for metric in metrics for estimate in metric.estimates()]


def coloured(samples: Samples) -> Tensor:
    """Sketches (m, h, w) or (m, t, h, w) as pictures (m, 3, h, w) or clips (m, t, 3, h, w) uint8."""
    maps = samples.truth["maps"].long()
    return INK[maps % len(INK)].movedim(-1, -3).contiguous()


def _as_they_are(maps: Tensor) -> Tensor:
    return maps
