"""Frozen lists: which samples and captions a protocol is measured on, as a rule with a seed and a hash.

A rule looks at ids alone, those of the publisher's tables, whether their files are on this disk or not. So two users who
have the same tables get the same list, and its sha256 proves it: over the chosen ids, one a line, in order. The rank of an
id is the sha256 of ``<seed>/<id>``, which is the same in every language and needs no library.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Literal

from nuwa.data.readers.sample import Listing, Sample
from nuwa.registry import Registry

Rule = Literal["one caption a sample", "every sample"]


@dataclass(frozen=True)
class Choice:
    """What a list chooses: samples by id, in the order of the publisher's ids, with the caption for each, if any."""

    samples: tuple[str, ...]
    captions: tuple[int, ...]
    """Place of the chosen caption among the sample's, one for each sample; empty where the protocol needs none."""
    ids: tuple[str, ...]
    """Ids of the captions, or of the samples where there are none."""
    wanted: int

    @property
    def sha256(self) -> str:
        """Over the ids, one a line."""
        return hashlib.sha256("".join(f"{each}\n" for each in self.ids).encode("utf-8", "surrogateescape")).hexdigest()

    def report(self, usable: AbstractSet[str]) -> dict[str, Any]:
        """How much of it is on this disk."""
        here = sum(name in usable for name in self.samples)
        whole = (
            "" if len(self.samples) == self.wanted else f" of {self.wanted:,}: this is not the publisher's whole table"
        )
        return {
            "sha256": self.sha256,
            "number": len(self.ids),
            "usable": here,
            "summary": f"{len(self.ids):,}{whole}, {here:,} usable here, sha256 {self.sha256[:16]}",
        }


@dataclass(frozen=True, kw_only=True)
class FrozenList:
    """A list.

    Attributes:
        name: what a protocol calls it.
        dataset: name of the reader.
        version: version of the dataset, any where empty.
        split: split.
        number: how many samples.
        rule: ``one caption a sample``: the ``number`` samples whose caption of lowest rank is lowest, with that caption;
            ``every sample``: the first ``number``, without captions.
        seed: part of the rank.
    """

    name: str
    dataset: str
    version: str
    split: str
    number: int
    rule: Rule = "one caption a sample"
    seed: int = 0

    def choose(self, listing: Listing) -> Choice:
        """Apply the rule to all samples that the tables name."""
        named = (*listing.samples, *listing.missing)
        if self.rule == "every sample":
            names = tuple(sample.id for sample in named[: self.number])
            return Choice(names, (), names, self.number)
        best = sorted(self._best(sample) for sample in named if sample.captions)[: self.number]
        best.sort(key=lambda each: _order(each[2]))
        return Choice(
            samples=tuple(name for _, name, _, _ in best),
            captions=tuple(place for _, _, _, place in best),
            ids=tuple(identity for _, _, identity, _ in best),
            wanted=self.number,
        )

    def _best(self, sample: Sample) -> tuple[bytes, str, str, int]:
        """Rank, sample, id and place of its caption of lowest rank."""
        return min((*self._rank(sample.caption_id(place), sample.id), place) for place in range(len(sample.captions)))

    def _rank(self, identity: str, name: str) -> tuple[bytes, str, str]:
        digest = hashlib.sha256(f"{self.seed}/{identity}".encode("utf-8", "surrogateescape")).digest()
        return digest, name, identity


LISTS: Registry[FrozenList] = Registry("list")


def _add(name: str, dataset: str, version: str, split: str, number: int, rule: Rule = "one caption a sample") -> None:
    LISTS.add(name, FrozenList(name=name, dataset=dataset, version=version, split=split, number=number, rule=rule))


_add("coco-30k", "coco", "2014", "val", 30_000)  # text to image: 30,000 of the 40,504 photographs, as DALL-E and after
_add("coco-5k", "coco", "2017", "val", 5_000)  # sketch to image: every photograph of val2017
_add("msr-vtt-2990", "msr-vtt", "", "test", 2_990)  # text to video: every clip of test
_add("vatex-3000", "vatex", "", "validation", 3_000)
_add("bair-256", "bair", "", "test", 256, "every sample")  # video prediction: every clip of test, first 16 frames
_add("vspw-343", "vspw", "", "val", 343, "every sample")  # sketch to video


def lists_of(listing: Listing) -> Iterator[FrozenList]:
    """The lists over this split."""
    for name in LISTS:
        each = LISTS[name]
        if (each.dataset, each.split) == (listing.name, listing.split) and each.version in ("", listing.version):
            yield each


def _order(identity: str) -> tuple[int, str]:
    return (int(identity), "") if identity.isdecimal() else (0, identity)
