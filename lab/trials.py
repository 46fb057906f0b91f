"""A trial: one canvas, one set of decoding settings, some seeds; draining it gives texts, calls and seconds."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from lab.canvas import Canvas
from lab.corpus import Alphabet


@dataclass(frozen=True)
class Writer:
    """A trained model that can write."""

    name: str  # of the method
    model: nn.Module  # on its device, in evaluation mode
    generate: Callable  # the method's sampler
    alphabet: Alphabet  # of the text it was trained on
    opening: str  # the first characters of that text


@dataclass(frozen=True)
class Trial:
    """What to write and how."""

    canvas: Canvas  # one text (1, L), written once for each seed, or as many texts as there are seeds
    decoding: object  # the method's Decoding
    seeds: tuple[int, ...]  # one for each row


@dataclass(frozen=True)
class Sample:
    """A text and what it cost."""

    text: str  # the whole canvas, prompt included
    seed: int
    chars: int  # characters written, the prompt not counted
    nfe: int  # forward passes before which the text was unfinished
    full_passes: float  # the same in full-pass equivalents: each weighted by its share of layers and positions
    seconds: float | None  # None when it was not alone in its batch

    def describe(self):
        """The figures in a line."""
        line = f"{self.chars:,} new characters, {self.nfe:,} calls (NFE; {self.full_passes:.1f} full passes), "
        line += f"{self.chars / self.nfe:.1f} characters per call"
        if self.seconds is not None:
            line += f", {self.seconds:.2f} s, {self.chars / self.seconds:,.0f} characters per second"
        return line


def run(writer, trial, watch=None):
    """Write a trial's texts -> a list of Samples, one per seed.

    watch: called with each Frame as it comes. The clock runs round the sampler alone.
    """
    rows, canvas = len(trial.seeds), trial.canvas
    if len(canvas.idx) < rows:
        canvas = Canvas(canvas.idx.expand(rows, -1), canvas.masked.expand(rows, -1))
    rngs = [torch.Generator().manual_seed(seed) for seed in trial.seeds]
    idx, masked = canvas.idx, canvas.masked
    nfe, full_passes, seconds = torch.zeros(rows), torch.zeros(rows), 0.0
    frames = writer.generate(writer.model, canvas, trial.decoding, rngs)
    while True:
        began = time.perf_counter()
        frame = next(frames, None)  # the draw of the characters waits for the device
        seconds += time.perf_counter() - began
        if frame is None:
            break
        unfinished = masked.any(1)
        nfe, full_passes = nfe + unfinished, full_passes + unfinished * frame.computed
        idx, masked = frame.idx, frame.masked
        if watch is not None:
            watch(frame)
    return [
        Sample(
            text=writer.alphabet.decode(idx[b]),
            seed=trial.seeds[b],
            chars=int(canvas.masked[b].sum()),
            nfe=int(nfe[b]),
            full_passes=float(full_passes[b]),
            seconds=seconds if rows == 1 else None,
        )
        for b in range(rows)
    ]
