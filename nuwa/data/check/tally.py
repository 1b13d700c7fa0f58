"""What is counted while a dataset is read, and the report it becomes. Takes a few bytes a sample, whatever their number."""

from __future__ import annotations

import math
import statistics
from array import array
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from nuwa.data.check.examine import Examined, num_classes
from nuwa.data.readers.sample import Listing
from nuwa.tokenizers.text import TEXT_GRID, num_tokens

_MOST = 20  # lines of one kind in the report of a terminal; report.json has all of them


class Tally:
    """Counts over the samples that could be read."""

    def __init__(self, listing: Listing) -> None:
        self.classes, self._no_class = listing.classes, num_classes(listing)
        self.kinds: Counter[str] = Counter()
        self.sizes: Counter[str] = Counter()
        self.labels: Counter[str] = Counter()
        self.pixels: Counter[int] = Counter()
        self.num_bytes = 0
        self.num_captions = 0
        self.without_captions = 0
        self.long: list[tuple[str, int]] = []
        self._frames, self._seconds = array("d"), array("d")
        self._same: dict[str, list[str]] = {}

    def add(self, found: Examined) -> None:
        """One more."""
        assert found.entry is not None
        assert found.facts is not None
        sample, entry, facts = found.sample, found.entry, found.facts
        self.kinds[sample.kind] += 1
        self.sizes[f"{facts.width}x{facts.height}"] += 1
        self.num_bytes += entry.num_bytes
        self._same.setdefault(entry.sha256, []).append(entry.id)
        if sample.label is not None:
            self.labels[sample.label] += 1
        if sample.kind == "clip":
            self._frames.append(facts.num_frames)
            if facts.seconds is not None:
                self._seconds.append(facts.seconds)
        self.num_captions += len(sample.captions)
        self.without_captions += not sample.captions
        for place, caption in enumerate(sample.captions):
            if (length := num_tokens(caption)) > TEXT_GRID.size:
                self.long.append((sample.caption_id(place), length))
        if found.pixels_of is not None:
            self.pixels.update({number: int(count) for number, count in enumerate(found.pixels_of) if count})

    @property
    def duplicates(self) -> list[list[str]]:
        """Ids of samples with the same content, byte by byte."""
        return [ids for ids in self._same.values() if len(ids) > 1]

    def report(self) -> dict[str, Any]:
        """Everything, for json."""
        found: dict[str, Any] = {
            "samples": sum(self.kinds.values()),
            "kinds": dict(self.kinds),
            "bytes": self.num_bytes,
            "sizes_px": dict(self.sizes.most_common()),
            "frames": _spread(self._frames),
            "seconds": _spread(self._seconds),
            "captions": self.num_captions,
            "without_captions": self.without_captions,
            "captions_over_77_tokens": [{"caption": name, "tokens": length} for name, length in self.long],
            "duplicates": self.duplicates,
            "classes": balance(self.labels),
        }
        if self.pixels:
            named = dict(enumerate(self.classes)) | {self._no_class: "no class"}
            found["map_pixels"] = {
                named.get(number, str(number)): count for number, count in sorted(self.pixels.items())
            }
        return found


def balance(labels: Mapping[str, int]) -> dict[str, Any] | None:
    """How evenly samples spread over classes; ``effective`` is exp of the entropy: their number, were all as large."""
    if not labels:
        return None
    counts = np.array(list(labels.values()), dtype=float)
    share = counts / counts.sum()
    return {
        "number": len(labels),
        "effective": round(math.exp(float(-(share * np.log(share)).sum())), 2),
        "smallest": int(counts.min()),
        "median": float(np.median(counts)),
        "largest": int(counts.max()),
        "counts": dict(sorted(labels.items(), key=lambda pair: (-pair[1], pair[0]))),
    }


def lines(report: Mapping[str, Any]) -> list[str]:
    """The report of :func:`~nuwa.data.check.reading.check` for a terminal. Names are quoted: they may hold anything."""
    kinds = ", ".join(f"{count:,} {kind}s" for kind, count in report["kinds"].items())
    shown = [
        f"{report['dataset']} {report['version']} {report['split']}: {kinds or 'nothing'}, {report['bytes'] / 1e6:,.1f} MB",
        f"  sizes: {_most(report['sizes_px'])}",
    ]
    for key, unit in (("frames", "frames"), ("seconds", "s")):
        if report[key]:
            low, middle, high = (f"{report[key][each]:,.4g}" for each in ("min", "median", "max"))
            shown.append(f"  {unit} a clip: {low} to {high}, median {middle}")
    captions, long = report["captions"], report["captions_over_77_tokens"]
    shown.append(
        f"  captions: {captions:,}, {len(long):,} over 77 tokens, {report['without_captions']:,} samples without any"
    )
    shown += [f"    {each['caption']!r}: {each['tokens']} tokens" for each in long[:_MOST]] + _more(long)
    if classes := report["classes"]:
        shown.append(
            f"  classes: {classes['number']:,}, as many as {classes['effective']:g} of one size; "
            f"{classes['smallest']:,} to {classes['largest']:,} samples each, median {classes['median']:g}"
        )
    if same := report["duplicates"]:
        shown.append(f"  duplicates: {len(same):,} contents more than once")
        shown += [f"    {' = '.join(map(repr, ids[:4]))}" for ids in same[:_MOST]] + _more(same)
    else:
        shown.append("  duplicates: none")
    broken, missing = report["broken"], report["missing"]
    shown.append(f"  broken: {len(broken):,}")
    shown += [f"    {each['id']!r}: {each['reason']}" for each in broken[:_MOST]] + _more(broken)
    if missing:
        shown.append(f"  named in tables but not here: {len(missing):,}, such as {', '.join(map(repr, missing[:3]))}")
    shown += [f"  list {name}: {each['summary']}" for name, each in report["lists"].items()]
    shown += [f"  note: {note}" for note in report["notes"]]
    return shown


def _spread(values: array[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {"min": min(values), "median": statistics.median(values), "max": max(values), "sum": sum(values)}


def _most(counts: Mapping[str, int], limit: int = 4) -> str:
    shown = ", ".join(f"{name} ({count:,})" for name, count in list(counts.items())[:limit])
    return shown + (f" and {len(counts) - limit:,} more" if len(counts) > limit else "")


def _more(things: list[Any]) -> list[str]:
    return [f"    and {len(things) - _MOST:,} more in report.json"] if len(things) > _MOST else []
