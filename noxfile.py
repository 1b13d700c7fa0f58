"""Everything one runs: ``nox -s NAME -- options``. ``nox --list`` shows the sessions."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nox

nox.options.sessions = ["lint", "typing", "tests"]
nox.needs_version = ">=2025.2"

ROOT = Path(__file__).parent
PYTHON = ROOT / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
PINS = ("pyproject.toml", "constraints.txt")


def session(name: str, **options: Any) -> Callable[..., Any]:
    """A session in the one shared environment: torch is 5 GB, so it is installed once and not once per session."""
    return nox.session(name=name, venv_backend="none", **options)


def install(run: nox.Session, *extra: str) -> None:
    """Make ``.venv``, or bring it up to the pins where they have changed; ``extra`` dependency groups come on top."""
    if not PYTHON.exists():
        run.run(sys.executable, "-m", "venv", ".venv", external=True)
    _install(run, "pins", "--editable", ".[evaluation,video,data,reports]", *_group("dev"))
    for group in extra:
        _install(run, f"pins-{group}", *_group(group))


def _group(name: str) -> list[str]:
    return list(nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), name))


def _install(run: nox.Session, name: str, *what: str) -> None:
    """Install under the pins, unless the stamp ``name`` says that it was done with these very pins."""
    wanted = hashlib.sha256(b"\0".join((ROOT / pins).read_bytes() for pins in PINS)).hexdigest()
    stamp = ROOT / ".venv" / name
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    run.run(str(PYTHON), "-m", "pip", "install", "--constraint", "constraints.txt", *what, external=True)
    stamp.write_text(wanted)


def python(run: nox.Session, *arguments: str) -> None:
    """Run the environment's Python."""
    run.run(str(PYTHON), *arguments, external=True)


def out_of(run: nox.Session, default: str) -> str:
    """Where the session writes: what was given with ``--out``, else ``default``."""
    for index, argument in enumerate(run.posargs):
        if argument == "--out" and index + 1 < len(run.posargs):
            return run.posargs[index + 1]
        if argument.startswith("--out="):
            return argument.removeprefix("--out=")
    return default


@session("tests")
def tests(run: nox.Session) -> None:
    """Run the tests, a process for every core; ``-- --slow`` adds those that train or sample for longer."""
    install(run)
    python(run, "-m", "pytest", "--numprocesses", "auto", "--dist", "loadfile", *run.posargs)


@session("lint")
def lint(run: nox.Session) -> None:
    """Check style and format with ruff."""
    install(run)
    python(run, "-m", "ruff", "check", *(run.posargs or ["."]))
    python(run, "-m", "ruff", "format", "--check", ".")


@session("typing")
def typing(run: nox.Session) -> None:
    """Check types with mypy."""
    install(run)
    python(run, "-m", "mypy", *run.posargs)


@session("eval-t2i", default=False)
def eval_t2i(run: nox.Session) -> None:
    """Text to image: train what is missing, sample, score, and write record, table and report to runs/eval-t2i/."""
    install(run)
    python(run, "-m", "evaluation", "t2i", *run.posargs)
    if not {"-h", "--help"} & set(run.posargs):
        python(run, "-m", "reports", "run", out_of(run, "runs/eval-t2i"))


@session("data", default=False)
def data(run: nox.Session) -> None:
    """Look at a dataset before it is used: ``-- check --data NAME --root DIR`` reads it whole and writes its manifest."""
    install(run)
    python(run, "-m", "nuwa.data", *run.posargs)


@session("judges", default=False)
def judges(run: nox.Session) -> None:
    """Train the judges of sprites again by their recipe; the shipped ones were made so."""
    install(run)
    python(run, "-m", "evaluation.judges", *run.posargs)


@session("report", default=False)
def report(run: nox.Session) -> None:
    """Records to the paper's tables and figures in runs/report/; ``-- compare A B`` sets two records side by side."""
    install(run)
    python(run, "-m", "reports", *(run.posargs or ["build"]))


@session("bench", default=False)
def bench(run: nox.Session) -> None:
    """Time attention and decoding beside their peers, record and tables to runs/bench/; ``-- --quick`` takes minutes."""
    install(run, "peers")
    python(run, "-m", "benchmarks", *run.posargs)
    if not {"-h", "--help"} & set(run.posargs):
        python(run, "-m", "reports", "speed", out_of(run, "runs/bench"))
