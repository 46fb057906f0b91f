"""A trial: texts written together by one engine with one set of decoding settings, and what they cost."""

import hashlib
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from lab.cli import check
from lab.decoding import gaps
from lab.decoding.canvas import Canvas
from lab.decoding.sampling import generator
from lab.model import checkpoint, machine
from lab.model.corpus import Alphabet
from lab.model.method import Method

BUSY = 0.8  # CPU seconds by seconds, below which a computation was kept waiting


@dataclass(frozen=True)
class Engine:
    """A trained model, ready to write."""

    method: Method
    model: nn.Module  # on its device, in evaluation mode
    alphabet: Alphabet  # of the text it was trained on
    opening: str  # the first characters of that text
    weights: str = ""  # name and digest of the file it came from
    sampler: str | None = None  # FILE.py:FUNCTION, where that is in place of the method's own

    @property
    def name(self):
        """The method's."""
        return self.method.name

    def sampled_by(self, generate, sampler=None):
        """The same model with another sampler, which takes what the method's own does; sampler: its name in rows."""
        return replace(self, method=replace(self.method, generate=generate), sampler=sampler)

    def prompt(self, length):
        """The default prompt: the first `length` characters. Raises UserError when so many are not known."""
        return head(self.opening, length)

    def write(self, text, new=240, seed=1337, decoding=None, longest_gap=16):
        """A text with its mask symbols (`_`) and its gaps (`*`) filled in and `new` characters added -> the whole text.

        decoding: the method's, such as diffusion.Decoding(spacing=3); longest_gap: characters that a `*` stands for, at
        most. Raises UserError for characters it does not know.
        """
        decoding = decoding or self.method.decoding
        text = gaps.with_masks(self, text, longest_gap, decoding.temp, generator(seed, text))
        canvas = Canvas(*self.alphabet.encode_masked(text + self.alphabet.mask * new)).repeat(1)
        return run(self, Trial(canvas, decoding, (seed,)))[0].text


def head(opening, length):
    """The first characters of what is known of a text's opening. Raises UserError when so many are not known."""
    few = f"prompt_len {length}: only {len(opening)} characters of the text's opening are known"
    check(0 <= length <= len(opening), few)
    return opening[:length]


def load(method, path=None, device="cpu", hint=None):
    """Weights of a method -> Engine. Raises UserError when they are missing, or another method's.

    path: default the method's own file; device: None for the machine's accelerator; hint: the command that makes the file.
    """
    path = Path(path or checkpoint.default_path(method.name))
    model, alphabet, opening = checkpoint.load(path, method, hint)
    label = f"{path.name} sha256 {hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
    return Engine(method, model.to(machine.pick_device(device)), alphabet, opening, label)


@dataclass(frozen=True)
class Trial:
    """What to write and how."""

    canvas: Canvas  # texts (B, L)
    decoding: object  # the method's Decoding
    seeds: tuple[int, ...]  # one for each text


@dataclass(frozen=True)
class Sample:
    """A text and what it cost: columns of its row."""

    chars: int  # characters written, the prompt not counted
    nfe: int  # forward passes made while the text was unfinished
    full_passes: float  # the same in full-pass equivalents: each weighted by its share of a whole window
    seconds: float | None  # None when it was not alone in its batch
    cpu_seconds: float | None  # of the process, in these seconds; None on another device than the CPU
    text: str  # the whole canvas, prompt included

    def figures(self):
        """What it cost in a line, where it was alone in its batch."""
        line = f"{self.chars:,} new characters, {self.nfe:,} forward passes (NFE; {self.full_passes:.1f} full passes), "
        line += f"{self.chars / self.nfe:.1f} characters per pass, "
        line += f"{self.seconds:.2f} s, {self.chars / self.seconds:,.0f} characters per second"
        if self.cpu_seconds is not None and self.cpu_seconds < BUSY * self.seconds:
            line += f" (busy machine: only {self.cpu_seconds:.2f} s of CPU in that time)"
        return line


def rng_for(seed, idx, masked):
    """Random numbers for one text (L,): equal for two settings, independent for two seeds or two known texts."""
    return generator(seed, idx[~masked].numpy().tobytes())


def frames(engine, trial):
    """Yields each Frame of a trial with its sampling time in seconds; the consumer's time is excluded."""
    rngs = [rng_for(*text) for text in zip(trial.seeds, trial.canvas.idx, trial.canvas.masked, strict=True)]
    try:
        began = time.perf_counter()
        machine.use_threads(trial.canvas.idx.numel())  # the first pass may read a whole prompt
        for frame in engine.method.generate(engine.model, trial.canvas, trial.decoding, rngs):
            yield frame, time.perf_counter() - began  # the draw of the characters has waited for the device
            began = time.perf_counter()
            machine.use_threads(frame.columns.numel())  # at each pass: samplers of several models may take turns
    finally:
        machine.use_threads()


def run(engine, trial, watch=None):
    """Write a trial's texts -> a list of Samples, one per seed.

    watch: called with each Frame and the seconds that it took. The clocks run round the sampler alone.
    """
    canvas = trial.canvas
    texts = len(canvas.idx)
    idx = canvas.idx
    masked = canvas.masked
    nfe = torch.zeros(texts, dtype=torch.long)
    full_passes = torch.zeros(texts)
    seconds = 0.0
    cpu_seconds = 0.0
    began = time.process_time()
    for frame, took in frames(engine, trial):
        seconds += took
        cpu_seconds += time.process_time() - began
        unfinished = masked.any(1)
        nfe += unfinished
        full_passes += unfinished * frame.computed
        idx = frame.idx
        masked = frame.masked
        if watch is not None:
            watch(frame, took)
        began = time.process_time()
    on_cpu = all(p.device.type == "cpu" for p in engine.model.parameters())
    clocks = (seconds, cpu_seconds if on_cpu else None) if texts == 1 else (None, None)
    written = map(engine.alphabet.decode, idx)
    costs = zip(canvas.masked.sum(1).tolist(), nfe.tolist(), full_passes.tolist(), written, strict=True)
    return [Sample(chars, passes, full, *clocks, text) for chars, passes, full, text in costs]
