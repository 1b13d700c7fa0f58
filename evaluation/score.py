"""Score a set of pictures or clips: any registered metrics, by name, under named protocols."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from evaluation.provenance import provenance
from evaluation.records import Record
from evaluation.scoring import show
from evaluation.scoring.asks import parse
from evaluation.scoring.run import ReadingOptions, Request, measure, record_of, said
from nuwa.training.precision import pick_device


@dataclass(frozen=True, kw_only=True)
class ScoreOptions(ReadingOptions):
    """Score a folder, zip, npz or video of pictures beside real ones: FID, FID-k, IS, CLIPSIM and more, by name."""

    fake: Path  # what to score: a folder, zip, npy, npz, video, or a folder of videos
    real: Path | None = None  # what to compare with: the same, or statistics of pytorch-fid, clean-fid, StyleGAN2-ADA
    metrics: str = "fid,is"  # names with commas between; name@family for a protocol of its own
    protocol: str | None = None  # family of all others, such as ttur or clean; each metric's own where not given
    weights: Path | None = None  # folder with published network weights; see python -m evaluation weights list
    captions: Path | None = None  # json {id: caption}, or csv with columns id and caption, for clipsim
    device: str = "auto"  # auto, cpu or cuda
    out: Path = Path("runs/score")


def run(options: ScoreOptions) -> Record:
    """Print the numbers and leave ``record.json`` in ``options.out``. A run that was stopped goes on where it was."""
    asked = parse(options.metrics, options.protocol)
    device = pick_device(options.device)
    about = provenance(device, {each.protocol.id: each.protocol.interval_seed for each in asked})
    request = Request(
        asked=asked,
        fake=options.fake,
        real=options.real,
        weights=options.weights,
        device=device,
        reading=options,
        captions=options.captions,
    )
    found = measure(request)
    record = record_of(found, request, task="score", out=options.out, about=about)
    print(show.table(found.values))
    print("\n".join(said(found, options.out)))
    return record
