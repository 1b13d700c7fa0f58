"""What FID keeps of very many pictures for its interval."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.metrics import FID
from evaluation.metrics.fid import KEPT, fid
from evaluation.metrics.kept import content_hash, keep
from evaluation.protocols import dmgan_coco, sprites

NARROW = dataclasses.replace(sprites.FID, width=4, replicates=100)


def rows(n: int = 300, d: int = 4, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=20)
@given(batch=st.integers(1, 90), seed=st.integers(0, 99))
def test_neither_order_nor_batches_matter(batch, seed):
    whole = keep(rows(), 40)
    mixed = rows()[torch.randperm(300, generator=torch.Generator().manual_seed(seed))]
    kept = torch.zeros(0, 4)
    for part in mixed.split(batch):
        kept = keep(torch.cat([kept, part]), 40)
    assert len(kept) == 40
    assert {tuple(row) for row in kept.tolist()} == {tuple(row) for row in whole.tolist()}


def test_few_rows_stay_in_order():
    assert torch.equal(keep(rows(), 300), rows())
    positions = [rows().tolist().index(row) for row in keep(rows(), 40).tolist()]
    assert positions == sorted(positions)


def test_every_row_is_as_likely():
    hashes = content_hash(rows(20_000)).astype(np.float64) / 2**64
    assert hashes.mean() == pytest.approx(0.5, abs=0.01)
    assert np.corrcoef(hashes, rows(20_000)[:, 0])[0, 1] == pytest.approx(0, abs=0.03)
    assert len(set(hashes)) == 20_000
    assert content_hash(rows())[7] == content_hash(rows()[7:8])[0]


def metric_of(keep_features: bool | int | None, n: int = 3000, batch: int = 250) -> FID:
    metric = FID(NARROW, keep_features=keep_features)
    for part in rows(n).split(batch):
        metric.update(part, real=False)
    for part in (2 * rows(n, seed=1)).split(batch):
        metric.update(part, real=True)
    return metric


def test_the_number_is_of_all_and_the_interval_of_some():
    whole, some = metric_of(True).estimates()[0], metric_of(300).estimates()[0]
    assert some.value == pytest.approx(whole.value, rel=1e-9)
    assert some.n == whole.n == 3000
    widths = [each.ci95[1] - each.ci95[0] for each in (some, whole)]
    assert 0.6 < widths[0] / widths[1] < 1.7
    assert some.ci95[0] < some.value < some.ci95[1]


def test_the_state_does_not_grow_with_the_number_of_pictures():
    for n in (3000, 6000):
        metric = metric_of(300, n=n)
        assert sum(map(len, metric.real_features)) <= 375
    assert 2 * (8 * 2050 * 2048 + 4 * 2048 * KEPT * 5 / 4) < 200e6  # bytes of the default at 2,048 features


def test_up_to_as_many_as_are_kept_it_is_the_function():
    estimate = metric_of(3000).estimates()[0]
    expected = fid(rows(3000), 2 * rows(3000, seed=1), NARROW)
    np.testing.assert_allclose(estimate.replicates, expected.replicates, rtol=1e-12)


def test_a_protocol_that_leaves_out_its_last_batch_keeps_all():
    assert FID(dmgan_coco.FID).keep_features is True
    with pytest.raises(ValueError, match="needs keep_features=True"):
        FID(dmgan_coco.FID, keep_features=100)
