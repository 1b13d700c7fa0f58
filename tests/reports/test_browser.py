"""The page in a real browser: no errors on its console, its script has run, its pictures are on the screen."""

import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from reports.page import run_page
from reports.runs import read_run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the path (Debian: apt-get install chromium)")
ATTACK = '</p><script>document.title="owned";console.error("owned")</script><img src=x onerror=alert(1)>'
FLAGS = (
    *(
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-sync",
    ),
    *("--disable-component-update", "--disable-quic", "--hide-scrollbars", "--enable-logging=stderr"),
)


def chromium(folder, page, *flags):
    """What chromium writes to stdout, and the lines of the page's console."""
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", *flags, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout, re.findall(r".*CONSOLE.*", done.stderr)


@pytest.fixture(scope="module")
def page(tmp_path_factory, make_run, published):
    folder = tmp_path_factory.mktemp("page")
    path = folder / "index.html"
    run = make_run(folder / "run", captions={0: ATTACK})
    board = np.indices((32, 32)).sum(0)[..., None] % 2
    board = np.where(board, np.uint8((255, 0, 255)), np.uint8((0, 255, 0)))
    Image.fromarray(board).save(run / "samples" / "0000_real.png")
    path.write_text(run_page(read_run(run), published), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def loaded(page, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dom")
    flags = ("--window-size=1300,5200", f"--screenshot={folder / 'page.png'}")
    _, screen_console = chromium(folder, page, *flags)
    dom, console = chromium(folder, page, "--dump-dom")
    return dom, console + screen_console, np.array(Image.open(folder / "page.png").convert("RGB"))


def test_the_console_is_listened_to(tmp_path):
    path = tmp_path / "broken.html"
    path.write_text("<script>throw new Error('broken')</script>", encoding="utf-8")
    assert "broken" in "".join(chromium(tmp_path, path, "--dump-dom")[1])


def test_no_errors_on_the_console(loaded):
    assert loaded[1] == []


def test_the_script_has_run(loaded):
    dom = loaded[0]
    assert dom.count('class="sort"') == 9 + 7 + 3
    assert 'id="theme" class="quiet" aria-label="Use ' in dom


def test_a_script_in_a_caption_is_shown_and_not_run(loaded):
    dom = loaded[0]
    assert "<title>Text to image on sprites · NÜWA report</title>" in dom
    assert dom.count("<script>") == 1
    assert '&lt;/p&gt;&lt;script&gt;document.title="owned"' in dom


@pytest.mark.parametrize(
    "colour", [(214, 64, 58), (72, 161, 84), (62, 105, 209), (236, 197, 65), (30, 38, 66)], ids=str
)
def test_the_pictures_are_on_the_screen(loaded, colour):
    assert (loaded[2] == colour).all(-1).sum() > 2000


def test_pixels_are_enlarged_without_smoothing(loaded):
    red, green, blue = loaded[2].astype(int).transpose(2, 0, 1)
    board = (red == blue) & (red + green == 255) & (red != green)  # also what lies between magenta and green
    sharp = np.isin(red, (0, 255)) & board
    assert sharp.sum() > 10_000
    assert board.sum() < 1.02 * sharp.sum()


def test_the_curves_are_on_the_screen(loaded):
    blue, orange = (37, 99, 201), (194, 87, 12)
    assert all((loaded[2] == colour).all(-1).sum() > 200 for colour in (blue, orange))
