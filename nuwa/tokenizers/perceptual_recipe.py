"""The recipe behind the shipped perceptual network for sprites: ``python -m nuwa.tokenizers.perceptual_recipe``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from nuwa import files
from nuwa.data import sprites
from nuwa.tokenizers.perceptual import SPRITES_WEIGHTS, PlaceHead, SpritesNet


def train(steps: int = 1500, batch: int = 128, seed: int = 7001) -> SpritesNet:
    """Teach the network to name what stands at each place of the board; prints the loss and the shape accuracy."""
    torch.manual_seed(seed)
    net = SpritesNet()
    head = PlaceHead(64)
    parameters = [*net.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps, pct_start=0.1)
    for step in range(steps):
        scenes = sprites.draw("train", np.arange(step * batch, (step + 1) * batch))
        pictures = torch.from_numpy(sprites.render(scenes, 32)).float() / 127.5 - 1
        pictures = pictures + 0.05 * torch.rand(batch, 1, 1, 1) * torch.randn_like(pictures)
        logits = head(net(pictures)[-1])
        shape, colour, size = targets(scenes)
        losses = [F.cross_entropy(logits[0].flatten(0, 1), shape.flatten())]
        losses += [
            F.cross_entropy(value.flatten(0, 1), target.flatten(), ignore_index=-1)
            for value, target in zip(logits[1:], (colour, size), strict=True)
        ]
        optimizer.zero_grad()
        torch.stack(losses).sum().backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 99:
            there = shape > 0
            right = (logits[0].argmax(-1) == shape)[there].float().mean()
            print(
                f"step {step + 1}: loss {sum(loss.item() for loss in losses):.3f}, shape accuracy {right:.3f}",
                flush=True,
            )
    return net


def targets(scenes: sprites.Scenes) -> tuple[Tensor, Tensor, Tensor]:
    """Shape + 1 (0 where there is nothing), colour and size (-1 where there is nothing) at each place, (b, 9) int64."""
    board = np.full((3, len(scenes), 9), -1)
    rows, slots = np.nonzero(scenes.shape >= 0)
    places = scenes.place[rows, slots]
    for layer, values in enumerate((scenes.shape, scenes.colour, scenes.size)):
        board[layer, rows, places] = values[rows, slots]
    board[0] += 1
    shape, colour, size = torch.from_numpy(board)
    return shape, colour, size


def main(out: Path = SPRITES_WEIGHTS) -> None:
    """Train, store as half precision, and print the digest that perceptual.py must name."""
    net = train()
    with files.atomic(out) as temporary:
        save_file({name: value.half() for name, value in net.state_dict().items()}, temporary)
    print(f"{out}: {out.stat().st_size / 1024:.0f} KiB, sha256 {files.sha256(out)}")


if __name__ == "__main__":
    main()
