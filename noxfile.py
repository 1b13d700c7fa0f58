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
    _install(run, "pins", "--editable", ".[evaluation,video,data,import,reports]", *_group("dev"))
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


def python(run: nox.Session, *arguments: str, success_codes: tuple[int, ...] = (0,)) -> None:
    """Run the environment's Python."""
    run.run(str(PYTHON), *arguments, external=True, success_codes=success_codes)


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


TASKS = {
    "t2i": "Text to image",
    "s2i": "Sketch to image",
    "i2i": "Image completion",
    "ti2i": "Text-guided image manipulation",
    "t2v": "Text to video",
    "v2v": "Video prediction",
    "s2v": "Sketch to video",
    "tv2v": "Text-guided video manipulation",
}


def evaluate(task: str, title: str) -> None:
    """Define the session ``eval-<task>``."""

    def run_task(run: nox.Session) -> None:
        install(run)
        python(run, "-m", "evaluation", task, *run.posargs)
        if not {"-h", "--help"} & set(run.posargs):
            python(run, "-m", "reports", "run", out_of(run, f"runs/eval-{task}"))

    run_task.__doc__ = f"{title}: train what is missing, sample, score; record, table and report to runs/eval-{task}/."
    session(f"eval-{task}", default=False)(run_task)


for _task, _title in TASKS.items():
    evaluate(_task, _title)


@session("eval-all", default=False)
def eval_all(run: nox.Session) -> None:
    """All tasks from one checkpoint: train it once, score every task, one report in runs/eval-all/report/."""
    install(run)
    python(run, "-m", "evaluation", "all", *run.posargs)
    if not {"-h", "--help"} & set(run.posargs):
        python(run, "-m", "reports", "all", out_of(run, "runs/eval-all"))


ABLATIONS = {
    "attention": "Attention of encoder and decoder under equal budgets (Table 6)",
    "tasks": "Tasks that are learnt together (Table 5)",
    "tokenizer": "Tokenizers by their reconstructions (Table 4)",
    "design": "Extents of the window and stems of the decoder, which nobody has published",
}


def ablate(name: str, title: str) -> None:
    """Define the session ``ablate-<name>``."""

    def run_ablation(run: nox.Session) -> None:
        install(run, "cluster")
        python(
            run, "-m", "evaluation", f"ablate-{name}", *run.posargs, success_codes=(0, 3)
        )  # 3: the report says what is missing
        if not {"-h", "--help"} & set(run.posargs):
            python(run, "-m", "reports", "ablation", out_of(run, f"runs/ablate-{name}"))

    run_ablation.__doc__ = (
        f"{title}: cells that go on where they stopped; record, tables and figures to runs/ablate-{name}/."
    )
    session(f"ablate-{name}", default=False)(run_ablation)


for _name, _title in ABLATIONS.items():
    ablate(_name, _title)


@session("tokenize", default=False)
def tokenize(run: nox.Session) -> None:
    """Encode a dataset once into shards of tokens in runs/tokenize/; ``-- verify`` checks them, ``-- show`` describes them."""
    install(run)
    python(run, "-m", "nuwa.data.shards", *(run.posargs or ["--help"]))


@session("data", default=False)
def data(run: nox.Session) -> None:
    """Look at a dataset before it is used: ``-- check --data NAME --root DIR`` reads it whole and writes its manifest."""
    install(run)
    python(run, "-m", "nuwa.data", *run.posargs)


@session("train", default=False)
def train(run: nox.Session) -> None:
    """``-- run --preset NAME --out DIR`` trains (docs/training.md); ``-- plan --preset NAME --gpus N`` says what it takes."""
    install(run)
    python(run, "-m", "nuwa.training", *(run.posargs or ["--help"]))


@session("judges", default=False)
def judges(run: nox.Session) -> None:
    """Train the judges of sprites again by their recipe; ``-- --only video,segmenter`` trains some of them."""
    install(run)
    python(run, "-m", "evaluation.judges", *run.posargs)


@session("report", default=False)
def report(run: nox.Session) -> None:
    """Records to the paper's tables and figures in runs/report/; ``-- --compare A B`` sets two records side by side."""
    install(run)
    python(run, "-m", "reports", *run.posargs)


@session("bench", default=False)
def bench(run: nox.Session) -> None:
    """Time attention and decoding beside their peers, record and tables to runs/bench/; ``-- --quick`` takes minutes."""
    install(run, "peers")
    python(run, "-m", "benchmarks", *run.posargs)
    if not {"-h", "--help"} & set(run.posargs):
        python(run, "-m", "reports", "speed", out_of(run, "runs/bench"))
