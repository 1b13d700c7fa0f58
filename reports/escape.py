"""Foreign text made safe: row names and captions on their way into LaTeX, Markdown and a terminal.

Captions and names come from data, so every writer passes them through here; HTML has jinja2's autoescape instead. What
cannot be shown is replaced by its visible code point, never dropped.
"""

from __future__ import annotations

import re
import unicodedata

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "-": "-{}",  # no ligature: two hyphens stay two hyphens
    "*": "{*}",  # at the start of a table row * and [ would be read as arguments of the line break before
    "[": "{[}",
    "]": "{]}",
    "×": r"$\times$",
    "÷": r"$\div$",
    "·": r"$\cdot$",
    "±": r"$\pm$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "→": r"$\rightarrow$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "∞": r"$\infty$",
    "²": r"$^2$",
    "³": r"$^3$",
    "−": "$-$",
    "–": "--",
    "—": "---",
    "†": r"\textdagger{}",
    "‡": r"\textdaggerdbl{}",
    "…": r"\dots{}",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
}


def latex(text: str) -> str:
    """``text`` as LaTeX that pdflatex prints with T1 fonts and ``textcomp``, on one line.

    >>> print(latex("50% of $x_i$ × 2"))
    50\\% of \\$x\\_i\\$ $\\times$ 2
    >>> print(latex("a 🐸"))
    a {[}U+1F438{]}
    """
    return "".join(_LATEX.get(char) or _latex_char(char) for char in one_line(text))


def _latex_char(char: str) -> str:
    if char.isascii() or "À" <= char <= "ÿ":
        return char
    return f"{{[}}U+{ord(char):04X}{{]}}"


def markdown(text: str) -> str:
    """``text`` as one cell of a GitHub table: no markup, no link, no second cell.

    >>> print(markdown("a|b <script> *c*"))
    a\\|b &lt;script&gt; \\*c\\*
    """
    text = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_~|\[\]#$@])", r"\\\1", text).replace("://", ":&#47;&#47;")


def plain(text: str) -> str:
    """``text`` for a terminal: control and direction-changing characters shown by code point, not obeyed.

    >>> print(plain("red\\x1b[31m"))
    red[U+001B][31m
    """
    return one_line(text)


def one_line(text: str) -> str:
    """``text`` on one line: white space becomes single spaces, and all of it is :func:`visible`."""
    return visible(" ".join(unicodedata.normalize("NFC", text).split()))


def visible(text: str) -> str:
    """``text`` with the code point in place of characters that act instead of being seen.

    Those are control characters, half surrogates and the marks that turn the writing direction; white space and the
    joiners that emoji and several scripts need stay.

    >>> visible("a\u202eb")
    'a[U+202E]b'
    """
    return "".join(
        f"[U+{ord(char):04X}]" if unicodedata.category(char)[0] == "C" and char not in "\n\t\u200c\u200d" else char
        for char in text
    )


def width(text: str) -> int:
    """Columns ``text`` takes on a terminal: wide characters take two, combining ones none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )
