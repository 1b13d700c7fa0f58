"""Tokenizers that others have trained: their weights in this suite, by name, or refused with a list of what does not fit.

``python -m nuwa.tokenizers import --from taming --weights last.ckpt --config model.yaml --out runs/vqgan-f16`` writes a folder
that :func:`nuwa.tokenizers.load.load_vqgan` reads, and with it ``nox -s tokenize`` and trainings. A new layout is one file with
one ``LAYOUTS.add``, imported here.
"""

from nuwa.tokenizers.importing import diffusers, llamagen, taming
from nuwa.tokenizers.importing.convert import LAYOUTS, Layout, convert
from nuwa.tokenizers.importing.read import read_weights

__all__ = ["LAYOUTS", "Layout", "convert", "diffusers", "llamagen", "read_weights", "taming"]
