"""The page that a model writes on: what is known, what is masked, and what a viewer sees after each pass."""

from dataclasses import dataclass
from typing import NamedTuple

import torch


@dataclass(frozen=True)
class Canvas:
    """Rows of text to be filled in.

    idx: (B, L) tokens; masked: (B, L) bool, where there is no character yet (idx is ignored there).
    A prompt, a text with masked spans and an empty page are all of this one kind.
    """

    idx: torch.Tensor
    masked: torch.Tensor

    @classmethod
    def after(cls, prompt, new, rows=1):
        """prompt (P,) followed by `new` masked positions, the same for each row."""
        idx = torch.cat((prompt, torch.zeros(new, dtype=torch.long)))
        return cls(idx, torch.arange(len(idx)) >= len(prompt)).repeat(rows)

    def repeat(self, rows):
        """One text (L,) as a batch of equal rows (B, L)."""
        return Canvas(self.idx.repeat(rows, 1), self.masked.repeat(rows, 1))


class Frame(NamedTuple):
    """What stands on the canvas after one forward pass; its tensors are never written again.

    idx: (B, L) tokens; masked, draft: (B, L) bool; columns: (B, W) the positions that the pass looked at;
    probs: (B, W, V) float64, on the CPU; computed: share of block_size positions that the pass computed.
    """

    idx: torch.Tensor
    masked: torch.Tensor
    draft: torch.Tensor
    columns: torch.Tensor
    probs: torch.Tensor
    computed: float


class Windows:
    """Which part of a long canvas each row works on: a chunk of masked positions with known text around it.

    A row moves on when its chunk is full, whatever the other rows do. A window is `block_size` wide; what the
    chunk leaves free shows known text, before the chunk when nothing after it is known, else on both sides.
    """

    def __init__(self, canvas, block_size, chunk):
        B, L = canvas.masked.shape
        self.width, self.chunk = min(block_size, L), min(chunk, block_size)
        self.start = torch.zeros(B, 1, dtype=torch.long)
        self.stop = torch.zeros(B, 1, dtype=torch.long)  # the first position after the chunk
        self.opened = torch.zeros(B, 1, dtype=torch.long)  # positions that were masked when the chunk began
        self.moved = torch.ones(B, 1, dtype=torch.bool)  # whether the last call of `move` began a chunk

    def move(self, masked):
        """masked: (B, L) -> columns (B, W) to look at and which of them may be filled, (B, W) bool."""
        positions = torch.arange(masked.size(1))
        has_open = (masked & (positions < self.stop)).any(1, keepdim=True)
        first = masked.int().argmax(1, keepdim=True)
        stop = (first + self.chunk).clamp(max=masked.size(1))
        chunk = masked & (positions < stop)
        last = torch.where(chunk, positions, 0).amax(1, keepdim=True)
        spare = self.width - (last + 1 - first)
        known_after = (~masked & (positions > last)).any(1, keepdim=True)
        start = (first - torch.where(known_after, spare // 2, spare)).clamp(0, masked.size(1) - self.width)
        self.start = torch.where(has_open, self.start, start)
        self.stop = torch.where(has_open, self.stop, stop)
        self.opened = torch.where(has_open, self.opened, chunk.sum(1, keepdim=True))
        self.moved = ~has_open
        columns = self.start + torch.arange(self.width)
        return columns, masked.gather(1, columns) & (columns < self.stop)
