"""What every attention variant and every stem keeps, registered today or later."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from nuwa import Grid, Sampling
from nuwa.attention import ATTENTION, attend, mask
from nuwa.model.config import ModelConfig, ModelSizes
from nuwa.model.layers import Condition
from nuwa.model.nuwa import NuwaModel
from nuwa.model.stem import STEMS
from nuwa.sampling import decode

GRIDS = [Grid(1, 1, 1), Grid(7, 1, 1), Grid(1, 3, 5), Grid(3, 2, 4)]


@pytest.mark.parametrize("name", ATTENTION)
class TestAttention:
    def test_it_is_a_frozen_value_that_can_be_made_without_arguments(self, name: str) -> None:
        spec = ATTENTION[name]()
        assert spec.name == name
        assert spec == ATTENTION[name]()
        assert hash(spec) == hash(ATTENTION[name]())
        assert (type(spec).__doc__ or "").strip()

    @pytest.mark.parametrize("grid", GRIDS, ids=str)
    def test_a_cell_sees_itself_and_causally_nothing_later(self, name: str, grid: Grid) -> None:
        spec = ATTENTION[name]()
        assert mask(spec, grid).diagonal().all()
        assert torch.equal(mask(spec, grid, causal=True), mask(spec, grid).tril())

    @pytest.mark.parametrize("kv_grid", [Grid(1, 1, 1), Grid(2, 5, 3), Grid(77, 1, 1)], ids=str)
    def test_no_query_is_left_with_nothing_on_another_grid(self, name: str, kv_grid: Grid) -> None:
        assert mask(ATTENTION[name](), Grid(3, 4, 4), kv_grid).any(dim=1).all()

    def test_auto_agrees_with_the_reference(self, name: str) -> None:
        grid = Grid(3, 4, 5)
        q, k, v = torch.randn(3, 2, 2, grid.size, 8)
        run: dict[str, Any] = {"spec": ATTENTION[name](), "grid": grid, "causal": True}
        torch.testing.assert_close(attend(q, k, v, **run), attend(q, k, v, **run, backend="reference"))

    @pytest.mark.parametrize("stem", STEMS)
    def test_a_model_with_it_is_stored_trained_and_sampled(self, name: str, stem: Any) -> None:
        sizes = ModelSizes(
            d=8, num_heads=2, encoder_layers=1, decoder_layers=1, stem=stem, decoder_attention=ATTENTION[name]()
        )
        config = sizes.on(Grid(2, 2, 3), num_codes=5, vocab_size=6)
        model = NuwaModel(ModelConfig.from_dict(json.loads(json.dumps(config.to_dict())))).eval()
        tokens = torch.randint(5, (2, 12))
        picture = Condition(grid=Grid(1, 3, 2), spec=ATTENTION[name](), memory=torch.randn(2, 6, 8))
        model.decoder(tokens, [picture]).logsumexp(dim=-1).sum().backward()
        missing = [key for key, p in model.decoder.named_parameters() if p.grad is None]
        assert missing == []
        drawn = decode(model.decoder, [picture], Sampling(), range(2))
        assert torch.equal(drawn, decode(model.decoder, [picture], Sampling(), range(2), one_by_one=True))


@pytest.mark.parametrize("name", STEMS)
class TestStem:
    def test_a_config_takes_it(self, name: Any) -> None:
        assert ModelSizes(stem=name).stem == name

    @pytest.mark.parametrize("grid", GRIDS, ids=str)
    def test_it_reads_earlier_tokens_and_every_token_but_the_last(self, name: str, grid: Grid) -> None:
        admitted = STEMS[name].reads(grid)
        assert not admitted.triu().any()
        assert admitted[:, :-1].any(dim=0).all()  # no token's content is lost
        assert admitted[1:].any(dim=1).all()  # <bos> stands at the first cell alone

    def test_it_reads_nothing_that_it_does_not_admit(self, name: str) -> None:
        grid = Grid(2, 3, 3)
        stem, tokens = STEMS[name](grid, 3, 4), torch.randint(3, (1, 18))
        changed = (tokens.repeat(18, 1) + torch.eye(18, dtype=torch.int64)) % 3
        assert torch.equal((stem(changed, grid) != stem(tokens, grid)).any(dim=-1).T, stem.reads(grid))
