"""Tokens out: exact diagonal decoding, and the filters between logits and tokens."""

from nuwa.sampling.decode import decode
from nuwa.sampling.graphs import CapturedDecoder
from nuwa.sampling.inputs import Sampling
from nuwa.sampling.plan import Plan, plan
from nuwa.sampling.schedule import schedule

__all__ = ["CapturedDecoder", "Plan", "Sampling", "decode", "plan", "schedule"]
