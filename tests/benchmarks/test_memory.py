"""What becomes of freed memory, as the system counts it: pages that had to be filled for a process."""

from __future__ import annotations

import subprocess
import sys

import pytest

PAGES_OF_ONE = 2**25 * 4 // 4096
SCRIPT = """
import resource, sys, torch
from benchmarks.memory import keep_freed

if sys.argv[1] == "kept" and not keep_freed():
    print("no glibc")
    sys.exit()
filled = []
for _ in range(16):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(2**25)
    filled.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(sum(filled[12:]) / 4)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's settings")
@pytest.mark.parametrize("how", ["kept", "returned"])
def test_freed_memory_is_used_again_where_it_is_kept(how: str) -> None:
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True
    ).stdout.strip()
    if found == "no glibc":
        pytest.skip("another C library than glibc")
    assert float(found) < PAGES_OF_ONE / 100 if how == "kept" else float(found) > PAGES_OF_ONE / 2
