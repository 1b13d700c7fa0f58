"""A dataset encoded once: any number of writers, stopped and gone on at any moment, and always the same bytes."""

from __future__ import annotations

import multiprocessing
import os
import re
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import torch

from nuwa.data.captioned import CaptionedClips, Skipped, some
from nuwa.data.shards.claims import Claims
from nuwa.data.shards.damage import damage_of
from nuwa.data.shards.encode import Encoder, Samples
from nuwa.data.shards.layout import (
    PLAN,
    Plan,
    Receipt,
    read_plan,
    read_receipt,
    receipt_path,
    write_manifest,
    write_state,
)
from nuwa.data.shards.views import VIEWS
from nuwa.progress import progress
from nuwa.settings import differing
from nuwa.tokenizers.digest import weights_sha256
from nuwa.tokenizers.text import TextTokenizer
from nuwa.tokenizers.vqgan import VQGAN

MAX_BROKEN = 0.05


class MirroredCaptions(UserWarning):
    """Captions name a side and a view is mirrored: what they say is then wrong."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a call of :func:`write_shards` did. The folder is finished where ``elsewhere`` is empty."""

    made: tuple[int, ...]  # shards
    kept: tuple[int, ...]  # they were there, and their content is what their receipts say
    damaged: tuple[int, ...]  # of those in ``made``: they were there with another content
    elsewhere: tuple[int, ...]  # other processes are making them; the last one to end writes the manifest
    skipped: tuple[Skipped, ...]  # samples that are in no shard, those that the dataset left out among them
    truncated: int  # captions that lost words at the end of the 77 tokens
    unknown: int  # word pieces that the text tokenizer does not know


def write_shards(
    samples: Samples,
    tokenizer: VQGAN,
    folder: str | Path,
    *,
    text: TextTokenizer | None = None,
    views: Sequence[str] = ("centre",),
    samples_per_shard: int = 16_384,
    batch: int = 64,
    writers: int = 1,
    max_broken: float = MAX_BROKEN,
) -> Written:
    """Encode ``samples`` into ``folder``, or go on with what was begun there; finished shards are checked and kept.

    Args:
        samples: pictures or clips with ids and captions, of at least the tokenizer's ``size_px`` a side. Several writers
            need samples that can be pickled.
        tokenizer: on the device that is to encode.
        folder: where the shards go.
        text: makes the text ids; by default the smallest vocabulary for the captions.
        views: names in ``nuwa.data.shards.views.VIEWS``.
        samples_per_shard: what a killed writer loses at most. Some hundred shards are convenient.
        batch: frames that are encoded at once.
        writers: processes, each with one thread on a CPU. The bytes do not depend on it.
        max_broken: share of the samples that may be unreadable; they are named in the manifest.

    Raises:
        ValueError: the folder holds shards of something else, or more samples than ``max_broken`` cannot be read.
        StorageError: the disk refuses.
    """
    folder = Path(folder)
    text = text or TextTokenizer.from_captions(samples.captions)
    plan = make_plan(samples, tokenizer, text, views=views, samples_per_shard=samples_per_shard, batch=batch)
    _fix(folder, plan)
    _warn_of_sides(samples, views)
    claims = Claims(folder)
    try:
        kept, damaged, held = _check(folder, plan, claims)
        todo = [shard for shard in range(plan.num_shards) if shard not in kept and shard not in held]
        encoder = Encoder(folder=folder, plan=plan, samples=samples, tokenizer=tokenizer.eval(), text=text)
        broken = sum(len(receipt.skipped) for receipt in kept.values())
        made: dict[int, Receipt] = {}
        with progress(None, "tokenize", total=plan.num, unit="samples") as bar:
            bar.update(sum(len(plan.rows(shard)) for shard in kept))
            for shard, receipt in _run(encoder, todo, claims, writers):
                bar.update(len(plan.rows(shard)))
                if receipt is not None:
                    made[shard] = receipt
                    broken += len(receipt.skipped)
                _check_broken([*kept.values(), *made.values()], broken, plan, max_broken)
        return _finish(folder, plan, samples, kept, made, damaged)
    finally:
        claims.close()


def make_plan(
    samples: Samples, tokenizer: VQGAN, text: TextTokenizer, *, views: Sequence[str], samples_per_shard: int, batch: int
) -> Plan:
    """What the shards of ``samples`` will be."""
    device = tokenizer.codebook.codes.device
    return Plan(
        dataset=samples.name,
        version=samples.version,
        split=samples.split,
        fingerprint=samples.fingerprint,
        num=len(samples),
        tokenizer_sha256=weights_sha256(tokenizer),
        num_codes=tokenizer.config.num_codes,
        size_px=tokenizer.config.size_px,
        grid=tokenizer.config.grid(samples.frames if isinstance(samples, CaptionedClips) else 1).shape,
        views=tuple(views),
        text=text.to_dict(),
        vocab_size=text.vocab_size,
        samples_per_shard=samples_per_shard,
        batch=batch,
        device="cpu" if device.type == "cpu" else torch.cuda.get_device_name(device),
        torch=torch.__version__,
    )


def _fix(folder: Path, plan: Plan) -> None:
    """Write the plan down, or see that it is the one that was written."""
    begun = read_plan(folder)
    if begun is None:
        write_state(folder / PLAN, plan.to_dict())
    elif different := differing(begun.to_dict(), plan.to_dict()):
        raise ValueError(
            f"{folder} holds shards made with other settings ({', '.join(different)}); give these a folder of their own "
            "with --out, or remove that folder"
        )


def _check(folder: Path, plan: Plan, claims: Claims) -> tuple[dict[int, Receipt], list[int], list[int]]:
    """Finished shards by number, those that were damaged and are free to be made again, and those in other hands."""
    kept, damaged, held = {}, [], []
    there = [shard for shard in range(plan.num_shards) if receipt_path(folder, shard).exists()]
    for shard in progress(there, "check shards", unit="shards") if there else ():
        with claims.on(shard) as mine:
            receipt = read_receipt(folder, shard)
            if not mine:
                held.append(shard)
            elif receipt is not None and not damage_of(folder, plan, receipt):
                kept[shard] = receipt
            else:
                receipt_path(folder, shard).unlink(missing_ok=True)
                damaged.append(shard)
    return kept, damaged, held


def _run(encoder: Encoder, todo: Sequence[int], claims: Claims, writers: int) -> Iterator[tuple[int, Receipt | None]]:
    """Make the shards ``todo``, here or in processes of their own; None for those that another command is making."""
    if writers < 1:
        raise ValueError(f"writers: expected at least 1, got {writers}")
    if writers == 1 or len(todo) < 2:
        for shard in todo:
            yield shard, encoder.make(shard, claims)
        return
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
    pool = ProcessPoolExecutor(min(writers, len(todo)), context, _begin, (encoder,))
    try:
        jobs = {pool.submit(_make, shard): shard for shard in todo}
        for job in as_completed(jobs):
            yield jobs[job], job.result()
    except BrokenProcessPool as error:
        raise ChildProcessError(
            "a writer was killed, perhaps for want of memory; run the same command again, with fewer --writers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


_state: dict[str, Callable[[int], Receipt | None]] = {}  # of a writer's process


def _begin(encoder: Encoder) -> None:
    """Start of a writer's process: it opens the claims for itself, and ends with its parent."""
    threading.Thread(target=_end_with, args=(multiprocessing.parent_process(),), daemon=True).start()
    claims = Claims(encoder.folder)
    _state["make"] = lambda shard: encoder.make(shard, claims)


def _end_with(parent: multiprocessing.process.BaseProcess | None) -> None:
    if parent is not None:
        parent.join()
        os._exit(1)  # its parent was killed, so it is too: shards are whole or absent at any moment


def _make(shard: int) -> Receipt | None:
    return _state["make"](shard)


def _finish(
    folder: Path,
    plan: Plan,
    samples: Samples,
    kept: dict[int, Receipt],
    made: dict[int, Receipt],
    damaged: Sequence[int],
) -> Written:
    """Write the manifest where all receipts are there, also those of other processes."""
    receipts = {
        shard: kept.get(shard) or made.get(shard) or read_receipt(folder, shard) for shard in range(plan.num_shards)
    }
    found = [receipt for receipt in receipts.values() if receipt is not None]
    if len(found) == plan.num_shards:
        if not sum(receipt.num for receipt in found):
            raise ValueError(f"{folder}: expected samples that can be read, got none of {plan.num}")
        write_manifest(folder, plan, found, samples.skipped)
    return Written(
        made=tuple(sorted(made)),
        kept=tuple(sorted(kept)),
        damaged=tuple(damaged),
        elsewhere=tuple(shard for shard, receipt in receipts.items() if receipt is None),
        skipped=(*samples.skipped, *(skip for receipt in found for skip in receipt.skipped)),
        truncated=sum(receipt.truncated for receipt in found),
        unknown=sum(receipt.unknown for receipt in found),
    )


def _check_broken(receipts: Sequence[Receipt], broken: int, plan: Plan, max_broken: float) -> None:
    if broken > max_broken * plan.num:
        named = [f"{skip.id} ({skip.reason})" for receipt in receipts for skip in receipt.skipped]
        raise ValueError(
            f"{plan.dataset} {plan.split}: {broken} of {plan.num} samples cannot be read, more than {max_broken:.0%}: "
            f"{some(named)}; mend them, or allow more with --max-broken"
        )


def _warn_of_sides(samples: Samples, views: Sequence[str]) -> None:
    mirrored = [name for name in views if VIEWS[name].mirrored]
    if not mirrored:
        return
    sided = sum(bool(re.search(r"\b(left|right)\b", caption, re.IGNORECASE)) for caption in samples.captions)
    if sided:
        warnings.warn(
            f"{sided} of {len(samples)} captions name a side, left or right, and {', '.join(mirrored)} shows the other; "
            "leave the mirrored views out",
            MirroredCaptions,
            stacklevel=3,
        )
