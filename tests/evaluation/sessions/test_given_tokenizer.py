"""A session on a tokenizer that is given: used as it is, named in the record, refused beside a checkpoint."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from evaluation.records import read_record
from evaluation.sessions.t2i import T2IOptions, run
from nuwa import Nuwa
from nuwa.tokenizers.digest import weights_sha256
from nuwa.tokenizers.vqgan import VQGAN, TamingConfig
from nuwa.training import checkpoint

pytestmark = pytest.mark.filterwarnings("ignore::evaluation.metrics.uncertainty.SmallSampleWarning")

CONFIG = TamingConfig(
    size_px=32, widths=(8, 8, 16), blocks=1, num_codes=40, code_width=4, stem_width=8, latent_width=4, groups=4,
    encoder_attention=(2,), decoder_attention=(2,),
)  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("vq")
    checkpoint.save_weights(folder / checkpoint.WEIGHTS, VQGAN(CONFIG), {"model": asdict(CONFIG)})
    return folder


def test_a_session_trains_on_it(tokenizer: Path, tmp_path: Path) -> None:
    run(T2IOptions(preset="smoke", num=24, device="cpu", tokenizer=tokenizer, out=tmp_path, table=False))
    record = read_record(tmp_path / "record.json")
    assert record.model.preset == "smoke:t2i+given-tokenizer"
    system = Nuwa.from_pretrained(tmp_path / "checkpoint")
    assert system.tokenizer.config == CONFIG
    torch.manual_seed(0)
    assert weights_sha256(system.tokenizer) == weights_sha256(VQGAN(CONFIG))
    assert not (tmp_path / "training/tokenizer").exists()


def test_not_beside_a_checkpoint(tokenizer: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="tokenizer: expected none beside the checkpoint"):
        run(T2IOptions(preset="smoke", tokenizer=tokenizer, checkpoint=tmp_path, out=tmp_path))
