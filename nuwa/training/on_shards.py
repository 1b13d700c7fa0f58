"""Training on tokens: the sources of a training encoded once, or as they were encoded before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from nuwa.data.captioned import Captioned
from nuwa.data.shards.layout import MANIFEST
from nuwa.data.shards.read import Shards
from nuwa.data.shards.stream import ShardStream
from nuwa.data.shards.write import write_shards
from nuwa.data.sources import Source
from nuwa.tasks import Target
from nuwa.tokenizers.text import TextTokenizer
from nuwa.tokenizers.vqgan import VQGAN
from nuwa.training.distributed import world


def open_shards(
    sources: Mapping[Target, Source], folder: Path, tokenizer: VQGAN, text: TextTokenizer
) -> dict[Target, Shards]:
    """Shards of every source, made of its samples where there is no whole set yet.

    Those of a training of pictures lie in ``folder``, otherwise in ``folder/picture`` and ``folder/clip``. ``text`` makes
    the text ids of new ones. ValueError where there are none and nothing to make them of, or several processes that all
    would; where another tokenizer made them, where they are of another dataset or split (which may hold what is tested
    on), or where their text ids differ.
    """
    found: dict[Target, Shards] = {}
    for target, source in sources.items():
        home = folder / target if len(sources) > 1 else folder
        if not (home / MANIFEST).exists():
            if source.samples is None or world() > 1:
                raise ValueError(f"{home}: expected finished shards, got none; make them with nox -s tokenize")
            write_shards(source.samples, tokenizer, home, text=text)
        found[target] = Shards(home, tokenizer)
        if source.samples is not None:
            _check_data(home, found[target], source.samples)
    first, *others = found.values()
    if any(other.plan.text != first.plan.text for other in others):
        raise ValueError(
            f"{folder}: expected shards with the same text ids, got those of different vocabularies; remove one set, so "
            "that it is made again"
        )
    return found


def on_shards(sources: Mapping[Target, Source], shards: Mapping[Target, Shards], seed: int) -> dict[Target, Source]:
    """The sources, read from their shards."""
    return {target: replace(source, shards=ShardStream(shards[target], seed)) for target, source in sources.items()}


def _check_data(folder: Path, shards: Shards, samples: Captioned) -> None:
    wanted, got = (samples.name, samples.split), (shards.plan.dataset, shards.plan.split)
    if wanted != got:
        raise ValueError(
            f"{folder}: expected shards of {wanted[0]} {wanted[1]}, which is trained on, got those of {got[0]} {got[1]}; name "
            "a folder that has none yet, so that they are made"
        )
