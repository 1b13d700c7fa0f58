"""Any metrics of the suite as the scorer of a table: which metric, and what of the samples it is fed with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from evaluation.metrics.base import Estimate, ProtocolMetric
from evaluation.records import MetricValue
from evaluation.sessions.samples import Samples

Metric = ProtocolMetric[Any]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One metric of a session.

    ``feed(metric, samples)`` updates it with samples of a row. A metric between two sets has ``feed_real`` too, which updates
    it with samples of the reference. Rows whose samples lack a truth that it ``needs`` have no such number.
    """

    metric: Callable[[], Metric]
    feed: Callable[[Any, Samples], None]
    feed_real: Callable[[Any, Samples], None] | None = None
    curve: bool = False  # one more number for each frame (SSIM of a prediction)
    needs: tuple[str, ...] = ()  # names in the samples' truth


def two_sets(metric: Callable[[], Metric], read: Callable[[Samples], Tensor]) -> Measure:
    """A distance between two sets: FID, FVD, FID-vid, FID-img and their like; ``read`` gives pixels or features.

    >>> from evaluation.metrics import FIDVid
    >>> from evaluation.protocols import sprites
    >>> measure = two_sets(lambda: FIDVid(sprites.FID_VID), lambda samples: samples.pixels)  # or samples.ask(judge).features
    """
    return Measure(
        metric=metric,
        feed=lambda each, samples: each.update(read(samples), real=False),
        feed_real=lambda each, samples: each.update(read(samples), real=True),
    )


def beside(
    metric: Callable[[], Metric],
    *read: Callable[[Samples], Any],
    curve: bool = False,
    needs: Sequence[str] = (),
) -> Measure:
    """A metric of samples and what each is held against: SSIM, Detected PA, acc, CLIPSIM, edit accuracy."""

    def feed(each: Any, samples: Samples) -> None:
        each.update(*(get(samples) for get in read))

    return Measure(metric=metric, feed=feed, curve=curve, needs=tuple(needs))


class Measures:
    """A :class:`evaluation.sessions.table.Scorer` of some metrics, on one device."""

    def __init__(self, measures: Sequence[Measure], device: Any = "cpu") -> None:
        self.measures = tuple(measures)
        self.metrics = [measure.metric().to(device) for measure in self.measures]
        self.impossible: dict[str, str] = {}
        self._lacking: set[str] = set()  # what measures need and the samples do not have

    def update(self, samples: Samples, *, real: bool) -> None:
        """Feed every metric; one that compares no sets sees nothing of the reference."""
        for measure, metric in zip(self.measures, self.metrics, strict=True):
            feed = measure.feed_real if real else measure.feed
            lacking = set(measure.needs) - set(samples.truth)
            self._lacking |= lacking
            if feed is not None and not lacking:
                feed(metric, samples)

    def against(self, reference: Measures) -> list[Estimate]:
        """All numbers; a metric that so few samples do not allow is named in ``impossible`` and left out."""
        found: list[Estimate] = []
        for measure, metric, theirs in zip(self.measures, self.metrics, reference.metrics, strict=True):
            if self._lacking & set(measure.needs):
                continue
            whole = measure.metric().to(metric.device)
            whole.merge_state(metric)
            if measure.feed_real is not None:
                whole.merge_state(theirs)
            try:
                found += whole.estimates()
                if measure.curve:
                    found += whole.curve()  # type: ignore[operator]  # metrics of pairs have one
            except ValueError as error:
                self.impossible[whole.protocol.id] = str(error)
        return found

    def parts(self) -> Mapping[str, Sequence[MetricValue]]:
        """None."""
        return {}
