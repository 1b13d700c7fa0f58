"""The Triton kernels of :mod:`nuwa.attention.nearby_triton`: nearby attention on one grid, forward and backward.

A program takes one tile of one head and goes through the box of the tile (:mod:`nuwa.attention.tiles`) block by block. In
``forward`` the rows of a program are queries and the columns keys, with an online softmax in float32 (arXiv 2205.14135).
``backward`` is one launch of two kinds of programs that alternate, so that they share what is in the cache: the gradient of
a tile of queries from the box of keys that they see, and those of a tile of keys from the box of queries that see them. No
sum is shared between programs, so results are the same in every run. All exponents are to base 2.

Names: a ``cell`` is a position in raster order, a ``place`` the coordinates of a cell in the box, packed into one number.
"""

# mypy: disable-error-code=no-untyped-def
# Arguments of kernels are pointers, numbers and constants, none of which Python has a type for.

from __future__ import annotations

import triton
import triton.language as tl

LOG2_E = tl.constexpr(1.4426950408889634)
SIGN = tl.constexpr(-(2**31))
RUNTIME = ["T", "H", "W"]  # one compilation for all grids; strides stay specialised, for wide loads


@triton.jit
def _origin(first, before: tl.constexpr, box: tl.constexpr, length):
    """Where a box begins along an axis: as far before the tile as the window reaches, moved inside the grid."""
    return tl.minimum(tl.maximum(first - before, 0), length - box)


@triton.jit
def _tile(index, H, W, TT: tl.constexpr, TH: tl.constexpr, TW: tl.constexpr):
    """The first cell of a tile; tiles run in raster order."""
    along_h, along_w = tl.cdiv(H, TH), tl.cdiv(W, TW)
    line = index // along_w
    return line // along_h * TT, line % along_h * TH, index % along_w * TW


@triton.jit
def _rows(
    t0, h0, w0, bt, bh, bw, T, H, W,
    TH: tl.constexpr, TW: tl.constexpr, FIELD_H: tl.constexpr, FIELD_W: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Cells of the tile from (t0, h0, w0) on, their places in the box from (bt, bh, bw) on, and which are in the grid."""
    i = tl.arange(0, ROWS)
    t, h, w = t0 + i // (TH * TW), h0 + i // TW % TH, w0 + i % TW
    place = ((t - bt) * FIELD_H + h - bh) * FIELD_W + w - bw
    return (t * H + h) * W + w, place, (t < T) & (h < H) & (w < W)


@triton.jit
def _admitted(query, key, REACH: tl.constexpr, GUARDS: tl.constexpr, CAUSAL: tl.constexpr):
    """Whether places are in each other's window: no difference below -reach or above reach, on any axis."""
    ahead = query - key
    outside = ((ahead + REACH) | (REACH - ahead)) & GUARDS
    if CAUSAL:
        outside = outside | (ahead & SIGN)  # in one number, as a choice by two conditions becomes two choices
    return outside == 0


@triton.jit
def _load(x, stride, cell, inside, D: tl.constexpr):
    """Rows ``cell`` of one head, zeros where there is none."""
    return tl.load(x + cell.to(tl.int64)[:, None] * stride + tl.arange(0, D)[None, :], mask=inside[:, None], other=0.0)


@triton.jit
def _load_all(x, stride, cell, D: tl.constexpr):
    """Rows ``cell`` of one head, all of which there are."""
    return tl.load(x + cell.to(tl.int64)[:, None] * stride + tl.arange(0, D)[None, :])


@triton.jit
def _store(x, sample, head, heads, size, cell, inside, value, D: tl.constexpr):
    """Write rows ``cell`` of one head of a result, which lies in memory as (b, s, n, k)."""
    row = (sample.to(tl.int64) * size + cell) * heads + head
    tl.store(x + row[:, None] * D + tl.arange(0, D)[None, :], value.to(x.dtype.element_ty), mask=inside[:, None])


@triton.jit(do_not_specialize=RUNTIME)
def forward(
    q, k, v, box, out, lse, q_b, q_n, q_s, k_b, k_n, k_s, v_b, v_n, v_s, T, H, W,
    TT: tl.constexpr, TH: tl.constexpr, TW: tl.constexpr, BT: tl.constexpr, BH: tl.constexpr, BW: tl.constexpr,
    RT: tl.constexpr, RH: tl.constexpr, RW: tl.constexpr, FIELD_H: tl.constexpr, FIELD_W: tl.constexpr,
    REACH: tl.constexpr, GUARDS: tl.constexpr, PADDED: tl.constexpr, CAUSAL: tl.constexpr, SCALE: tl.constexpr,
    PRECISION: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, D: tl.constexpr,
):  # fmt: skip
    """Output, and for the backward pass the logarithm of each query's sum of exponentials, (b, n, s) float32."""
    FACTOR: tl.constexpr = SCALE * LOG2_E
    head, sample, heads = tl.program_id(1), tl.program_id(2), tl.num_programs(1)
    t0, h0, w0 = _tile(tl.program_id(0), H, W, TT, TH, TW)
    bt, bh, bw = _origin(t0, RT, BT, T), _origin(h0, RH, BH, H), _origin(w0, RW, BW, W)
    cell, place, inside = _rows(t0, h0, w0, bt, bh, bw, T, H, W, TH, TW, FIELD_H, FIELD_W, ROWS)
    q += sample.to(tl.int64) * q_b + head.to(tl.int64) * q_n
    k += sample.to(tl.int64) * k_b + head.to(tl.int64) * k_n
    v += sample.to(tl.int64) * v_b + head.to(tl.int64) * v_n
    query = _load(q, q_s, cell, inside, D)

    end = BT * BH * BW
    if CAUSAL:  # the last query of the tile is the last key that anybody sees
        last_t, last_h, last_w = tl.minimum(t0 + TT, T) - 1, tl.minimum(h0 + TH, H) - 1, tl.minimum(w0 + TW, W) - 1
        end = ((last_t - bt) * BH + last_h - bh) * BW + last_w - bw + 1
    corner = (bt * H + bh) * W + bw
    found = tl.zeros((ROWS, D), tl.float32)
    total = tl.zeros((ROWS,), tl.float32)
    peak = tl.full((ROWS,), -1e30, tl.float32)  # finite, so that a block without a key for a query changes nothing
    for start in range(0, end, COLUMNS):
        column = start + tl.arange(0, COLUMNS)
        other = corner + tl.load(box + column)
        key, value = _load_all(k, k_s, other, D), _load_all(v, v_s, other, D)
        score = tl.dot(query, tl.trans(key), input_precision=PRECISION)
        near = _admitted(place[:, None], tl.load(box + PADDED + column)[None, :], REACH, GUARDS, CAUSAL)
        score = tl.where(near, score, float("-inf"))
        higher = tl.maximum(peak, tl.max(score, 1))
        weight = tl.exp2(score * FACTOR - (higher * FACTOR)[:, None])
        fade = tl.exp2((peak - higher) * FACTOR)
        total = total * fade + tl.sum(weight, 1)
        found = tl.dot(weight.to(value.dtype), value, found * fade[:, None], input_precision=PRECISION)
        peak = higher

    total = tl.where(inside, total, 1.0)
    size = T * H * W
    _store(out, sample, head, heads, size, cell, inside, found * (1.0 / total)[:, None], D)
    lse += (sample.to(tl.int64) * heads + head) * size
    tl.store(lse + cell, peak * FACTOR + tl.log2(total), mask=inside)


@triton.jit(do_not_specialize=["size"])
def products(
    out, grad, delta, out_b, out_n, out_s, grad_b, grad_n, grad_s, size, ROWS: tl.constexpr, D: tl.constexpr,
):  # fmt: skip
    """Product of each query's output and its gradient, (b, n, s) float32: what the backward pass takes off every slope."""
    head, sample, heads = tl.program_id(1), tl.program_id(2), tl.num_programs(1)
    cell = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    inside = cell < size
    grad += sample.to(tl.int64) * grad_b + head.to(tl.int64) * grad_n
    out += sample.to(tl.int64) * out_b + head.to(tl.int64) * out_n
    slope, value = _load(grad, grad_s, cell, inside, D), _load(out, out_s, cell, inside, D)
    delta += (sample.to(tl.int64) * heads + head) * size
    tl.store(delta + cell, tl.sum(slope.to(tl.float32) * value.to(tl.float32), 1), mask=inside)


@triton.jit(do_not_specialize=RUNTIME)
def backward(
    q, k, v, box, grad, lse, delta, grad_q, grad_k, grad_v,
    q_b, q_n, q_s, k_b, k_n, k_s, v_b, v_n, v_s, grad_b, grad_n, grad_s, T, H, W,
    TT: tl.constexpr, TH: tl.constexpr, TW: tl.constexpr, BT: tl.constexpr, BH: tl.constexpr, BW: tl.constexpr,
    RT: tl.constexpr, RH: tl.constexpr, RW: tl.constexpr, FIELD_H: tl.constexpr, FIELD_W: tl.constexpr,
    REACH: tl.constexpr, GUARDS: tl.constexpr, PADDED: tl.constexpr, CAUSAL: tl.constexpr, SCALE: tl.constexpr,
    PRECISION: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, D: tl.constexpr,
):  # fmt: skip
    """Gradients of queries (even programs), keys and values (odd programs) from that of the output."""
    FACTOR: tl.constexpr = SCALE * LOG2_E
    head, sample, heads = tl.program_id(1), tl.program_id(2), tl.num_programs(1)
    t0, h0, w0 = _tile(tl.program_id(0) // 2, H, W, TT, TH, TW)
    q += sample.to(tl.int64) * q_b + head.to(tl.int64) * q_n
    k += sample.to(tl.int64) * k_b + head.to(tl.int64) * k_n
    v += sample.to(tl.int64) * v_b + head.to(tl.int64) * v_n
    grad += sample.to(tl.int64) * grad_b + head.to(tl.int64) * grad_n
    size = T * H * W
    lse += (sample.to(tl.int64) * heads + head) * size
    delta += (sample.to(tl.int64) * heads + head) * size
    bh, bw = _origin(h0, RH, BH, H), _origin(w0, RW, BW, W)

    if tl.program_id(0) % 2 == 0:
        bt = _origin(t0, RT, BT, T)
        cell, place, inside = _rows(t0, h0, w0, bt, bh, bw, T, H, W, TH, TW, FIELD_H, FIELD_W, ROWS)
        query, slope = _load(q, q_s, cell, inside, D), _load(grad, grad_s, cell, inside, D)
        log_sum = tl.load(lse + cell, mask=inside, other=0.0)
        mean = tl.load(delta + cell, mask=inside, other=0.0)
        end = BT * BH * BW
        if CAUSAL:
            last_t, last_h, last_w = tl.minimum(t0 + TT, T) - 1, tl.minimum(h0 + TH, H) - 1, tl.minimum(w0 + TW, W) - 1
            end = ((last_t - bt) * BH + last_h - bh) * BW + last_w - bw + 1
        corner = (bt * H + bh) * W + bw
        found = tl.zeros((ROWS, D), tl.float32)
        for start in range(0, end, COLUMNS):
            column = start + tl.arange(0, COLUMNS)
            other = corner + tl.load(box + column)
            key, value = _load_all(k, k_s, other, D), _load_all(v, v_s, other, D)
            score = tl.dot(query, tl.trans(key), input_precision=PRECISION)
            near = _admitted(place[:, None], tl.load(box + PADDED + column)[None, :], REACH, GUARDS, CAUSAL)
            weight = tl.where(near, tl.exp2(score * FACTOR - log_sum[:, None]), 0.0)
            steep = weight * (tl.dot(slope, tl.trans(value), input_precision=PRECISION) - mean[:, None])
            found = tl.dot(steep.to(key.dtype), key, found, input_precision=PRECISION)
        _store(grad_q, sample, head, heads, size, cell, inside, found * SCALE, D)
    else:
        bt = _origin(t0, 0 if CAUSAL else RT, BT, T)
        cell, place, inside = _rows(t0, h0, w0, bt, bh, bw, T, H, W, TH, TW, FIELD_H, FIELD_W, ROWS)
        key, value = _load(k, k_s, cell, inside, D), _load(v, v_s, cell, inside, D)
        first = 0
        if CAUSAL:  # the first key of the tile is the first query that sees any of them; whole blocks load faster
            first = (((t0 - bt) * BH + h0 - bh) * BW + w0 - bw) // COLUMNS * COLUMNS
        corner = (bt * H + bh) * W + bw
        found_k = tl.zeros((ROWS, D), tl.float32)
        found_v = tl.zeros((ROWS, D), tl.float32)
        for start in range(first, BT * BH * BW, COLUMNS):
            column = start + tl.arange(0, COLUMNS)
            other = corner + tl.load(box + column)
            query, slope = _load_all(q, q_s, other, D), _load_all(grad, grad_s, other, D)
            log_sum, mean = tl.load(lse + other), tl.load(delta + other)
            score = tl.dot(key, tl.trans(query), input_precision=PRECISION)
            near = _admitted(tl.load(box + PADDED + column)[None, :], place[:, None], REACH, GUARDS, CAUSAL)
            weight = tl.where(near, tl.exp2(score * FACTOR - log_sum[None, :]), 0.0)
            found_v = tl.dot(weight.to(slope.dtype), slope, found_v, input_precision=PRECISION)
            steep = weight * (tl.dot(value, tl.trans(slope), input_precision=PRECISION) - mean[None, :])
            found_k = tl.dot(steep.to(query.dtype), query, found_k, input_precision=PRECISION)
        _store(grad_k, sample, head, heads, size, cell, inside, found_k * SCALE, D)
        _store(grad_v, sample, head, heads, size, cell, inside, found_v, D)
