"""Metrics by the names people ask for: what a metric has to see of the samples, and how it is fed with it.

A metric gets here with one line, ``ASKS.add("kid", of_features("kid", default="ttur"))``: its class in ``METRICS`` is fed
with what networks said, shard by shard, so its state is all that is held, however many samples there are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from evaluation.inputs import Statistics
from evaluation.inputs.source import Kind
from evaluation.metrics import METRICS, Estimate
from evaluation.metrics.fid_statistics import fid_to_statistics
from evaluation.protocols import PROTOCOLS, CLIPSIMProtocol, FIDProtocol, Protocol
from evaluation.scoring.reading import Readings
from evaluation.scoring.views import Answer, Judges, Loader, View
from nuwa.data.captioned import some
from nuwa.registry import Registry, suggest

Side = Literal["generated", "real"]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What was seen of both sides, and the captions of the generated ones by their ids."""

    generated: Readings
    real: Readings | Statistics | None
    judges: Judges
    captions: Mapping[str, str]
    device: torch.device

    def parts(self, side: Side, view: View) -> Iterator[Tensor]:
        """What a view sees of a side, shard by shard."""
        readings = self.generated if side == "generated" else self.real
        if not isinstance(readings, Readings):
            raise ValueError(f"{view.protocol.id}: expected real pictures, got {'statistics' if readings else 'none'}")
        for part in readings.parts(view):
            yield part.to(self.device)


@dataclass(frozen=True, kw_only=True)
class Ask:
    """How one metric is asked for."""

    metric: str
    """Its name in ``METRICS``, with which the ids of its protocols begin."""
    default: str
    """Family of the protocol where none is named."""
    views: Callable[[Any, Side], tuple[View, ...]]
    """What its protocol has to see of a side."""
    estimates: Callable[[Any, Evidence], list[Estimate]]
    kind: Kind = "pictures"
    needs: tuple[Literal["real", "captions"], ...] = ("real",)
    takes_statistics: bool = False
    """Whether precomputed statistics can stand for the real side."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One metric under one protocol."""

    name: str
    ask: Ask
    protocol: Protocol

    def views(self, side: Side) -> tuple[View, ...]:
        """What it has to see of a side."""
        return self.ask.views(self.protocol, side) if side == "generated" or "real" in self.ask.needs else ()

    def estimates(self, evidence: Evidence) -> list[Estimate]:
        """The numbers with their intervals."""
        return self.ask.estimates(self.protocol, evidence)


ASKS: Registry[Ask] = Registry("metric")

ELSEWHERE = {
    "caption-accuracy": "it needs the scenes that captions name, which files do not hold; nox -s eval-t2i gives it",
    "edit-accuracy": "it needs what edits ask for, which files do not hold",
}
"""Registered metrics that cannot be made from files, and where they are made."""


def parse(metrics: str, family: str | None = None) -> list[Asked]:
    """``"fid,is@ttur,kid"`` as metrics under protocols: the one behind ``@``, else ``family``, else the metric's default.

    A family goes by its name, with or without its version. ValueError for what is not known, with the nearest name.
    """
    asked: list[Asked] = []
    for word in filter(None, (part.strip() for part in metrics.split(","))):
        name, _, wanted = word.partition("@")
        if name in ELSEWHERE:
            raise ValueError(f"metric {name!r}: {ELSEWHERE[name]}")
        ask = ASKS[name]
        found = Asked(name=name, ask=ask, protocol=protocol_of(ask.metric, wanted or family or ask.default))
        if found in asked:
            raise ValueError(f"metrics: expected each once, got {word!r} twice")
        asked.append(found)
    if not asked:
        raise ValueError(f"metrics: expected some of {', '.join(ASKS)}, got none")
    return asked


def protocol_of(metric: str, family: str) -> Protocol:
    """The protocol of ``metric`` in ``family``, the newest version where none is named. ValueError where there is none."""
    families = [name.partition("@")[2] for name in PROTOCOLS if name.partition("@")[0] == metric]
    versions = [each for each in families if re.sub(r"-\d+$", "", each) == family]
    if not versions and family not in families:
        known = [re.sub(r"-\d+$", "", each) for each in families]
        raise ValueError(
            f"{metric}: no protocol {family!r}{suggest(family, known)} (known: {', '.join(known)}); write {metric}@{known[0]}"
        )
    newest = max(versions, key=lambda each: int(each.rpartition("-")[2])) if versions else family
    return PROTOCOLS[f"{metric}@{newest}"]


def of_features(
    metric: str,
    *,
    default: str,
    answer: Answer = "features",
    kind: Kind = "pictures",
    load: Loader | None = None,
    alone: bool = False,
) -> Ask:
    """A metric fed with the features of both sides, ``update(features, real=…)``, or ``alone``, ``update(features)``."""

    def view(protocol: Protocol) -> View:
        return View(protocol=protocol, answer=answer, kind=kind, load=load)

    def estimates(protocol: Protocol, evidence: Evidence) -> list[Estimate]:
        found: Any = METRICS[metric](protocol).to(evidence.device)
        for part in evidence.parts("generated", view(protocol)):
            found.update(part, **({} if alone else {"real": False}))
        for part in () if alone else evidence.parts("real", view(protocol)):
            found.update(part, real=True)
        return list(found.estimates())

    return Ask(
        metric=metric,
        default=default,
        views=lambda protocol, side: (view(protocol),),  # noqa: ARG005
        estimates=estimates,
        kind=kind,
        needs=() if alone else ("real",),
    )


def of_pairs(metric: str, *, default: str) -> Ask:
    """A metric that holds each picture beside its real one: a class with ``update(generated, real)`` and ``values``."""

    def load(protocol: Protocol, folder: object, device: torch.device) -> _Beside:  # noqa: ARG001
        return _Beside(METRICS[metric], protocol, device)

    def views(protocol: Protocol, side: Side) -> tuple[View, ...]:  # noqa: ARG001
        return (View(protocol=protocol, kind="pairs", load=load),)

    def estimates(protocol: Protocol, evidence: Evidence) -> list[Estimate]:
        found: Any = METRICS[metric](protocol)
        found.values.append(evidence.generated[views(protocol, "generated")[0]])
        return list(found.estimates())

    return Ask(metric=metric, default=default, views=views, estimates=estimates, kind="pairs")


@dataclass(frozen=True)
class _Beside:
    """A paired metric as a judge: what it says of pairs are its values."""

    metric: Any
    protocol: Protocol
    device: torch.device

    def __call__(self, pairs: torch.Tensor) -> _Values:
        found = self.metric(self.protocol).to(self.device)
        found.update(pairs[:, 0], pairs[:, 1])
        return _Values(torch.cat(list(found.values)))


@dataclass(frozen=True)
class _Values:
    features: torch.Tensor


def _fid(radii: Callable[[FIDProtocol], Sequence[int]]) -> Ask:
    def view(protocol: FIDProtocol, side: Side, radius: int) -> View:
        sharp = side == "generated" and protocol.blur_target == "real"
        return View(protocol=protocol, radius=0 if sharp else radius)

    def views(protocol: FIDProtocol, side: Side) -> tuple[View, ...]:
        return tuple(view(protocol, side, radius) for radius in radii(protocol))

    def estimates(protocol: FIDProtocol, evidence: Evidence) -> list[Estimate]:
        if isinstance(evidence.real, Statistics):
            features = torch.cat(list(evidence.parts("generated", view(protocol, "generated", 0))))
            return [fid_to_statistics(features, evidence.real, protocol)]
        estimates = []
        for radius in radii(protocol):
            found: Any = METRICS["fid"](protocol, radius=radius).to(evidence.device)
            for side in ("generated", "real"):
                for part in evidence.parts(side, view(protocol, side, radius)):
                    found.update(part, real=side == "real")
            estimates += found.estimates()
        return estimates

    return Ask(metric="fid", default="ttur", views=views, estimates=estimates)


def _clipsim_views(protocol: CLIPSIMProtocol, side: Side) -> tuple[View, ...]:  # noqa: ARG001
    return (View(protocol=protocol, answer="embeddings"),)


def _clipsim(protocol: CLIPSIMProtocol, evidence: Evidence) -> list[Estimate]:
    (view,) = _clipsim_views(protocol, "generated")
    ids = evidence.generated.ids
    if missing := [name for name in ids if name not in evidence.captions]:
        raise ValueError(f"captions: {len(missing)} of {len(ids)} pictures have none: {some(missing, 3)}; add them")
    texts = [protocol.prefix + evidence.captions[name] for name in ids]
    each = sorted(set(texts))  # captions repeat
    row = {text: index for index, text in enumerate(each)}
    embedded = evidence.judges.texts(view, each).to(evidence.device)
    found: Any = METRICS["clipsim"](protocol).to(evidence.device)
    done = 0
    for part in evidence.parts("generated", view):
        found.update(part, embedded[[row[text] for text in texts[done : done + len(part)]]])
        done += len(part)
    return list(found.estimates())


ASKS.add("fid", replace(_fid(lambda protocol: (0,)), takes_statistics=True))  # noqa: ARG005
ASKS.add("fid-k", _fid(lambda protocol: protocol.radii))
ASKS.add("is", of_features("is", default="ttur", answer="class_logits", alone=True))
ASKS.add(
    "clipsim",
    Ask(metric="clipsim", default="sprites", views=_clipsim_views, estimates=_clipsim, needs=("captions",)),
)
