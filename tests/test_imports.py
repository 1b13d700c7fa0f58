"""The house rules that a parser can check: imports point one way, the library stays light, files stay short."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("nuwa", "evaluation", "reports", "benchmarks", "tests")
ALLOWED = {
    "nuwa": {"nuwa"},
    "evaluation": {"nuwa", "evaluation"},
    "reports": {"nuwa", "evaluation", "reports"},
    "benchmarks": {"nuwa", "evaluation", "benchmarks"},
    "tests": set(PACKAGES) - {"benchmarks"},
}
EVALUATION = ("torchvision", "torchmetrics", "torch_fidelity", "scipy", "pandas", "matplotlib", "jinja2")
DATA = ("av", "torchcodec", "pycocotools", "h5py", "tfrecord", "crc32c", "google")
HEAVY = (*EVALUATION, *DATA, "yaml", "diffusers")
OPTIONAL = {  # nothing in the library imports these by itself
    "nuwa/data/coco_segments.py": {"pycocotools"},
    "nuwa/data/video.py": {"av"},  # inside a function
    "nuwa/data/video_torchcodec.py": {"torchcodec"},  # inside a function
    "nuwa/data/readers/hdf5.py": {"h5py"},
    "nuwa/data/readers/tfrecords.py": {"tfrecord", "crc32c", "google"},
    "nuwa/tokenizers/importing/command.py": {"yaml"},  # inside a function
}
FILES = sorted(path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Full names of all modules that a file imports, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:  # a relative import stays in its package
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_point_one_way(path: Path) -> None:
    ours = {name.partition(".")[0] for name in imported(path)} & set(PACKAGES)
    assert ours <= ALLOWED[path.parts[0]]


@pytest.mark.parametrize("path", [path for path in FILES if path.parts[0] == "nuwa"], ids=str)
def test_the_library_needs_no_extra(path: Path) -> None:
    extras = {name.partition(".")[0] for name in imported(path)} & set(HEAVY)
    assert extras == OPTIONAL.get(str(path), set())


@pytest.mark.parametrize("path", FILES, ids=str)
def test_files_are_short(path: Path) -> None:
    assert len((ROOT / path).read_text(encoding="utf-8").splitlines()) <= 500


def test_importing_the_library_loads_no_extra() -> None:
    ours = "nuwa, nuwa.training.prepare, nuwa.data.listed, nuwa.data.check, nuwa.tokenizers.importing.command"
    code = f"import sys, {ours}; print([name for name in {HEAVY} if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
