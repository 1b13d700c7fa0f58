"""Evaluation sessions by task: ``python -m evaluation t2i``. A new one is one file with one ``SESSIONS.add``, imported here."""

from evaluation.sessions import files, i2i, s2i, s2v, t2i, t2v, ti2i, tv2v, v2v
from evaluation.sessions.base import SESSIONS, Run, Session, SessionOptions
from evaluation.sessions.ending import run_session
from evaluation.sessions.samples import Samples
from evaluation.sessions.table import Scorer, Table

__all__ = [
    "SESSIONS",
    "Run",
    "Samples",
    "Scorer",
    "Session",
    "SessionOptions",
    "Table",
    "files",
    "i2i",
    "run_session",
    "s2i",
    "s2v",
    "t2i",
    "t2v",
    "ti2i",
    "tv2v",
    "v2v",
]
