"""Which GPU a process takes, and what is said where there is none for it."""

from __future__ import annotations

import pytest
import torch

from nuwa.training.group import group


@pytest.fixture
def third_of_four(monkeypatch: pytest.MonkeyPatch) -> None:
    """What torchrun tells the third of four processes of one machine."""
    for name, value in {"WORLD_SIZE": "4", "RANK": "2", "LOCAL_RANK": "2"}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("third_of_four")
@pytest.mark.parametrize("gpus", [1, 2])
def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch, gpus: int) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    message = (
        f"expected one for each GPU of this machine, which shows {gpus}, got number 3; start torchrun with --nproc"
    )
    with pytest.raises(ValueError, match=message), group(torch.device("cuda")):
        raise AssertionError("not reached")


@pytest.mark.usefixtures("third_of_four")
def test_a_process_takes_the_gpu_of_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)

    def take(device: torch.device) -> None:
        taken.append(device)
        raise KeyboardInterrupt  # before the others are waited for

    monkeypatch.setattr(torch.cuda, "set_device", take)
    with pytest.raises(KeyboardInterrupt), group(torch.device("cuda")):
        raise AssertionError("not reached")
    assert taken == [torch.device("cuda", 2)]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_one_process_needs_no_others(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    with group(torch.device(device)) as found:
        assert found == torch.device(device)
