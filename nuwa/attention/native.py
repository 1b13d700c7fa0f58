"""C++ that is compiled where it is used: one file, a few seconds once per machine, loaded without Python's headers."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import threading
import warnings
from functools import lru_cache
from pathlib import Path

from nuwa.files import StorageError, atomic

FLAGS = (
    *("-std=c++17", "-O3", "-march=native", "-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math"),
    *("-shared", "-fPIC", "-pthread"),
)
_LOCK = threading.Lock()  # two threads of one process would compile into one temporary file
NO_COMPILER = "it needs a C++ compiler, and neither $CXX nor g++ names one"


class NativeWarning(UserWarning):
    """A compiler is there and could not be used; what it would have made runs through another backend."""


def library(source: Path) -> ctypes.CDLL | str:
    """The compiled ``source``, or why there is none, in a few words.

    The compiler's work is kept in the user's cache folder under a digest of the source, the flags, the compiler and the
    processor, and made again when one of them changes. NativeWarning, once, where a compiler that is there fails.
    """
    with _LOCK:
        return _library(source)


@lru_cache
def _library(source: Path) -> ctypes.CDLL | str:
    found = compiler()
    if found is None:
        return NO_COMPILER
    try:
        version = subprocess.run([found, "--version"], capture_output=True, check=True).stdout
        parts = (source.read_bytes(), " ".join(FLAGS).encode(), version, _processor().encode())
        digest = hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
        path = cache_folder() / f"{source.stem}-{digest}.so"
        if not path.exists():
            with atomic(path) as temporary:
                command = [found, *FLAGS, str(source), "-o", str(temporary)]
                subprocess.run(command, capture_output=True, check=True, text=True)
        return ctypes.CDLL(str(path))
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().splitlines() if isinstance(error.stderr, str) else []
        reason = f"{found} could not compile {source.name}{f': {said[0]}' if said else ''}"
    except (OSError, StorageError) as error:
        reason = f"{source.name} could not be compiled and loaded: {error}"
    warnings.warn(reason, NativeWarning, stacklevel=3)
    return reason


@lru_cache(maxsize=1)
def compiler() -> str | None:
    """Where the C++ compiler is, which is also the one that PyTorch would call: $CXX, else g++."""
    return shutil.which(os.environ.get("CXX", "g++"))


def cache_folder() -> Path:
    """Where compiled files are kept: $XDG_CACHE_HOME/nuwa, else ~/.cache/nuwa."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nuwa"


def _processor() -> str:
    """What tells processors apart whose machine code may differ: a shared home folder serves several."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.exists() else []
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())
