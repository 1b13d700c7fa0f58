"""Sketch to video: train what is missing, sample, score, and write the record (paper, figure 8 and Table 6)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from evaluation import judges
from evaluation.metrics import FIDVid
from evaluation.protocols import sprites
from evaluation.records import Record
from evaluation.sessions import judged, sketches, standard
from evaluation.sessions.base import SESSIONS, Run, Session
from evaluation.sessions.measures import Measures, two_sets


@dataclass(frozen=True, kw_only=True)
class S2VOptions(standard.SplitOptions):
    """Sketch to video: FID-vid, and what a segmenter sees in the frames against the sketches; with a caption and without."""

    out: Path = Path("runs/eval-s2v")  # folder for everything that is made


def run(options: S2VOptions) -> Record:
    """Run the session and leave ``record.json``, ``samples/``, ``generated/`` and ``training/`` in ``options.out``."""
    state = Run.begin("s2v", options)
    data = standard.read(state)
    video_judge, clip_judge = judges.load_video_judge(state.device), judges.load_clip_judge(state.device)
    measures = [
        two_sets(lambda: FIDVid(sprites.FID_VID), lambda samples: samples.ask(video_judge).features),
        *sketches.detected(state, data),
        *judged.clipsim(state, data, clip_judge),
    ]
    scorer = partial(Measures, measures, state.device)
    return standard.score(
        state,
        data,
        scorer,
        sketches.ways(state, data),
        rebuilt=sketches.rebuilt(state, data),
        before={"sketches": sketches.coloured},
    )


SESSIONS.add("s2v", Session(S2VOptions, run))
