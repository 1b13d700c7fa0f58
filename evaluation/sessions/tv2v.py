"""Text-guided manipulation of clips: change what the text says by both routes, and keep the rest (paper, figure 1)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from evaluation import judges
from evaluation.metrics import EditAccuracy, FIDVid
from evaluation.protocols import sprites
from evaluation.records import Record
from evaluation.sessions.base import SESSIONS, Run, Session
from evaluation.sessions.edits import EditOptions, score_edits
from evaluation.sessions.measures import beside, two_sets


@dataclass(frozen=True, kw_only=True)
class TV2VOptions(EditOptions):
    """Text-guided manipulation of clips: share of edits that the judge confirms, SSIM of what should stay, FID-vid."""

    out: Path = Path("runs/eval-tv2v")  # folder for everything that is made


def run(options: TV2VOptions) -> Record:
    """Run the session and leave ``record.json``, ``samples/``, ``generated/`` and ``training/`` in ``options.out``."""
    state = Run.begin("tv2v", options)
    judge = judges.load_video_judge(state.device)
    return score_edits(
        state,
        [
            two_sets(lambda: FIDVid(sprites.FID_VID), lambda samples: samples.ask(judge).features),
            beside(
                lambda: EditAccuracy(sprites.CLIP_EDIT_ACCURACY),
                lambda samples: samples.ask(judge),
                lambda samples: samples.truth["edits"],
            ),
        ],
    )


SESSIONS.add("tv2v", Session(TV2VOptions, run))
