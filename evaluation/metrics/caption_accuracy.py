"""Caption accuracy: does a judge see in the picture exactly what the caption names?"""

from __future__ import annotations

import typing
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluation.images import check_set
from evaluation.metrics.base import METRICS, Estimate, ProtocolMetric, gather
from evaluation.metrics.uncertainty import bootstrap_means, clustered_wilson
from evaluation.protocols import CaptionAccuracyProtocol, sprites
from nuwa.data.sprites import world

Ints = NDArray[np.int64] | Tensor
ATTRIBUTES = ("place", "shape", "colour", "size")


class SceneJudgement(typing.Protocol):
    """What a judge sees: logits for each place of the board in raster order; shape 0 means that nothing is there."""

    @property
    def shape_logits(self) -> Tensor:
        """(b, places, 1 + shapes)."""

    @property
    def colour_logits(self) -> Tensor:
        """(b, places, colours)."""

    @property
    def size_logits(self) -> Tensor:
        """(b, places, sizes)."""

    @property
    def background_logits(self) -> Tensor:
        """(b, backgrounds)."""


class NamedScenes(typing.Protocol):
    """What captions name; index arrays (b, objects) with −1 where there is no object. ``sprites.Scenes`` is one."""

    @property
    def num_objects(self) -> Ints:
        """(b,)."""

    @property
    def shape(self) -> Ints:
        """(b, objects)."""

    @property
    def colour(self) -> Ints:
        """(b, objects)."""

    @property
    def size(self) -> Ints:
        """(b, objects)."""

    @property
    def place(self) -> Ints:
        """(b, objects), raster index on the board."""

    @property
    def background(self) -> Ints:
        """(b,)."""


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """What was right: bool tensors, (n,) for a picture as a whole, (n, objects) for each named object."""

    right: Tensor
    background: Tensor
    named: Tensor
    place: Tensor
    shape: Tensor
    colour: Tensor
    size: Tensor

    def __len__(self) -> int:
        return len(self.right)

    def __getitem__(self, mask: Tensor) -> Outcomes:
        """The outcomes of some of the pictures."""
        return Outcomes(**{name: value[mask] for name, value in vars(self).items()})

    @classmethod
    def cat(cls, parts: Sequence[Outcomes]) -> Outcomes:
        """Outcomes of several batches, one after another."""
        return cls(**{field.name: torch.cat([getattr(part, field.name) for part in parts]) for field in fields(cls)})


def outcomes(judgement: SceneJudgement, expected: NamedScenes, protocol: CaptionAccuracyProtocol) -> Outcomes:
    """Compare what is seen with what is named, picture by picture.

    At a named place: ``place`` is right when anything is seen there; ``shape`` when the likeliest real shape is the one
    named, ``colour`` and ``size`` likewise. A picture is ``right`` when objects are seen at the named places and
    nowhere else, all with the named shape, colour and size, on the named background. ValueError for arrays that are
    not b scenes and b judgements of the protocol's board.
    """
    scene = {name: _ints(getattr(expected, name)) for name in ("num_objects", "background", *ATTRIBUTES)}
    _check(judgement, scene, protocol)
    named = scene["place"] >= 0
    at = scene["place"].clamp_min(0)

    def at_places(logits: Tensor) -> Tensor:
        best = logits.argmax(-1).cpu()
        return best.gather(1, at)

    seen = judgement.shape_logits.argmax(-1).cpu()
    wanted = _board(scene["place"], protocol.places)
    right = {
        "place": named & (seen.gather(1, at) > 0),
        "shape": named & (at_places(judgement.shape_logits[..., 1:]) == scene["shape"]),
        "colour": named & (at_places(judgement.colour_logits) == scene["colour"]),
        "size": named & (at_places(judgement.size_logits) == scene["size"]),
    }
    background = judgement.background_logits.argmax(-1).cpu() == scene["background"]
    objects = torch.stack([right[name] | ~named for name in ATTRIBUTES]).all(0).all(1)
    return Outcomes(
        right=objects & ((seen > 0) == wanted).all(1) & background, background=background, named=named, **right
    )


def caption_accuracy(result: Outcomes, protocol: CaptionAccuracyProtocol) -> list[Estimate]:
    """Shares in 0…1: whole captions, then background, place, shape, colour and size over the named objects.

    Intervals are Wilson's; the objects of one picture stand or fall together and count less where they do.
    """
    check_set(len(result))
    one = torch.ones(len(result), 1)
    pairs = {"caption": (result.right[:, None], one), "background": (result.background[:, None], one)}
    pairs |= {name: (getattr(result, name), result.named) for name in ATTRIBUTES}
    return [_share(f"{name} accuracy", *pair, protocol) for name, pair in pairs.items()]


@METRICS.register("caption-accuracy")
class CaptionAccuracy(ProtocolMetric[CaptionAccuracyProtocol]):
    """Caption accuracy over judgements and named scenes; keeps the outcome of every sample."""

    higher_is_better = True
    right: list[Tensor]

    def __init__(self, protocol: CaptionAccuracyProtocol = sprites.CAPTION_ACCURACY, **settings: object) -> None:
        super().__init__(protocol, **settings)
        for field in fields(Outcomes):
            whole = field.name in ("right", "background")
            self.add_rows(field.name, *(() if whole else (world.MAX_OBJECTS,)), dtype=torch.bool)

    def update(self, judgement: SceneJudgement, expected: NamedScenes) -> None:
        """Add the judgements of b pictures and the scenes their captions name."""
        for name, value in vars(outcomes(judgement, expected, self.protocol)).items():
            getattr(self, name).append(value.to(self.device))

    def outcomes(self) -> Outcomes:
        """The outcome of every sample so far, in order."""
        return Outcomes(**{field.name: gather(getattr(self, field.name)) for field in fields(Outcomes)})

    def compute(self) -> Tensor:
        """Share of pictures that are right as a whole, () float64."""
        right = gather(self.right)
        check_set(len(right))
        return right.double().mean()

    def _estimates(self) -> list[Estimate]:
        return caption_accuracy(self.outcomes(), self.protocol)


def _share(name: str, correct: Tensor, trials: Tensor, protocol: CaptionAccuracyProtocol) -> Estimate:
    per_sample, total = (values.sum(1).double().cpu().numpy() for values in (correct, trials))
    share = np.divide(per_sample, total, out=np.zeros_like(total), where=total > 0)
    return Estimate(
        name=name,
        protocol=protocol.id,
        value=float(per_sample.sum() / total.sum()),
        ci95=clustered_wilson(per_sample, total),
        n=int(total.sum()),
        higher_is_better=True,
        replicates=bootstrap_means(share, protocol.replicates, protocol.interval_seed, weights=total),
    )


def _board(place: Tensor, places: int) -> Tensor:
    """Whether an object is named there, (b, places) bool, from places (b, objects) with −1 for none."""
    beside = torch.where(place < 0, places, place)  # absent objects go to a column that is cut off
    return torch.zeros(len(place), places + 1, dtype=torch.bool).scatter(1, beside, True)[:, :places]


def _ints(values: Ints) -> Tensor:
    return torch.as_tensor(values).cpu()


def _check(judgement: SceneJudgement, scene: dict[str, Tensor], protocol: CaptionAccuracyProtocol) -> None:
    b, places = scene["place"].shape[0], protocol.places
    shapes = {
        "shape_logits": (b, places, 1 + protocol.shapes),
        "colour_logits": (b, places, protocol.colours),
        "size_logits": (b, places, protocol.sizes),
        "background_logits": (b, protocol.backgrounds),
    }
    for name, shape in shapes.items():
        logits: Tensor = getattr(judgement, name)
        if tuple(logits.shape) != shape:
            raise ValueError(f"{name}: expected {shape} for {b} scenes, got {tuple(logits.shape)}")
        if not bool(torch.isfinite(logits).all()):
            raise ValueError(f"{name}: expected finite numbers, got NaN or infinity; look at the pictures handed in")
    limits = {"place": places, "shape": protocol.shapes, "colour": protocol.colours, "size": protocol.sizes}
    named = scene["place"] >= 0
    for name, limit in {**limits, "background": protocol.backgrounds}.items():
        low = 0 if name == "background" else -1
        if int(scene[name].min()) < low or int(scene[name].max()) >= limit:
            raise ValueError(f"scenes: expected {name} in {low}…{limit - 1}, got {scene[name].unique().tolist()}")
        if name != "background" and not torch.equal(scene[name] >= 0, named):
            raise ValueError(
                f"scenes: expected {name} named for the same objects as place; use -1 for absent ones only"
            )
    if not torch.equal(named.sum(1), scene["num_objects"]):
        raise ValueError("scenes: expected num_objects to count the places that are not -1; take both from one scene")
    if not torch.equal(_board(scene["place"], places).sum(1), scene["num_objects"]):
        raise ValueError("scenes: expected one object at a place, got two; the judge has one answer for each place")
