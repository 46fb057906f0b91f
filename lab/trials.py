"""Trials: texts written together, by one writer with one set of decoding settings; what they cost; and many of them in a run.

A run's trials are planned, written (`lab.workers`), and kept as rows, one for each text.
"""

import bisect
import itertools
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import torch
from torch import nn

from lab import machine, onnx_runtime, quality, records, workers
from lab.canvas import Canvas
from lab.cli import ROOT, check, check_seeds, listed, uv_run
from lab.corpus import Alphabet
from lab.progress import Bar
from lab.sampling import generator

EVALUATOR = ROOT / "weights" / "evaluator.pt"
MOST = {"prompts": 10**6, "prompt_len": 10**6, "max_new_tokens": 10**6, "batch": 1024, "workers": 256}


@dataclass(frozen=True)
class Writer:
    """A trained model that can write."""

    name: str  # of the method
    model: nn.Module  # on its device, in evaluation mode
    generate: Callable  # the method's sampler
    alphabet: Alphabet  # of the text it was trained on
    opening: str  # the first characters of that text
    decoding: object  # the method's Decoding, as it writes by default
    weights: str = ""  # name and digest of the file it came from

    def prompt(self, length):
        """The default prompt: the first `length` characters. Raises UserError when so many are not known."""
        most = len(self.opening)
        check(0 <= length <= most, f"prompt_len must lie in 0..{most}, not {length}")
        return self.opening[:length]

    def write(self, text, new=240, seed=1337, decoding=None):
        """A text with its mask symbols (`_`) filled in and `new` characters added -> the whole text.

        decoding: the method's, such as diffusion.Decoding(spacing=3). Raises UserError for characters it does not know.
        """
        canvas = Canvas(*self.alphabet.encode_masked(text + self.alphabet.mask * new)).repeat(1)
        return run(self, Trial(canvas, decoding or self.decoding, (seed,)))[0].text


@dataclass(frozen=True)
class Trial:
    """What to write and how."""

    canvas: Canvas  # one text (1, L), written once for each seed, or as many texts as there are seeds
    decoding: object  # the method's Decoding
    seeds: tuple[int, ...]  # one for each text
    name: str = ""  # of the settings, in tables and plots

    def __post_init__(self):
        check_seeds(*self.seeds)
        check(len(f"{self.name} ".splitlines()) == 1, f"{self.name!r}: a name of settings is one line")


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
        """What it cost in a line."""
        line = f"{self.chars:,} new characters, {self.nfe:,} calls (NFE; {self.full_passes:.1f} full passes), "
        line += f"{self.chars / self.nfe:.1f} characters per call"
        if self.seconds is not None:
            line += f", {self.seconds:.2f} s, {self.chars / self.seconds:,.0f} characters per second"
        busy = machine.is_busy(self.seconds, self.cpu_seconds)
        return line + (f" (busy machine: only {self.cpu_seconds:.2f} s of CPU in that time)" if busy else "")


def stream(seed, idx, masked):
    """Random numbers for one text (L,): equal for two settings, independent for two seeds or two known texts."""
    return generator(seed, idx[~masked].numpy().tobytes())


def frames(writer, trial):
    """Drain a trial's sampler: yields each Frame and the seconds that it took, whatever is done between two of them."""
    rngs = [stream(*text) for text in zip(trial.seeds, trial.canvas.idx, trial.canvas.masked, strict=True)]
    made = writer.generate(writer.model, trial.canvas, trial.decoding, rngs)
    positions = trial.canvas.idx.numel()  # the first call may read a whole prompt
    try:
        while True:
            began = time.perf_counter()
            machine.use_threads(positions)  # at each call: samplers of several models may take turns
            frame = next(made, None)  # the draw of the characters waits for the device
            if frame is None:
                return
            positions = frame.columns.numel()
            yield frame, time.perf_counter() - began
    finally:
        machine.use_threads()


def run(writer, trial, watch=None):
    """Write a trial's texts -> a list of Samples, one per seed.

    watch: called with each Frame and the seconds that it took. The clocks run round the sampler alone.
    """
    texts, canvas = len(trial.seeds), trial.canvas
    if len(canvas.idx) < texts:
        canvas = canvas.repeat(texts)
    idx, masked = canvas.idx, canvas.masked
    nfe, full_passes, seconds, cpu_seconds = torch.zeros(texts, dtype=torch.long), torch.zeros(texts), 0.0, 0.0
    began = time.process_time()
    for frame, took in frames(writer, replace(trial, canvas=canvas)):
        seconds, cpu_seconds = seconds + took, cpu_seconds + time.process_time() - began
        unfinished = masked.any(1)
        nfe, full_passes = nfe + unfinished, full_passes + unfinished * frame.computed
        idx, masked = frame.idx, frame.masked
        if watch is not None:
            watch(frame, took)
        began = time.process_time()
    on_cpu = all(p.device.type == "cpu" for p in writer.model.parameters())
    clocks = (seconds, cpu_seconds if on_cpu else None) if texts == 1 else (None, None)
    counts = zip(canvas.masked.sum(1).tolist(), nfe.tolist(), full_passes.tolist(), strict=True)
    return [Sample(*count, *clocks, writer.alphabet.decode(text)) for count, text in zip(counts, idx, strict=True)]


def warm_up(writer, trial):
    """Write the first 20 characters of a trial's first text for nobody: the first passes of a process are slow."""
    stop = int((~trial.canvas.masked[0]).sum()) + 20
    start = Canvas(trial.canvas.idx[:1, :stop], trial.canvas.masked[:1, :stop])
    run(writer, replace(trial, canvas=start, seeds=trial.seeds[:1]))


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
    cluster: str | None = None  # address of a dask scheduler, tcp://host:8786, whose workers write
    runtime: onnx_runtime.Runtime = "torch"  # what computes the networks that write: PyTorch, or ONNX Runtime
    data: Path | None = None  # the corpus; default data.txt
    evaluator: Path = EVALUATOR  # an independent GPT that scores the texts
    resume: Path | None = None  # folder of an interrupted run to go on with

    def __post_init__(self):
        check_sizes(self)
        onnx_runtime.check_installed(self.runtime)
        check(self.timed >= 0, f"timed must not be negative, but is {self.timed}")
        check(len(set(self.seeds)) == len(self.seeds), "--seeds: the same seed twice gives the same text twice")
        check_seeds(*self.seeds)
        check(self.resume is None or os.path.isdir(self.resume), f"--resume {self.resume}: no such folder")
        check(self.workers == 1 or self.cluster is None, "--workers are of this machine, --cluster not: choose one")
        check(self.is_timed or self.timed <= 1, "--timed: one process writes; leave it out, or --workers and --cluster")

    @property
    def is_timed(self):
        """Whether one text is written at a time, so that its seconds say something."""
        return self.workers == 1 and self.cluster is None


def check_sizes(args, names=MOST):
    """Raise UserError unless these numbers of a script's flags lie between 1 and MOST."""
    for name in names:
        value = getattr(args, name)
        check(1 <= value <= MOST[name], f"{name} must lie in 1..{MOST[name]:,}, not {value:,}")


def reference(args, writer, load):
    """The real text that texts are measured against; None, with a note, when the default corpus cannot be had.

    load(name, path) -> Writer, of the evaluator. Raises UserError when the writer knows other characters.
    """
    found, path = quality.Reference.of_data(args.data), args.data or ROOT / "data.txt"
    if found is None:
        return None
    check_text(found.alphabet, path, writer, remedy="give that with --data")
    other = "--seed", "2", "--n-embd", "160", "--weights", "my_evaluator.pt"  # not the model that writes
    train = uv_run("gpt.py", "--train", "--data", path, *other)
    remedy, exists = f"To train one: {train}; then add --evaluator my_evaluator.pt", os.path.exists(args.evaluator)
    check(exists or args.evaluator == EVALUATOR, f"--evaluator {args.evaluator}: no such file. {remedy}")
    evaluator = load("gpt", args.evaluator) if exists else None
    if evaluator is None or evaluator.alphabet != found.alphabet or evaluator.weights == writer.weights:
        none = f"{args.evaluator}: no independent evaluator of this text, so that generative_nll stays empty"
        records.warn(f"{none}. {remedy}")
        evaluator = None
    return replace(found, evaluator=evaluator)


def check_text(alphabet, path, *writers, remedy="give weights of that text"):
    """Raise UserError unless the writers know the alphabet of a text, and no other; path: where that comes from."""
    for writer in writers:
        text = f"the text of {writer.weights}, which begins {writer.opening[:40]!r}"
        check(writer.alphabet == alphabet, f"{path}: has other characters than {text}; {remedy}")


def grid(decoding, choices):
    """Every combination of the choices {setting: values} on a Decoding: a list of Decodings; equal values count once.

    Raises UserError for a setting that the method lacks.
    """
    known = {field.name for field in fields(decoding)}
    lacking = sorted(set(choices) - known)
    check(not lacking, f"this method has no {', '.join(lacking)}; it has {', '.join(sorted(known))}")
    cells = itertools.product(*map(dict.fromkeys, choices.values()))
    return [replace(decoding, **dict(zip(choices, cell, strict=True))) for cell in cells]


def name_of(decoding, settings):
    """Some settings in words: "temp 0.7, spacing 5"."""
    values = {name: getattr(decoding, name) for name in settings}
    return ", ".join(f"{name} {'all' if value is None else value}" for name, value in values.items()) or "default"


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


def plan(name, writer, decoding, args, prompts):
    """[(writer, Trial)] of one setting, a text for each seed and prompt: `timed` of them alone, the others in batches."""
    texts = list(itertools.product(args.seeds, prompts))
    timed = min(args.timed, len(texts)) if args.is_timed else 0
    cuts = [*range(timed), *range(timed, len(texts), args.batch), len(texts)]
    batches = [zip(*texts[start:stop], strict=True) for start, stop in itertools.pairwise(cuts)]
    canvases = [(seeds, Canvas.after(encoded(writer, own), args.max_new_tokens)) for seeds, own in batches]
    return [(writer, Trial(canvas, decoding, seeds, name)) for seeds, canvas in canvases]


def encoded(writer, prompts):
    """Prompts of one length P as tokens, (B, P)."""
    return torch.stack([writer.alphabet.encode(prompt) for prompt in prompts])


def heads(writer, trial):
    """The first columns of each text's row, which tell it from any other."""
    for seed, idx, masked in zip(trial.seeds, trial.canvas.idx, trial.canvas.masked, strict=True):
        head = {"name": trial.name, "module": writer.name, "weights": writer.weights, "seed": seed}
        head |= {"prompt": writer.alphabet.decode(idx[~masked]), **asdict(trial.decoding)}
        yield head | {"chars": int(masked.sum())}


def experiment(settings, args, reference, label, rows_file):
    """Write a text for each setting, seed and prompt -> (rows, their folder). settings: {name: (writer, Decoding)}."""
    first, *others = (writer for writer, _ in settings.values())
    check_text(first.alphabet, first.weights, *others, remedy="compare models of one text")
    texts = prompts(first, reference, args)
    todo = [task for name, (writer, decoding) in settings.items() for task in plan(name, writer, decoding, args, texts)]
    return produce(todo, args, reference, label, rows_file)


def produce(todo, args, reference, label, rows_file):
    """Write texts, or those that the folder to go on with does not hold yet, trial by trial -> (all rows, their folder).

    todo: [(writer, Trial)]; label, rows_file: of the folder. The texts of a trial are measured against the reference, then
    stored. A run that was interrupted and resumed ends with the rows of one that was not. What cannot be done is refused
    before there is a folder.
    """
    sources = reference.sources() if reference else {"corpus": None, "evaluator": None}
    planned, writers = [[head | sources for head in heads(*task)] for task in todo], {id(w): w for w, _ in todo}
    ends = list(itertools.accumulate(map(len, planned)))
    with workers.executor(_write, writers, args.workers, args.cluster) as submit:
        folder = records.Folder(args.output_dir, label, rows_file, args.resume)
        done = begun(folder, list(itertools.chain(*planned)))
        first = bisect.bisect_right(ends, done)  # the trial that is not written yet, or not to its end
        futures = [submit((id(writer), trial)) for writer, trial in todo[first:]]
        try:
            if args.is_timed:
                for writer, trial in {id(task[0]): task for task in todo[first:]}.values():
                    warm_up(writer, trial)
            with Bar("writing", ends[-1], done, "texts") as bar:
                for own, end, future in zip(planned[first:], ends[first:], futures, strict=True):
                    bar.show(len(folder.rows), own[0]["name"])
                    last = {"batch": len(own), "jobs": args.workers}
                    last |= {} if args.is_timed else {"seconds": None, "cpu_seconds": None}
                    rows = [head | vars(text) | last for head, text in zip(own, future.result(), strict=True)]
                    folder.append(quality.measure(rows[len(folder.rows) - end :], reference))
        except KeyboardInterrupt:
            records.warn(f"{len(folder.rows)} of {ends[-1]} texts are written; go on with: --resume {folder.path}")
            raise
        finally:
            folder.export()
    return folder.rows, folder


def begun(folder, planned):
    """How many of the planned texts, the heads of their rows, a folder holds. Raises UserError if it holds others."""
    other = f"{folder.path}: holds rows of a run with other settings ({{}}); --resume goes on with the same ones"
    for row, head in zip(folder.rows, records.plain(planned), strict=False):
        differing = ", ".join(
            key for key, value in head.items() if row.get(key, value) != value
        )  # older rows lack some
        check(not differing, other.format(differing))
    check(len(folder.rows) <= len(planned), other.format(f"{len(planned)} texts"))
    settings = len({head["name"] for head in planned})
    records.warn(f"{len(planned)} texts of {settings} settings, {len(folder.rows)} of them written before")
    return len(folder.rows)


def _write(writers, task):
    """A worker's task: (key of one of the writers, Trial) -> Samples."""
    return run(writers[task[0]], task[1])


def conclude(verdicts, rows, folder, *command):
    """End a script: what it found, where its files are, and the script to run next with its flags."""
    timed = [row for row in rows if row.get("seconds") is not None]
    late = sum(machine.is_busy(row["seconds"], row.get("cpu_seconds")) for row in timed)
    if late:
        records.warn(f"{late} of {len(timed)} timed texts had to wait for a busy machine: their seconds say too much")
    print(*verdicts, f"files: {folder.path}", sep="\n")
    if command:
        print(f"next:  {uv_run(*command)}")
