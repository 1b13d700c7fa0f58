"""The table of a session: sets of samples are scored against one reference and become rows of the record."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from evaluation.metrics.base import Estimate
from evaluation.records import MetricValue, Role, Row, Scalar
from evaluation.sessions.base import Run
from evaluation.sessions.samples import Samples
from nuwa.progress import progress

BATCH = 256


class Scorer(typing.Protocol):
    """The scores of one set of samples. A session chooses metrics and protocols by the scorer that it gives its table.

    :class:`evaluation.sessions.measures.Measures` is one of any metrics of the suite.
    """

    def update(self, samples: Samples, *, real: bool) -> None:
        """Judge a batch on the table's device; ``real`` where it belongs to the reference."""

    def against(self, reference: typing.Self) -> Sequence[Estimate]:
        """All numbers beside the reference's scorer, with the replicates that pair them with another model's."""

    @property
    def impossible(self) -> Mapping[str, str]:
        """Metrics that these samples do not allow, each with the reason; asked after :meth:`against`."""

    def parts(self) -> Mapping[str, Sequence[MetricValue]]:
        """Numbers of some of the samples, by what they have in common; each becomes a row below."""


S = TypeVar("S", bound=Scorer)


class Table(Generic[S]):
    """Scores sets of samples against the reference and collects the rows in the run.

    Standard rows are :meth:`add` with role "model", "real" (other real samples: the floor), "reconstruction" (what the
    tokenizer allows) and "baseline" (an untrained model: the ceiling).
    """

    def __init__(self, run: Run, scorer: Callable[[], S], reference: Samples, *, batch: int = BATCH) -> None:
        self.run, self.batch = run, batch
        self._scorer = scorer
        self.reference = self._judge("judge the reference", reference, real=True)

    def add(
        self,
        name: str,
        role: Role,
        samples: Samples,
        *,
        sampling: Mapping[str, Scalar] | None = None,
        extra: Sequence[MetricValue] = (),
    ) -> None:
        """Score samples as one row, followed by those of their parts; ``extra`` numbers were made elsewhere."""
        scorer, settings = self._judge(f"judge {name}", samples, real=False), dict(sampling or {})
        with self.run.timed("score"):
            found = scorer.against(self.reference)
            self.run.keep(name, found)
            metrics = (*(estimate.record for estimate in found), *extra)
            for each, why in scorer.impossible.items():
                self.run.skip(f"{each} of {name}", why)
            self.run.rows.append(Row(name=name, role=role, sampling=settings, metrics=metrics))
            for part, values in scorer.parts().items():
                self.run.rows.append(Row(name=f"{name}, {part}", role=role, sampling=settings, metrics=tuple(values)))

    def _judge(self, what: str, samples: Samples, *, real: bool) -> S:
        scorer = self._scorer()
        unit = "clips" if samples.pixels.dim() == 5 else "pictures"
        with self.run.timed("score"), progress(None, what, total=len(samples), unit=unit) as bar:
            for part in samples.split(self.batch):
                scorer.update(part.to(self.run.device), real=real)
                bar.update(len(part))
        return scorer
