"""Metrics by the names people ask for: what a metric has to see of the samples, and how it is fed with it.

A metric gets here with one line, ``ASKS.add("kid", of_features("kid", default="ttur"))``: its class in ``METRICS`` is fed
with what networks said, shard by shard, so its state is all that is held, however many samples there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from evaluation.features import NETWORKS
from evaluation.inputs import Statistics
from evaluation.inputs.source import Kind
from evaluation.metrics import METRICS, Estimate
from evaluation.metrics.fid_statistics import fid_to_statistics
from evaluation.protocols import FIDProtocol, Protocol, find_protocol
from evaluation.scoring.captions import by_sample
from evaluation.scoring.reading import Readings
from evaluation.scoring.views import Answer, Judges, Loader, View
from evaluation.weights import WEIGHTS
from nuwa.data.captioned import some
from nuwa.registry import Registry

Side = Literal["generated", "real"]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What was seen of both sides, and captions by the ids of samples."""

    generated: Readings
    real: Readings | Statistics | None
    judges: Judges
    captions: Mapping[str, str]
    device: torch.device

    def texts(self, side: Side) -> list[str]:
        """The captions of a side in the order of its samples. ValueError where some have none."""
        readings = self.generated if side == "generated" else self.real
        assert isinstance(readings, Readings)  # statistics have no captions, and nobody asks for them
        found = by_sample(self.captions, readings.ids)
        if missing := [name for name in readings.ids if name not in found]:
            raise ValueError(
                f"captions: {len(missing)} of {len(readings.ids)} pictures have none: {some(missing, 3)}; add them"
            )
        return [found[name] for name in readings.ids]

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

_LABELS = "it needs the action that each caption names, which files do not hold; feed evaluation.metrics.ActionAccuracy"
_MAPS = "it needs maps of classes, and files of pictures are none; feed its class in evaluation.metrics"

ELSEWHERE = {
    "caption-accuracy": "it needs the scenes that captions name, which files do not hold; nox -s eval-t2i gives it",
    "edit-accuracy": "it needs what edits ask for, which files do not hold",
    "codebook": "it needs the tokens of a tokenizer, which files of pictures do not hold; every eval session gives it",
    "acc": _LABELS,
    **dict.fromkeys(
        ("masked-ssim", "unchanged"), "it needs a mask for each picture; feed its class in evaluation.metrics"
    ),
    **dict.fromkeys(("pa", "fwiou", "miou", "detected-pa", "detected-fwiou", "detected-miou"), _MAPS),
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
        found = Asked(name=name, ask=ask, protocol=find_protocol(ask.metric, wanted or family or ask.default, Protocol))
        if found in asked:
            raise ValueError(f"metrics: expected each once, got {word!r} twice")
        asked.append(found)
    if not asked:
        raise ValueError(f"metrics: expected some of {', '.join(ASKS)}, got none")
    return asked


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

    def load(protocol: Protocol, folder: Any, device: torch.device) -> _Beside:
        network = {"weights": folder} if protocol.network in WEIGHTS else {}
        return _Beside(METRICS[metric], protocol, device, network)

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
    network: Mapping[str, Any]

    def __call__(self, pairs: torch.Tensor) -> _Values:
        found = self.metric(self.protocol, **self.network).to(self.device)
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


def of_captions(metric: str, *, default: str, real: bool = False) -> Ask:
    """A metric fed with embeddings and captions, ``update(embeddings, captions)``, of the real side too where ``real``."""

    def view(protocol: Protocol) -> View:
        return View(protocol=protocol, answer="embeddings")

    def estimates(protocol: Protocol, evidence: Evidence) -> list[Estimate]:
        judge = evidence.judges.judge(view(protocol))
        found: Any = METRICS[metric](protocol, judge=judge).to(evidence.device)
        sides: tuple[Side, ...] = ("generated", "real") if real else ("generated",)
        for side in sides:
            texts, done = evidence.texts(side), 0
            for part in evidence.parts(side, view(protocol)):
                which = {"real": side == "real"} if real else {}
                found.update(part, texts[done : done + len(part)], **which)
                done += len(part)
        return list(found.estimates())

    return Ask(
        metric=metric,
        default=default,
        views=lambda protocol, side: (view(protocol),),  # noqa: ARG005
        estimates=estimates,
        needs=("real", "captions") if real else ("captions",),
    )


def _load_frames(protocol: Protocol, folder: Any, device: torch.device) -> Callable[[Tensor], Tensor]:
    """The picture network of a protocol, asked about every frame of clips: (b, t, 3, h, w) to features (b, t, d)."""
    judge: Any = NETWORKS[protocol.network](protocol, folder, device)

    def look(clips: Tensor) -> Tensor:
        features: Tensor = judge(clips.flatten(0, 1)).features
        return features.unflatten(0, clips.shape[:2])

    look.sha256 = getattr(judge, "sha256", None)  # type: ignore[attr-defined]
    return look


ASKS.add("fid", replace(_fid(lambda protocol: (0,)), takes_statistics=True))  # noqa: ARG005
ASKS.add("fid-k", _fid(lambda protocol: protocol.radii))
ASKS.add("is", of_features("is", default="ttur", answer="class_logits", alone=True))
for _name, _family in {
    "kid": "ttur",
    "prdc": "ttur",
    "fd-infinity": "ttur",
    "clip-fid": "clean",
    "cmmd": "google-research",
    "fd-dinov2": "dgm",
}.items():
    ASKS.add(_name, of_features(_name, default=_family))
ASKS.add("clipsim", of_captions("clipsim", default="sprites"))
ASKS.add("clipscore", of_captions("clipscore", default="hessel"))
ASKS.add("rm", of_captions("rm", default="sprites", real=True))
ASKS.add("fvd", of_features("fvd", default="stylegan-v", kind="clips"))
ASKS.add("fid-vid", of_features("fid-vid", default="r3d-18", kind="clips"))
ASKS.add("fid-img", of_features("fid-img", default="inception-positions", kind="clips", load=_load_frames))
for _name, _family in {"ssim": "torchmetrics", "psnr": "frames", "lpips": "vgg"}.items():
    ASKS.add(_name, of_pairs(_name, default=_family))
