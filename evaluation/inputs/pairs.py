"""Two sources as pairs of samples with one id, for metrics that compare a picture with its original."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch

from evaluation.inputs.source import Loaded, Source, Unit
from nuwa.data.captioned import some
from nuwa.data.images import UnreadableImage


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A generated picture and the real one of the same id."""

    id: str
    generated: Unit
    real: Unit
    size: int = 1

    def digest(self) -> str:
        """sha256 over the digests of both."""
        return hashlib.sha256(f"{self.generated.digest()} {self.real.digest()}".encode()).hexdigest()

    def load(self) -> Loaded:
        """Both as (2, 3, h, w), the generated one first. UnreadableImage where their sizes differ."""
        (_, generated), (_, real) = self.generated.load().samples[0], self.real.load().samples[0]
        if generated.shape != real.shape:
            sizes = f"{tuple(generated.shape[-2:])} and {tuple(real.shape[-2:])}"
            raise UnreadableImage(self.id, f"the two pictures have sizes {sizes}")
        return Loaded.one(self.id, torch.stack([generated, real]))


def pairs(generated: Source, real: Source) -> Source:
    """The samples of both sources by id, in the order of ``generated``. ValueError where an id has no counterpart.

    Endings do not count: ``a.png`` is compared with ``a.jpg``.
    """
    ours, theirs = _by_id(generated), _by_id(real)
    if missing := [name for name in ours if name not in theirs]:
        raise ValueError(
            f"pairs: {len(missing)} of {len(ours)} pictures of {generated.name} have no counterpart in {real.name}: "
            f"{some(missing)}; give both the same names"
        )
    units = [Pair(id=name, generated=unit, real=theirs[name]) for name, unit in ours.items()]
    return Source(
        f"{generated.name} and {real.name}",
        units,
        form="pairs",
        kind="pairs",
        skipped=[*generated.skipped, *real.skipped],
        threads=generated.threads and real.threads,
        workers=generated.workers,
    )


def _by_id(source: Source) -> dict[str, Unit]:
    if not isinstance(source.units, list) or any(unit.size != 1 for unit in source.units):
        raise ValueError(f"pairs: expected pictures that can be found by name, got {source.form} {source.name}")
    found: dict[str, Unit] = {}
    for unit in source.units:
        name = unit.id.rpartition(".")[0] or unit.id
        if name in found:
            raise ValueError(f"pairs: {source.name} has two pictures called {name}; keep one of them")
        found[name] = unit
    return found
