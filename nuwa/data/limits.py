"""How much of a dataset may be broken before a run stops: a share, and the list of what is broken."""

from __future__ import annotations

from collections.abc import Sequence

from nuwa.data.captioned import Skipped

MAX_BROKEN = 0.05
"""Largest share of broken samples, where nothing else is permitted."""


class TooManyBroken(ValueError):  # noqa: N818 - it names the dataset's state
    """More than the permitted share of a dataset is broken; ``skipped`` lists what was found until then."""

    def __init__(self, name: str, skipped: Sequence[Skipped], total: int, limit: float) -> None:
        self.skipped = list(skipped)
        listed = "; ".join(f"{skip.id!r}: {skip.reason}" for skip in skipped[:50])
        more = f"; and {len(skipped) - 50} more" if len(skipped) > 50 else ""
        super().__init__(
            f"{name}: {len(skipped)} of {total} samples are broken, more than the permitted {limit:.0%}: {listed}{more}; "
            f"get them again, or permit more with max_broken"
        )


def guard(name: str, skipped: Sequence[Skipped], total: int, limit: float = MAX_BROKEN) -> None:
    """TooManyBroken where more than ``limit`` of ``total`` samples are among ``skipped``."""
    if len(skipped) > limit * total:
        raise TooManyBroken(name, skipped, total, limit)
