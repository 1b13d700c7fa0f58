"""Metrics that are fed with pictures, or with what a network said of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from evaluation.images import as_bytes, check_set
from evaluation.metrics.base import ProtocolMetric, check_rows, gather
from evaluation.metrics.judged import check_weights
from evaluation.protocols import PictureProtocol, find_protocol

P = TypeVar("P", bound=PictureProtocol)

_PREPARATION = ("network", "size_px", "resize", "normalise")


class JudgeSource:
    """The network of a metric: the one given, or the protocol's, loaded when it is first asked for.

    Held by a metric as a plain object: it travels neither with states nor with a ``state_dict``. A pickle holds a network
    that was given, and of one that was loaded where to find it.
    """

    def __init__(self, protocol: PictureProtocol, weights: str | Path | None, judge: Any | None) -> None:
        check_weights(judge, protocol)
        theirs = getattr(judge, "protocol", protocol)
        if any(getattr(theirs, each, None) != getattr(protocol, each) for each in _PREPARATION):
            raise ValueError(
                f"{protocol.id}: expected a judge that prepares pictures by this protocol, got one under {theirs.id}; load "
                "it with load_judge(protocol, folder)"
            )
        self.protocol = protocol
        self.weights = weights
        self.given = judge
        self._loaded: Any = None

    def on(self, device: torch.device) -> Any:
        """The network on ``device``. MissingWeightsError, which says what to put where, without its file."""
        judge = self._loaded if self.given is None else self.given
        if judge is None:
            from evaluation.features import load_judge  # slow to import, and only needed for pictures

            judge = self._loaded = load_judge(self.protocol, self.weights)
            check_weights(judge, self.protocol)
        return judge.to(device) if isinstance(judge, nn.Module) else judge

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_loaded": None}


class PictureMetric(ProtocolMetric[P]):
    """A metric under one protocol of pictures, by object, id or short name (``"clean"``).

    ``update`` takes pictures (b, 3, h, w), RGB, uint8 or floats in [0, 1], of any size the network can take, or what the
    network said of b pictures, (b, d). For pictures it asks the network of the protocol, whose file has to lie in the folder
    ``weights`` (the judges of sprites are shipped and need none), or the ``judge`` given in its place: a module, or any
    callable, that takes uint8 and answers like :class:`evaluation.metrics.judged.ImageJudge`, or with the features alone.
    """

    metric: ClassVar[str]
    """Name in ``METRICS``, and before the ``@`` of its protocols."""
    default: ClassVar[Any]
    """Protocol where none is named."""
    kind: ClassVar[type[Any]]
    protocol: P

    def __init__(
        self,
        protocol: P | str | None = None,
        *,
        weights: str | Path | None = None,
        judge: Any | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(
            find_protocol(self.metric, self.default if protocol is None else protocol, self.kind), **settings
        )
        self._judge = JudgeSource(self.protocol, weights, judge)

    def _read(
        self, samples: Tensor, layer: str, width: int, what: str, change: Callable[[Tensor], Tensor] | None = None
    ) -> Tensor:
        """Rows (b, ``width``) float: ``samples`` themselves where they are rows, else the network's ``layer`` of pictures.

        ``change`` is done to the pictures as bytes before the network sees them.
        """
        if not isinstance(samples, Tensor) or samples.dim() > 2:
            images = as_bytes(samples, self.protocol.quantise).to(self.device)
            with torch.no_grad():
                answer = self._judge.on(self.device)(images if change is None else change(images))
            samples = answer if isinstance(answer, Tensor) else getattr(answer, layer)
        check_rows(samples, width, what)
        return samples.detach().to(self.device)


class TwoSets(PictureMetric[P]):
    """A metric that compares the features of real and generated pictures, and keeps them all: 4·d bytes a picture."""

    real_features: list[Tensor]
    generated_features: list[Tensor]

    def __init__(self, protocol: P | str | None = None, **settings: Any) -> None:
        super().__init__(protocol, **settings)
        for side in ("real", "generated"):
            self.add_rows(f"{side}_features", self._width)

    @property
    def _width(self) -> int:
        width: int = self.protocol.width  # type: ignore[attr-defined]  # every kind of two sets has one
        return width

    def update(self, images: Tensor, real: bool) -> None:
        """Add real or generated pictures (b, 3, h, w), or their features (b, d); features are kept as float32."""
        features = self._read(images, "features", self._width, "features")
        getattr(self, f"{'real' if real else 'generated'}_features").append(features.float())

    def _sides(self) -> tuple[Tensor, Tensor]:
        """Features (n, d) of generated and (m, d) of real pictures. ValueError for fewer than two."""
        sides = gather(self.generated_features), gather(self.real_features)
        for side, what in zip(sides, ("generated pictures", "real pictures"), strict=True):
            check_set(len(side), what)
        return sides
