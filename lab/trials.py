"""A trial: one canvas, one set of decoding settings, some seeds; draining it gives texts, calls and seconds."""

import itertools
import os
import time
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import joblib
import torch
from rich.console import Console
from rich.progress import Progress
from torch import nn

from lab import quality, records
from lab.canvas import Canvas
from lab.cli import ROOT, check, check_seeds, listed
from lab.corpus import Alphabet

EVALUATOR = ROOT / "weights" / "evaluator.pt"


@dataclass(frozen=True)
class Writer:
    """A trained model that can write."""

    name: str  # of the method
    model: nn.Module  # on its device, in evaluation mode
    generate: Callable  # the method's sampler
    alphabet: Alphabet  # of the text it was trained on
    opening: str  # the first characters of that text
    weights: str = ""  # name and digest of the file it came from

    def prompt(self, length):
        """The default prompt: the first `length` characters. Raises UserError when so many are not known."""
        most = len(self.opening)
        check(0 <= length <= most, f"prompt_len must lie in 0..{most}, not {length}")
        return self.opening[:length]


@dataclass(frozen=True)
class Trial:
    """What to write and how."""

    canvas: Canvas  # one text (1, L), written once for each seed, or as many texts as there are seeds
    decoding: object  # the method's Decoding
    seeds: tuple[int, ...]  # one for each row

    def __post_init__(self):
        check_seeds(*self.seeds)


@dataclass(frozen=True)
class Sample:
    """A text and what it cost."""

    text: str  # the whole canvas, prompt included
    chars: int  # characters written, the prompt not counted
    nfe: int  # forward passes made while the text was unfinished
    full_passes: float  # the same in full-pass equivalents: each weighted by its share of a whole window
    seconds: float | None  # None when it was not alone in its batch

    def describe(self):
        """The figures in a line."""
        line = f"{self.chars:,} new characters, {self.nfe:,} calls (NFE; {self.full_passes:.1f} full passes), "
        line += f"{self.chars / self.nfe:.1f} characters per call"
        if self.seconds is not None:
            line += f", {self.seconds:.2f} s, {self.chars / self.seconds:,.0f} characters per second"
        return line


def stream(seed, idx, masked):
    """Random numbers for one text (L,): equal for two settings, independent for two prompts."""
    return torch.Generator().manual_seed(seed << 22 ^ zlib.crc32(idx[~masked].numpy().tobytes()))


def frames(writer, trial):
    """Drain a trial's sampler: yields each Frame and the seconds that it took, whatever is done between two of them."""
    rngs = [stream(*text) for text in zip(trial.seeds, trial.canvas.idx, trial.canvas.masked, strict=True)]
    made = writer.generate(writer.model, trial.canvas, trial.decoding, rngs)
    while True:
        began = time.perf_counter()
        frame = next(made, None)  # the draw of the characters waits for the device
        if frame is None:
            return
        yield frame, time.perf_counter() - began


def run(writer, trial, watch=None):
    """Write a trial's texts -> a list of Samples, one per seed.

    watch: called with each Frame as it comes. The clock runs round the sampler alone.
    """
    rows, canvas = len(trial.seeds), trial.canvas
    if len(canvas.idx) < rows:
        canvas = canvas.repeat(rows)
    idx, masked = canvas.idx, canvas.masked
    nfe, full_passes, seconds = torch.zeros(rows), torch.zeros(rows), 0.0
    for frame, took in frames(writer, replace(trial, canvas=canvas)):
        seconds += took
        unfinished = masked.any(1)
        nfe, full_passes = nfe + unfinished, full_passes + unfinished * frame.computed
        idx, masked = frame.idx, frame.masked
        if watch is not None:
            watch(frame)
    return [
        Sample(
            text=writer.alphabet.decode(idx[b]),
            chars=int(canvas.masked[b].sum()),
            nfe=int(nfe[b]),
            full_passes=float(full_passes[b]),
            seconds=seconds if rows == 1 else None,
        )
        for b in range(rows)
    ]


@dataclass(frozen=True)
class Args:
    """The flags of every script that writes texts and measures them."""

    seeds: listed(int) = (1337,)  # one text per seed and prompt
    prompts: int = 8  # the default prompt, and the openings of held-out windows
    prompt_len: int = 16  # characters of a prompt
    max_new_tokens: int = 512  # characters to write
    batch: int = 16  # texts written together; those written alone are timed
    timed: int = 1  # texts of each setting written alone, for their seconds
    workers: int = 1  # processes; with more than one nothing is timed
    backend: str | None = None  # of joblib: loky, or a registered ray or dask
    data: Path | None = None  # the corpus; default data.txt
    evaluator: Path = EVALUATOR  # an independent GPT that scores the texts
    resume: Path | None = None  # folder of an interrupted run to go on with

    def __post_init__(self):
        for name in ("prompts", "max_new_tokens", "batch", "workers", "prompt_len"):
            check(getattr(self, name) >= 1, f"{name} must be at least 1, not {getattr(self, name)}")
        check(self.timed >= 0, f"timed must not be negative, but is {self.timed}")
        check(len(set(self.seeds)) == len(self.seeds), "--seeds: the same seed twice gives the same text twice")
        check_seeds(*self.seeds)
        check(self.resume is None or self.resume.is_dir(), f"--resume {self.resume}: no such folder")


@dataclass(frozen=True)
class Job:
    """One text to be written: the first columns of a row."""

    name: str  # of the settings, in tables and plots
    writer: Writer
    decoding: object
    seed: int
    prompt: str
    chars: int

    def columns(self):
        """What tells this job from any other."""
        made = {"name": self.name, "module": self.writer.name, "weights": self.writer.weights}
        return made | {"seed": self.seed, "prompt": self.prompt, **asdict(self.decoding), "chars": self.chars}


def grid(decoding, choices):
    """Every combination of the choices {setting: values} on a Decoding: a list of Decodings.

    Raises UserError for a setting that the method lacks.
    """
    known = {field.name for field in fields(decoding)}
    lacking = sorted(set(choices) - known)
    check(not lacking, f"this method has no {', '.join(lacking)}; it has {', '.join(sorted(known))}")
    return [replace(decoding, **dict(zip(choices, cell, strict=True))) for cell in itertools.product(*choices.values())]


def prompts(writer, reference, args):
    """The default prompt and openings of held-out windows, args.prompts in all where there is a corpus."""
    first = writer.prompt(args.prompt_len)
    if reference is None:
        return [first]
    rows = [row["prompt"] for row in reference.cut(args.prompts - 1, args.prompt_len, args.max_new_tokens)]
    short = f"--prompts {args.prompts}: the held-out text has room for {len(rows) + 1} of this length only"
    check(len(rows) == args.prompts - 1, short)
    check(first not in rows and len(set(rows)) == len(rows), f"--prompt-len {args.prompt_len}: some prompts are equal")
    return [first, *rows]


def jobs(name, writer, decoding, args, prompts):
    """A Job for each seed and prompt."""
    return [Job(name, writer, decoding, seed, prompt, args.max_new_tokens) for seed in args.seeds for prompt in prompts]


def describe(decoding, names):
    """Some settings in words: "temp 0.7, spacing 5"."""
    return ", ".join(f"{name} {getattr(decoding, name)}" for name in names) or "default"


def batches(todo, size, timed):
    """The jobs, in order, in lists that can be written together: of one setting, the first ones alone."""
    for _, group in itertools.groupby(todo, key=lambda job: (job.name, id(job.writer), job.decoding)):
        group = list(group)
        yield from ([job] for job in group[:timed])
        yield from (group[i : i + size] for i in range(timed, len(group), size))


def write_batch(batch, workers=1):
    """Write the texts of a batch of jobs -> rows."""
    if workers > 1:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))
    writer, chars = batch[0].writer, batch[0].chars
    prompts = torch.stack([writer.alphabet.encode(job.prompt) for job in batch])
    idx = torch.cat((prompts, torch.zeros(len(batch), chars, dtype=torch.long)), dim=1)
    canvas = Canvas(idx, (torch.arange(idx.size(1)) >= prompts.size(1)).repeat(len(batch), 1))
    samples = run(writer, Trial(canvas, batch[0].decoding, tuple(job.seed for job in batch)))
    return [
        job.columns()
        | {"nfe": sample.nfe, "full_passes": sample.full_passes, "seconds": sample.seconds if workers == 1 else None}
        | {"batch": len(batch), "jobs": workers, "text": sample.text}
        for job, sample in zip(batch, samples, strict=True)
    ]


def experiment(sets, args, reference, label, rows_file):
    """Write a text for each set of settings, seed and prompt -> (rows, their folder).

    sets: (name, writer, Decoding) each; label, rows_file: of the folder. What cannot be done is refused before there is one.
    """
    texts = prompts(sets[0][1], reference, args)
    todo = [job for name, writer, decoding in sets for job in jobs(name, writer, decoding, args, texts)]
    folder = records.Folder(args.output_dir, label, rows_file, args.resume)
    return produce(todo, folder, args, reference), folder


def produce(todo, folder, args, reference):
    """Write the texts that a folder does not hold yet, batch by batch -> all rows.

    todo: Jobs; each batch is measured against the reference before it is stored. A run that was interrupted and resumed
    ends with the rows of one that was not. Raises UserError when the folder holds another run's.
    """
    done = len(folder.rows)
    started = zip(folder.rows, todo, strict=False)
    same = done <= len(todo) and all(row == row | records.plain(job.columns()) for row, job in started)
    check(same, f"{folder.path}: holds rows of a run with other settings; --resume goes on with the same ones")
    waiting, left = [], done
    for batch in batches(todo, args.batch, args.timed if args.workers == 1 else 0):
        waiting, left = [*waiting, batch[left:]], max(0, left - len(batch))
    waiting = [batch for batch in waiting if batch]
    console = Console(stderr=True)
    with Progress(*Progress.get_default_columns(), console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("texts", total=len(todo), completed=done)
        try:
            for rows in _written(waiting, args):
                folder.append(quality.measure(rows, reference))
                bar.update(task, completed=len(folder.rows))
        except KeyboardInterrupt:
            records.warn(f"{len(folder.rows)} of {len(todo)} texts are written; go on with: --resume {folder.path}")
            raise
        finally:
            folder.export()
    return folder.rows


def _written(waiting, args):
    """The rows of each batch, in order."""
    if args.workers == 1:
        yield from map(write_batch, waiting)
        return
    with joblib.parallel_config(backend=args.backend or "loky", n_jobs=args.workers):
        yield from joblib.Parallel(return_as="generator")(joblib.delayed(write_batch)(b, args.workers) for b in waiting)
