"""Image completion: fill a hole by both routes, beside the mean colour (paper, section 4.3 and figure 1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from evaluation import judges
from evaluation.metrics import FID, MaskedSSIM
from evaluation.protocols import sprites
from evaluation.records import Record
from evaluation.sessions import standard
from evaluation.sessions.base import SESSIONS, Run, Session
from evaluation.sessions.holes import KINDS, Holes, draw_holes, kinds_of, mean_fill
from evaluation.sessions.measures import Measure, Measures, beside, two_sets
from evaluation.sessions.routes import routes, shown, staying
from evaluation.sessions.samples import Samples


@dataclass(frozen=True, kw_only=True)
class I2IOptions(standard.SplitOptions):
    """Image completion: FID, SSIM inside and outside the hole, and the share of pictures whose known pixels came back."""

    holes: Holes = "mixed"  # box, half or free-form; mixed takes them in turn, with numbers of their own
    out: Path = Path("runs/eval-i2i")  # folder for everything that is made


def run(options: I2IOptions) -> Record:
    """Run the session and leave ``record.json``, ``samples/``, ``generated/`` and ``training/`` in ``options.out``."""
    state = Run.begin("i2i", options)
    judge = judges.load_image_judge(state.device)
    data = standard.read(state)
    splits = [
        replace(split, test=with_holes(split.test, options.holes), real=with_holes(split.real, options.holes))
        for split in data.splits
    ]
    measures = [
        two_sets(lambda: FID(sprites.FID), lambda samples: samples.ask(judge).features),
        *filling(options.holes),
        *staying("outside the hole"),
    ]
    return standard.score(
        state,
        replace(data, splits=tuple(splits)),
        lambda: Measures(measures, state.device),
        [replace(way, sampling={**(way.sampling or {}), "holes": options.holes}) for way in routes(state)],
        baselines={"mean-colour fill": lambda samples: mean_fill(samples.truth["given"], samples.truth["mask"])},
        before={"given": shown},
    )


SESSIONS.add("i2i", Session(I2IOptions, run))


def with_holes(samples: Samples, holes: Holes) -> Samples:
    """Pictures as both what is given and what is right, each with a hole."""
    kinds = kinds_of(holes, len(samples))
    mask = draw_holes(samples.ids, kinds, samples.pixels.shape[-1])
    truth = {"given": samples.pixels, "target": samples.pixels, "mask": mask, "kind": kinds}
    return replace(samples, truth={**samples.truth, **truth})


def filling(holes: Holes) -> list[Measure]:
    """SSIM inside the hole, of all and, where they are mixed, of each kind."""
    read: tuple[Callable[[Samples], Any], ...] = (
        lambda samples: samples.pixels,
        lambda samples: samples.truth["target"],
        lambda samples: samples.truth["mask"],
    )
    measures = [beside(lambda: MaskedSSIM(where="inside the hole"), *read)]
    for number, name in enumerate(KINDS if holes == "mixed" else ()):

        def feed(metric: Any, samples: Samples, number: int = number) -> None:
            rows = np.flatnonzero(samples.truth["kind"] == number).tolist()
            if rows:
                metric.update(*(each(samples[rows]) for each in read))

        metric = lambda name=name: MaskedSSIM(where=f"inside the hole, {name}")  # noqa: E731
        measures.append(Measure(metric=metric, feed=feed))
    return measures
