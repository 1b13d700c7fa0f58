import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports import escape


@given(st.text())
def test_a_terminal_is_never_given_orders(text):
    shown = escape.plain(text)
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cs", "Co", "Cn")]
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\ufeff")
    assert "\n" not in shown


@given(st.text())
def test_foreign_text_can_always_be_written_to_a_file(text):
    shown = escape.visible(text)
    assert shown.encode("utf-8").decode("utf-8") == shown


@given(st.text())
def test_latex_is_ascii_or_latin_letters_without_live_specials(text):
    written = escape.latex(text)
    assert all(c.isascii() or "À" <= c <= "ÿ" for c in written)
    bare = written.replace(r"\%", "").replace(r"\#", "").replace(r"\&", "")
    assert not set(bare) & set("%#&~")


@pytest.mark.parametrize(
    ("text", "written"),
    [("*a", "{*}a"), ("[5pt]", "{[}5pt{]}"), ("a--b", "a-{}-{}b"), (r"\input{x}", r"\textbackslash{}input\{x\}")],
)
def test_latex_that_would_be_read_as_an_order(text, written):
    assert escape.latex(text) == written


@given(st.text())
def test_a_markdown_cell_stays_one_cell_without_tags(text):
    cell = escape.markdown(text)
    assert cell.replace("\\|", "").count("|") == 0
    assert "<" not in cell
    assert "\n" not in cell


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("[link](http://a)", r"\[link\](http:&#47;&#47;a)"),
        ("`x` _y_", r"\`x\` \_y\_"),
        ("a\nb", "a b"),
        ("&lt;", "&amp;lt;"),
    ],
)
def test_markdown_markup_is_shown_not_obeyed(text, written):
    assert escape.markdown(text) == written


@pytest.mark.parametrize(("text", "columns"), [("NÜWA", 4), ("NU\u0308WA", 4), ("女娲", 4), ("", 0)])
def test_width_counts_terminal_columns(text, columns):
    assert escape.width(text) == columns
