"""Words to tokens: CLIP's byte-pair encoding, with ids only for the pieces that are in use.

The encoding is that of CLIP (Radford et al., 2103.00020), code and merges from clip-anytorch: text mended by ftfy, HTML
entities resolved, lower case, at most 77 tokens with ``<start>`` and ``<end>``. CLIP's 49,408 rows would be most of a
small model's parameters, so a vocabulary holds the pieces of its captions alone.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from nuwa.grid import Grid

TEXT_GRID = Grid(77, 1, 1)
"""Words lie along the time axis; 77 tokens with ``<start>`` and ``<end>``, as in CLIP."""

NO_WORDS = "None"
"""What stands for the text where a task has none (V2V): the constant word of the paper. In every vocabulary."""

_ENCODING = "clip-bpe-16e6"
_PAD, _UNKNOWN = 0, 1


class UnknownWordsWarning(UserWarning):
    """A caption holds words that no training caption had, so the model cannot follow them."""


@dataclass(frozen=True, kw_only=True)
class TextBatch:
    """Captions as tokens, and what did not fit."""

    ids: Tensor
    """(b, 77) int64 in [0, vocab_size); 0 after the end."""
    valid: Tensor
    """(b, 77) bool: True from ``<start>`` to ``<end>``."""
    truncated: tuple[int, ...]
    """Rows whose caption was longer than 77 tokens and lost its last words."""
    unknown: int
    """Number of ``<unk>`` in ``ids``."""


class TextTokenizer:
    """CLIP's byte-pair encoding over a closed set of pieces.

    Ids: 0 padding, 1 ``<unk>``, then the pieces in the order given, ``<start>`` and, highest of all, ``<end>``: CLIP's
    model class finds the end of a text by argmax over its ids. A caption that spells ``<|endoftext|>`` gets an ordinary
    piece for it.

    Args:
        pieces: distinct pieces of CLIP's vocabulary, such as ``"red</w>"``; usually from :meth:`from_captions`.

    >>> tokenizer = TextTokenizer.from_captions(["a red circle", "a blue circle"])
    >>> tokenizer.vocab_size
    9
    >>> tokenizer.encode(["a RED circle"]).ids[0, :6].tolist()
    [7, 2, 6, 4, 8, 0]
    """

    def __init__(self, pieces: Sequence[str]) -> None:
        foreign = [piece for piece in pieces if piece not in clip_bpe().encoder]
        if foreign:
            raise ValueError(f"expected pieces of CLIP's vocabulary, got {foreign[0]!r}; make them with from_captions")
        if len(set(pieces)) != len(pieces):
            raise ValueError("expected distinct pieces, got one twice; make them with from_captions")
        self.pieces = tuple(pieces)
        self._ids = {piece: number for number, piece in enumerate(self.pieces, start=2)}
        self._words: dict[str, list[int]] = {}

    @classmethod
    def from_captions(cls, captions: Iterable[str]) -> TextTokenizer:
        """The smallest vocabulary for ``captions``, sorted, so their order and number do not matter."""
        words = {word for caption in captions for word in _split(caption)} | set(_split(NO_WORDS))
        return cls(sorted({piece for word in words for piece in _bpe_pieces(word)}))

    @property
    def vocab_size(self) -> int:
        """Number of ids ``v``, the four special ones among them."""
        return len(self.pieces) + 4

    @property
    def start(self) -> int:
        """Id of ``<start>``."""
        return self.vocab_size - 2

    @property
    def end(self) -> int:
        """Id of ``<end>``, the highest."""
        return self.vocab_size - 1

    def encode(self, captions: Sequence[str]) -> TextBatch:
        """Tokens of ``captions``; one that is too long keeps ``<end>`` and is listed in ``truncated``.

        ValueError where a caption has no words: that is a fault of the data, and guidance asks for :meth:`null`.
        """
        if isinstance(captions, str):
            raise ValueError(f"expected a sequence of captions, got one text {captions!r}; put it in a list")
        return self._batch([self._inner(row, caption) for row, caption in enumerate(captions)])

    def unknown_words(self, captions: Sequence[str]) -> list[str]:
        """Words of ``captions``, each once, that hold a piece which no caption of the vocabulary had.

        >>> TextTokenizer.from_captions(["a red circle"]).unknown_words(["a red zebra", "a zebra"])
        ['zebra']
        """
        words = dict.fromkeys(word for caption in captions for word in _split(caption))
        return [word for word in words if _UNKNOWN in self._word(word)]

    def null(self, b: int = 1) -> TextBatch:
        """``b`` times the empty text, ``<start> <end>``: the condition dropped for classifier-free guidance."""
        return self._batch([[] for _ in range(b)])

    def to_dict(self) -> dict[str, Any]:
        """All that :meth:`from_dict` needs, ready for JSON."""
        return {"encoding": _ENCODING, "length": TEXT_GRID.size, "pieces": list(self.pieces)}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> TextTokenizer:
        """Inverse of :meth:`to_dict`. ValueError for another encoding or length, unknown or missing keys."""
        if state.keys() != {"encoding", "length", "pieces"}:
            raise ValueError(
                f"text tokenizer: expected the keys encoding, length, pieces, got {', '.join(sorted(state))}"
            )
        if (state["encoding"], state["length"]) != (_ENCODING, TEXT_GRID.size):
            got = f"{state['encoding']} with {state['length']} tokens"
            raise ValueError(
                f"text tokenizer: expected {_ENCODING} with {TEXT_GRID.size} tokens, got {got}; train again"
            )
        return cls(state["pieces"])

    def _inner(self, row: int, caption: str) -> list[int]:
        words = _split(caption)
        if not words:
            raise ValueError(
                f"caption {row} ({caption!r}) has no words; leave it out, or use null() for the empty text"
            )
        return [number for word in words for number in self._word(word)]

    def _word(self, word: str) -> list[int]:
        ids = self._words.get(word)
        if ids is None:
            ids = self._words[word] = [self._ids.get(piece, _UNKNOWN) for piece in _bpe_pieces(word)]
        return ids

    def _batch(self, inner: list[list[int]]) -> TextBatch:
        length = TEXT_GRID.size
        ids = torch.full((len(inner), length), _PAD)
        table = ids.numpy()
        for row, tokens in enumerate(inner):
            kept = tokens[: length - 2]
            table[row, : len(kept) + 2] = [self.start, *kept, self.end]
        used = torch.tensor([min(len(tokens) + 2, length) for tokens in inner], dtype=torch.int64)
        return TextBatch(
            ids=ids,
            valid=torch.arange(length) < used[:, None],
            truncated=tuple(row for row, tokens in enumerate(inner) if len(tokens) > length - 2),
            unknown=int((ids == _UNKNOWN).sum()),
        )


def words_in(ids: Tensor) -> Tensor:
    """Where ids (b, 77) are those of a text, bool (b, 77): ``TextBatch.valid``, since padding stands behind the end alone."""
    return ids != _PAD


def clean(caption: str) -> str:
    """``caption`` as CLIP reads it: mended, unescaped, single spaces, lower case; ``''`` where nothing is left.

    >>> clean(" A  caf&eacute; ")
    'a café'
    """
    if _PLAIN.fullmatch(caption):
        return " ".join(caption.split()).lower()
    module = _clip_tokenizer()
    return str(module.whitespace_clean(module.basic_clean(caption))).lower()


_PLAIN = re.compile(
    r"[ -%'-~]*"
)  # ASCII that prints, without &: nothing to mend or to unescape, and ftfy's search is slow


def num_tokens(caption: str) -> int:
    """How many tokens CLIP needs for a caption, with its start and end; it reads no more than 77.

    >>> num_tokens("a red bus")
    5
    """
    return sum(len(_bpe_pieces(word)) for word in _split(caption)) + 2


def _split(caption: str) -> list[str]:
    return list(clip_bpe().pat.findall(clean(caption)))


@lru_cache(maxsize=1 << 16)
def _bpe_pieces(word: str) -> tuple[str, ...]:
    bpe = clip_bpe()
    return tuple(bpe.bpe("".join(bpe.byte_encoder[byte] for byte in word.encode("utf-8"))).split(" "))


@cache
def clip_bpe() -> Any:
    """CLIP's ``SimpleTokenizer``: its 49,408 pieces (``encoder``) and ``encode``, caption to ids."""
    return _clip_tokenizer().SimpleTokenizer()


@cache
def _clip_tokenizer() -> ModuleType:
    """clip-anytorch's simple_tokenizer.py alone: the package around it imports torchvision and pkg_resources."""
    path = importlib.metadata.distribution("clip-anytorch").locate_file("clip/simple_tokenizer.py")
    spec = importlib.util.spec_from_file_location("nuwa_clip_simple_tokenizer", str(path))
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {path}; install clip-anytorch again")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
