"""``python -m nuwa.data.shards --help``: encode a dataset, check shards, say what they hold."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from nuwa.commands import Command, run_command
from nuwa.data.captioned import some
from nuwa.data.shards.damage import verify
from nuwa.data.shards.read import Shards
from nuwa.data.shards.sources import SOURCES, SourceOptions
from nuwa.data.shards.write import MAX_BROKEN, write_shards
from nuwa.errors import run_cli
from nuwa.registry import Registry
from nuwa.tokenizers.load import load_text, load_vqgan
from nuwa.training.precision import pick_device


@dataclass(frozen=True, kw_only=True)
class WriteOptions:
    """Encode a dataset once into shards, or go on where the last run stopped."""

    tokenizer: Path  # a tokenizer's weights, or a folder: a checkpoint, or a run such as runs/eval-t2i
    data: str = "sprites"  # sprites, sprites-clips, or a dataset of files by its reader's name
    root: Path | None = None  # folder of the dataset
    split: str = "train"
    num: int | None = None  # samples; all where not given
    frames: int = 5  # of a clip
    fps: float = 2.5  # frames a second that are read of clips of files
    text: Path | None = (
        None  # checkpoint folder whose text ids to use; the smallest vocabulary of the captions otherwise
    )
    views: tuple[str, ...] = ("centre",)  # such as: centre centre-mirrored top-left
    read_px: int | None = None  # side at which samples are read, for views to cut from; the tokenizer's where not given
    samples_per_shard: int = 16_384
    batch: int = 64  # frames that are encoded at once
    writers: int = 1  # processes
    max_broken: float = MAX_BROKEN  # share of the samples that may be unreadable
    device: str = "auto"  # auto, cpu or cuda
    out: Path = Path("runs/tokenize")


@dataclass(frozen=True, kw_only=True)
class FolderOptions:
    """A folder of shards."""

    folder: Path = Path("runs/tokenize")


class VerifyOptions(FolderOptions):
    """Read every shard and compare it with its sha256."""


class ShowOptions(FolderOptions):
    """Say what a folder of shards holds."""


def write(options: WriteOptions) -> None:
    """Write shards and say what came out."""
    tokenizer = load_vqgan(options.tokenizer).to(pick_device(options.device))
    size_px = options.read_px or tokenizer.config.size_px
    samples = SOURCES[options.data](
        SourceOptions(
            split=options.split,
            root=options.root,
            num=options.num,
            size_px=size_px,
            frames=options.frames,
            fps=options.fps,
        )
    )
    found = write_shards(
        samples,
        tokenizer,
        options.out,
        text=None if options.text is None else load_text(options.text),
        views=options.views,
        samples_per_shard=options.samples_per_shard,
        batch=options.batch,
        writers=options.writers,
        max_broken=options.max_broken,
    )
    print(f"{options.out}: {len(found.made)} shards made, {len(found.kept)} kept")
    if found.damaged:
        print(f"made again, since they were damaged: {some([f'{shard:05d}' for shard in found.damaged])}")
    if found.skipped:
        print(
            f"left out: {len(found.skipped)} samples: {some([f'{skip.id} ({skip.reason})' for skip in found.skipped])}"
        )
    if found.truncated or found.unknown:
        print(f"captions over 77 tokens, cut: {found.truncated}; unknown word pieces: {found.unknown}")
    if found.elsewhere:
        print(f"{len(found.elsewhere)} shards are being made by other commands; the last to end writes the manifest")


def check(options: VerifyOptions) -> None:
    """Verify shards."""
    print(f"{options.folder}: {verify(options.folder)} shards are whole")


def show(options: ShowOptions) -> None:
    """Print what there is."""
    shards = Shards(options.folder)
    plan = shards.plan
    size = sum(receipt.records_bytes + receipt.lines_bytes for receipt in shards.receipts)
    for name, value in {
        "dataset": f"{plan.dataset} {plan.version} {plan.split} ({plan.fingerprint[:16]})",
        "samples": f"{len(shards):,} in {plan.num_shards} shards, {len(shards.skipped)} left out",
        "tokens": f"{shards.grid} of {plan.num_codes} codes, {plan.record['tokens'].base}",
        "views": ", ".join(shards.views),
        "text": f"{plan.vocab_size} ids, {plan.record['text'].base}",
        "tokenizer": plan.tokenizer_sha256,
        "size": f"{size / 2**20:,.1f} MiB",
        "fingerprint": shards.fingerprint,
    }.items():
        print(f"{name:12} {value}")


COMMANDS: Registry[Command] = Registry("command")
COMMANDS.add("write", (WriteOptions, write))
COMMANDS.add("verify", (VerifyOptions, check))
COMMANDS.add("show", (ShowOptions, show))


def main(arguments: list[str]) -> None:
    """Run the command that comes first among ``arguments``; options alone are those of ``write``."""
    run_command("python -m nuwa.data.shards", COMMANDS, arguments, default="write")


if __name__ == "__main__":
    sys.exit(run_cli(main))
