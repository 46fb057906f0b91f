"""The token buffer that a sampler fills: what is known, what is masked, and the frame after each forward pass."""

from dataclasses import dataclass
from typing import NamedTuple

import torch

from lab.cli import check


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
        """A prompt (P,), the same for each row, or prompts (B, P), followed by `new` masked positions."""
        idx = torch.nn.functional.pad(prompt, (0, new))
        return cls(idx, (torch.arange(idx.size(-1)) >= prompt.size(-1)).expand_as(idx)).repeat(rows)

    def repeat(self, rows):
        """One text, (L,) or (1, L), as a batch of equal rows (B, L); rows 1: a batch (B, L) as it is."""
        return Canvas(self.idx.repeat(rows, 1), self.masked.repeat(rows, 1))

    def prompt_lengths(self):
        """Characters known at the start of each row, (B,). Raises UserError on an inner masked span or an empty prompt."""
        known = (~self.masked).int()
        inner = "gpt writes from left to right and cannot fill a masked span before known text; use diffusion.py"
        check(known.cumprod(1).equal(known), inner)
        check(int(known.sum(1).min()) > 0, "gpt needs a prompt of at least one character")
        return known.sum(1)


class Frame(NamedTuple):
    """What stands on the canvas after one forward pass; its tensors are never written again.

    They are made in inference mode: to compute gradients from them, clone them first.
    idx: (B, L) tokens; masked, draft: (B, L) bool; columns: (B, W) the positions that the pass looked at;
    probs: (B, W, V) float64, on the CPU; computed: share of block_size positions that the pass computed; certainty: (B, W)
    share of a flow's noise that is gone.
    """

    idx: torch.Tensor
    masked: torch.Tensor
    draft: torch.Tensor
    columns: torch.Tensor
    probs: torch.Tensor
    computed: float
    certainty: torch.Tensor | None = None

    @property
    def confidence(self):
        """Probability that this pass gave to the characters that stand at its columns, (B, W); undefined where masked."""
        return self.probs.gather(-1, self.idx.gather(1, self.columns)[..., None])[..., 0]


class Window(NamedTuple):
    """What one forward pass works on: W positions of each row.

    idx: (B, W) tokens; hidden: (B, W) bool, what the model is not shown; masked: (B, W) bool, what may be filled in;
    drafts: (B, W) bool, the provisional characters among the hidden; chunk_size: (B, 1) masked positions when
    the chunk began; calls: (B, 1) passes already made on this chunk.
    """

    idx: torch.Tensor
    hidden: torch.Tensor
    masked: torch.Tensor
    drafts: torch.Tensor
    chunk_size: torch.Tensor
    calls: torch.Tensor


class Windows:
    """A canvas that is filled in chunk after chunk: each row works on one chunk of masked positions at a time.

    A row moves on when its chunk is full, whatever the other rows do. A window is `block_size` wide; what the
    chunk leaves free shows known text, before the chunk when nothing after it is known, else on both sides, or masks.
    """

    def __init__(self, canvas, block_size, chunk):
        B, L = canvas.masked.shape
        self.idx = canvas.idx
        self.masked = canvas.masked
        self.draft = torch.zeros_like(canvas.masked)
        self.block_size = block_size
        self.width = min(block_size, L)  # of a window
        longest = block_size if L <= block_size else max(1, block_size * 15 // 16)  # the rest shows what stands before
        self.chunk = min(chunk, longest)
        self.start, self.stop, self.size, self.calls = torch.zeros(4, B, 1, dtype=torch.long)  # stop: of the chunk
        self.parity = 0

    def advance_chunk(self):
        """Begin the next chunk in each row whose last one is full."""
        masked, positions = self.masked, torch.arange(self.masked.size(1))
        unfinished = (masked & (positions < self.stop)).any(1, keepdim=True)
        first = masked.int().argmax(1, keepdim=True)
        stop = (first + self.chunk).clamp(max=masked.size(1))
        chunk = masked & (positions < stop)
        last = torch.where(chunk, positions, 0).amax(1, keepdim=True)
        spare = self.width - (last + 1 - first)
        known_after = (~masked & (positions > last)).any(1, keepdim=True)
        start = (first - torch.where(known_after, spare // 2, spare)).clamp(0, masked.size(1) - self.width)
        self.start = torch.where(unfinished, self.start, start)
        self.stop = torch.where(unfinished, self.stop, stop)
        self.size = torch.where(unfinished, self.size, chunk.sum(1, keepdim=True))
        self.calls = torch.where(unfinished, self.calls + 1, 0)

    def next_window(self):
        """The Window of the next pass. Even and odd positions alternate: a draft is scored without its neighbours."""
        self.advance_chunk()
        self.columns = self.start + torch.arange(self.width)
        idx, masked, draft = (x.gather(1, self.columns) for x in (self.idx, self.masked, self.draft))
        drafts = draft & ((self.columns + self.parity) % 2 == 0)
        self.parity += 1
        return Window(idx, masked | drafts, masked & (self.columns < self.stop), drafts, self.size, self.calls)

    def commit(self, window, idx, masked, draft, probs):
        """Put a window back after a pass -> Frame. When a row's chunk is full, its remaining drafts stand.

        idx, masked, draft: (B, W) what became of the window's idx, masked and drafts; probs: (B, W, V).
        """
        other = self.draft.gather(1, self.columns) & ~window.drafts
        draft = (other | draft) & masked.any(1, keepdim=True)
        masked = self.masked.gather(1, self.columns) & ~window.masked | masked
        self.idx = self.idx.scatter(1, self.columns, idx)
        self.masked = self.masked.scatter(1, self.columns, masked)
        self.draft = self.draft.scatter(1, self.columns, draft)
        return Frame(self.idx, self.masked, self.draft, self.columns, probs, self.width / self.block_size)
