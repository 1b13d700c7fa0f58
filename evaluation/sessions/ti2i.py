"""Text-guided manipulation of pictures: change what the text says by both routes, and keep the rest (paper, figure 1)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from evaluation import judges
from evaluation.metrics import FID, EditAccuracy
from evaluation.protocols import sprites
from evaluation.records import Record
from evaluation.sessions.base import SESSIONS, Run, Session
from evaluation.sessions.edits import EditOptions, score_edits
from evaluation.sessions.measures import beside, two_sets


@dataclass(frozen=True, kw_only=True)
class TI2IOptions(EditOptions):
    """Text-guided manipulation of pictures: share of edits that the judge confirms, SSIM of what should stay, FID."""

    out: Path = Path("runs/eval-ti2i")  # folder for everything that is made


def run(options: TI2IOptions) -> Record:
    """Run the session and leave ``record.json``, ``samples/``, ``generated/`` and ``training/`` in ``options.out``."""
    state = Run.begin("ti2i", options)
    judge = judges.load_image_judge(state.device)
    return score_edits(
        state,
        [
            two_sets(lambda: FID(sprites.FID), lambda samples: samples.ask(judge).features),
            beside(
                lambda: EditAccuracy(sprites.EDIT_ACCURACY),
                lambda samples: samples.ask(judge),
                lambda samples: samples.truth["edits"],
            ),
        ],
    )


SESSIONS.add("ti2i", Session(TI2IOptions, run))
