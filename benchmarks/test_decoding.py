"""Sampling by grid and by variant or mixture of variants: the diagonal schedule against one cell at a time.

Both orders use the same caches and must draw the same tokens; nuwa-pytorch's ``generate`` runs beside them. On a GPU the
decoder of the paper's size draws kernel by kernel and as CUDA graphs. Weights are random, which does not change the time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from benchmarks import peers
from benchmarks.ledger import Ledger, clocked
from benchmarks.problems import MEDIUM, PAPER, QUICK, SMALL, DecoderSizes
from evaluation.speed import Measurement, Times
from nuwa.attention import ATTENTION, Axial3D, Block3D, Full, Nearby3D, Pattern, axial_in_turn
from nuwa.grid import Grid
from nuwa.model.config import ModelSizes
from nuwa.model.layers import Condition
from nuwa.model.nuwa import Decoder, NuwaModel
from nuwa.sampling import CapturedDecoder, Sampling, decode, plan
from nuwa.tokenizers.text import TEXT_GRID

PATTERNS: dict[str, Pattern] = {
    **{name: ATTENTION[name]() for name in ATTENTION},
    "axial3d, one axis a layer": axial_in_turn(),
    "nearby3d + axial3d": (Nearby3D(), Axial3D()),
    "nearby3d + block3d": (Nearby3D(), Block3D()),
}
DIAGONAL, RASTER = "diagonal", "one by one"
QUICK_CELLS = 500
PEERS_GRID = Grid(5, 8, 8)


def sampler(
    pattern: Pattern, grid: Grid, sizes: DecoderSizes, ledger: Ledger
) -> tuple[Decoder, Callable[[bool], Tensor]]:
    """A decoder with random weights, and the drawing of one sample for a caption of 77 words, one by one or not."""
    torch.manual_seed(0)
    model = ModelSizes(
        d=sizes.d, num_heads=sizes.num_heads, encoder_layers=1, decoder_layers=sizes.layers, decoder_attention=pattern
    )
    made = NuwaModel(model.on(grid, num_codes=sizes.num_codes, vocab_size=1000)).to(ledger.device, ledger.dtype).eval()
    ids = torch.arange(1, TEXT_GRID.size + 1, device=ledger.device)[None]
    with torch.no_grad():
        condition = made.encoder.encode_text(ids, torch.ones_like(ids, dtype=torch.bool))

    def draw(one_by_one: bool) -> Tensor:
        return ledger.synchronised(lambda: decode(made.decoder, [condition], Sampling(), [0], one_by_one=one_by_one))()

    return made.decoder, draw


def rows(ledger: Ledger, name: str, grid: Grid, sizes: DecoderSizes) -> tuple[Measurement, Measurement]:
    """The rows of both orders without their times and steps."""
    row = ledger.untried(
        group="decoding", name=name, backend=DIAGONAL, direction="sampling", grid=grid.shape, setting=str(sizes)
    )
    return row, replace(row, backend=RASTER)


def measure(ledger: Ledger, benchmark: BenchmarkFixture, name: str, grid: Grid, sizes: DecoderSizes) -> None:
    """Draw one by one, once; draw along diagonals and compare the tokens; then time the latter."""
    benchmark.group = f"decoding, {grid}, {sizes}"
    decoder, draw = sampler(PATTERNS[name], grid, sizes, ledger)
    diagonal, raster = rows(ledger, name, grid, sizes)
    diagonal = replace(diagonal, steps=len(plan(decoder).order))
    raster = replace(raster, steps=len(plan(decoder, one_by_one=True).order))
    if ledger.options.quick and grid.size > QUICK_CELLS:
        reason = f"left out of a quick run: more than {QUICK_CELLS} cells"
        ledger.rows += [replace(row, not_run=reason) for row in (diagonal, raster)]
        pytest.skip(reason)
    first, first_s = clocked(lambda: draw(False))
    expected, raster_s = clocked(lambda: draw(True))
    differ = float((first != expected).double().mean())
    # In half precision a near tie may turn with the order of summation; there the share stands in the record.
    assert differ == 0 or ledger.dtype != torch.float32, f"{differ:.1%} of the tokens differ from one-by-one decoding"
    times = ledger.time(benchmark, lambda: draw(False), first_s)
    once = Times(median=raster_s, min=raster_s, max=raster_s, rounds=1, first=raster_s)
    ledger.rows.append(replace(diagonal, times=times, agreement=differ, not_run=None))
    ledger.rows.append(replace(raster, times=once, agreement=0.0, not_run=None))


def test_beside_nuwa_pytorch(benchmark: BenchmarkFixture, ledger: Ledger) -> None:
    """320 tokens of one sample, unguided, by both packages."""
    row = replace(
        rows(ledger, Nearby3D.name, PEERS_GRID, SMALL)[0],
        name=peers.NUWA_PYTORCH,
        peer=True,
        backend="generate",
        steps=PEERS_GRID.size,
        dtype="float32",
    )
    reason = peers.why_not_installed()
    if ledger.options.quick:
        reason = "left out of a quick run: it takes a minute"
    if reason is None:
        _, seconds = clocked(ledger.synchronised(peers.generator(PEERS_GRID, SMALL, ledger.device)))
        times = Times(median=seconds, min=seconds, max=seconds, rounds=1, first=seconds)
        ledger.rows.append(replace(row, times=times, not_run=None))
    else:
        ledger.rows.append(replace(row, not_run=reason))
    if ledger.options.quick:
        pytest.skip("left out of a quick run")
    measure(ledger, benchmark, Nearby3D.name, PEERS_GRID, SMALL)


@pytest.mark.parametrize("name", PATTERNS)
def test_orders(benchmark: BenchmarkFixture, ledger: Ledger, grid: Grid, name: str) -> None:
    measure(ledger, benchmark, name, grid, QUICK if ledger.options.quick else MEDIUM)


@torch.no_grad()
def decoder_of_the_paper(ledger: Ledger, grid: Grid, sizes: DecoderSizes) -> tuple[Decoder, Condition]:
    """A decoder whose random weights are made on the device, and a caption of 76 words and one of padding.

    With padding, both ways go through the same kernels, so that in half precision too they draw the same tokens.
    """
    torch.manual_seed(0)
    model = ModelSizes(d=sizes.d, num_heads=sizes.num_heads, decoder_layers=sizes.layers, decoder_attention=Nearby3D())
    with ledger.device:
        decoder = Decoder(model.on(grid, num_codes=sizes.num_codes, vocab_size=1000)).to(ledger.dtype).eval()
        memory = torch.randn(1, TEXT_GRID.size, sizes.d, dtype=ledger.dtype)
        valid = torch.arange(TEXT_GRID.size)[None] < TEXT_GRID.size - 1
    return decoder, Condition(grid=TEXT_GRID, spec=Full(), memory=memory, valid=valid)


@pytest.mark.parametrize("way", ["kernel by kernel", "CUDA graphs"])
def test_paper(benchmark: BenchmarkFixture, ledger: Ledger, grid: Grid, way: str) -> None:
    """One sample of the paper's decoder on a GPU; ``first`` is the time to warm up and to record all steps."""
    sizes = QUICK if ledger.options.quick else PAPER
    benchmark.group = f"decoding, {grid}, {sizes}"
    row = rows(ledger, f"{Nearby3D.name}, {way}", grid, sizes)[0]
    if ledger.device.type != "cuda":
        reason = "needs a CUDA device"
        ledger.rows.append(replace(row, not_run=reason))
        pytest.skip(reason)
    decoder, condition = decoder_of_the_paper(ledger, grid, sizes)
    row = replace(row, steps=len(plan(decoder).cells))
    arguments: tuple[list[Condition], Sampling, list[int]] = ([condition], Sampling(), [0])
    eager = partial(decode, decoder, *arguments)
    draw = eager if way == "kernel by kernel" else partial(CapturedDecoder(decoder).decode, *arguments)
    first, first_s = clocked(ledger.synchronised(draw))
    differ = float((first != eager()).double().mean())
    assert differ == 0 or ledger.dtype != torch.float32, f"{differ:.1%} of the tokens differ between the two ways"
    times = ledger.time(benchmark, draw, first_s)
    ledger.rows.append(replace(row, times=times, agreement=differ, not_run=None))
