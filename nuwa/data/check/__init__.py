"""``python -m nuwa.data check``: a dataset read whole, everything that is wrong with it named."""

from nuwa.data.check.command import CheckOptions, run
from nuwa.data.check.reading import check

__all__ = ["CheckOptions", "check", "run"]
