"""Compare two sets of pictures under every protocol of a metric: why is my FID another than the paper's?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from evaluation import weights
from evaluation.protocols import PROTOCOLS
from evaluation.protocols.differences import differences
from evaluation.provenance import provenance
from evaluation.records import Record, Skipped
from evaluation.scoring import show
from evaluation.scoring.asks import ASKS, Asked, parse
from evaluation.scoring.run import ReadingOptions, Request, measure, record_of, said
from evaluation.scoring.views import require
from evaluation.weights import MissingWeightsError
from nuwa.training.precision import pick_device


@dataclass(frozen=True, kw_only=True)
class CompareOptions(ReadingOptions):
    """The same two sets of pictures under all FID protocols, and for each pair of them what makes the difference."""

    real: Path  # a folder, zip, npy, npz or video
    fake: Path
    metric: str = "fid"  # whose protocols to go through
    protocols: str | None = None  # families with commas between; all published ones where not given
    weights: Path | None = None  # folder with published network weights; see python -m evaluation weights list
    device: str = "auto"  # auto, cpu or cuda
    out: Path = Path("runs/compare")


def run(options: CompareOptions) -> Record:
    """Print the numbers with a sentence for every pair of protocols, and leave ``record.json`` in ``options.out``."""
    asked, missing = _asked(options)
    device = pick_device(options.device)
    about = provenance(device, {each.protocol.id: each.protocol.interval_seed for each in asked})
    request = Request(
        asked=asked,
        fake=options.fake,
        real=options.real,
        weights=options.weights,
        device=device,
        reading=options,
        tolerant=True,
    )
    found = measure(request)
    found.skipped += missing
    if not found.estimates:
        raise ValueError(f"compare: no protocol gave a number; {found.skipped[-1].id}: {found.skipped[-1].reason}")
    record = record_of(found, request, task="compare", out=options.out, about=about)
    print(show.table(sorted(found.values, key=lambda value: value.value)))
    print("\n".join(["", *differences(found.values), ""]))
    for skip in found.skipped:
        if skip.id in PROTOCOLS:
            print(f"left out: {skip.id}: {skip.reason}")
    print("\n".join(said(found, options.out)))
    print(f"plot: python -m reports run {options.out}")
    return record


def _asked(options: CompareOptions) -> tuple[list[Asked], list[Skipped]]:
    """What can be made, and the protocols whose weights are missing. MissingWeightsError where none can be made."""
    metric = ASKS[options.metric].metric
    if options.protocols is None:
        published = [
            each for each in PROTOCOLS if each.startswith(f"{metric}@") and PROTOCOLS[each].network in weights.WEIGHTS
        ]
        families = [each.partition("@")[2] for each in published]
    else:
        families = [family.strip() for family in options.protocols.split(",") if family.strip()]
    asked = [parse(options.metric, family)[0] for family in families]
    if not asked:
        raise ValueError(
            f"compare: {options.metric} has no protocol with published weights; name some with --protocols"
        )
    lost: dict[str, MissingWeightsError] = {}
    for network in dict.fromkeys(each.protocol.network for each in asked):
        if network in weights.WEIGHTS:
            try:
                require(network, options.weights)
            except MissingWeightsError as error:
                lost[network] = error
    left = [each for each in asked if each.protocol.network not in lost]
    if not left:
        raise next(iter(lost.values()))
    without = [each.protocol for each in asked if each.protocol.network in lost]
    return left, [Skipped(id=protocol.id, reason=" ".join(str(lost[protocol.network]).split())) for protocol in without]
