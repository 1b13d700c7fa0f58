"""The command ``check``: read, report, draw, write."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from nuwa import files
from nuwa.data.check import sheet, tally
from nuwa.data.check.reading import check
from nuwa.data.limits import MAX_BROKEN, TooManyBroken
from nuwa.data.manifest import to_json
from nuwa.data.readers import READERS


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """Read a dataset whole: counts, sizes, broken files, duplicates, long captions, classes; contact sheet and manifest."""

    data: str  # name of the dataset, such as kinetics; docs/data.md shows each one's folder
    root: Path  # its folder
    split: str | None = None  # the one to evaluate on where not given
    out: Path | None = None  # where to write; runs/data/NAME-SPLIT where not given
    max_broken: float = MAX_BROKEN  # share of broken samples above which the run stops
    sheet: int = 40  # samples on the contact sheet
    workers: int | None = None  # decoding threads; one a core where not given

    def __post_init__(self) -> None:
        if not 0 <= self.max_broken <= 1 or self.sheet < 0 or (self.workers is not None and self.workers < 1):
            got = f"{self.max_broken}, {self.sheet} and {self.workers}"
            raise ValueError(f"check: expected max_broken in [0, 1], sheet >= 0 and workers >= 1, got {got}")


def run(options: CheckOptions) -> None:
    """Check and write. TooManyBroken, after the list is printed and in ``broken.json``, where too much is broken."""
    reader = READERS[options.data]
    listing = reader(options.root, options.split)
    out = options.out or Path("runs/data") / f"{listing.name}-{listing.split.replace('/', '-')}"
    try:
        report, chosen = check(
            listing,
            out,
            max_broken=options.max_broken,
            num_thumbnails=options.sheet,
            workers=options.workers,
            again=lambda: reader(options.root, options.split),
        )
    except TooManyBroken as error:
        files.write_json(out / "broken.json", to_json([asdict(skip) for skip in error.skipped]))
        for skip in error.skipped:
            print(f"{skip.id!r}: {skip.reason}")
        raise
    (out / "broken.json").unlink(missing_ok=True)  # of a run that was stopped
    files.write_json(out / "report.json", to_json(report))
    print("\n".join(_printable(line) for line in tally.lines(report)))
    if chosen:
        title = f"{listing.name} {listing.version} {listing.split}: {len(chosen)} of {report['samples']:,} samples"
        with files.atomic(out / "contact-sheet.png") as temporary:
            sheet.contact_sheet(chosen, title).save(temporary, format="png")
    print(f"fingerprint {report['fingerprint']}\n{out}")


def _printable(line: str) -> str:
    return line.encode("utf-8", "backslashreplace").decode()
