"""Sketch to image: train what is missing, sample, score, and write the record (paper, figure 5)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from evaluation import judges
from evaluation.metrics import FID
from evaluation.records import Record
from evaluation.sessions import judged, sketches, standard
from evaluation.sessions.base import SESSIONS, Run, Session
from evaluation.sessions.measures import Measures, two_sets


@dataclass(frozen=True, kw_only=True)
class S2IOptions(standard.SplitOptions):
    """Sketch to image: FID, and what a segmenter sees in the picture against the sketch; with a caption and without."""

    out: Path = Path("runs/eval-s2i")  # folder for everything that is made


def run(options: S2IOptions) -> Record:
    """Run the session and leave ``record.json``, ``samples/``, ``generated/`` and ``training/`` in ``options.out``."""
    state = Run.begin("s2i", options)
    data = standard.read(state)
    image_judge, clip_judge = judges.load_image_judge(state.device), judges.load_clip_judge(state.device)
    measures = [
        two_sets(lambda: FID(), lambda samples: samples.ask(image_judge).features),
        *judged.clipsim(state, data, clip_judge),
        *sketches.detected(state, data),
    ]
    scorer = partial(Measures, measures, state.device)
    return standard.score(
        state,
        data,
        scorer,
        sketches.ways(state, data),
        rebuilt=sketches.rebuilt(state, data),
        before={"sketch": sketches.coloured},
    )


SESSIONS.add("s2i", Session(S2IOptions, run))
