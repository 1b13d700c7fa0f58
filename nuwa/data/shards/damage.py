"""What is wrong with the files of a shard: by size at once, by sha256 when it is asked for."""

from __future__ import annotations

from pathlib import Path

from nuwa import files
from nuwa.data.captioned import some
from nuwa.data.shards.layout import Plan, Receipt, lines_path, read_manifest, records_path
from nuwa.progress import progress


def damage_of(folder: Path, plan: Plan, receipt: Receipt, *, content: bool = True) -> str | None:
    """The first fault of a shard, None where it is as its receipt says; without ``content`` by sizes alone."""
    if receipt.records_bytes - receipt.num * plan.record.itemsize < 0:
        return f"the receipt counts {receipt.num} samples, more than there are"
    for path, size, digest in (
        (records_path(folder, receipt.shard), receipt.records_bytes, receipt.records_sha256),
        (lines_path(folder, receipt.shard), receipt.lines_bytes, receipt.lines_sha256),
    ):
        if not path.is_file():
            return f"{path.name} is missing"
        if path.stat().st_size != size:
            return f"{path.name}: expected {size} bytes, got {path.stat().st_size}"
        if content and (got := files.sha256(path)) != digest:
            return f"{path.name}: expected sha256 {digest[:16]}…, got {got[:16]}…"
    return None


def verify(folder: str | Path) -> int:
    """Read every shard and compare it with the manifest; how many are whole. ValueError that names the damaged ones."""
    folder = Path(folder)
    plan, receipts, _ = read_manifest(folder)
    found = (damage_of(folder, plan, receipt) for receipt in progress(receipts, "verify shards", unit="shards"))
    faults = [fault for fault in found if fault is not None]
    if faults:
        raise ValueError(
            f"{folder}: {len(faults)} of {len(receipts)} shards are damaged: {some(faults)}; run the command that made "
            "them again, which makes these anew"
        )
    return len(receipts)
