"""An experiment: many trials, planned, written by one process or several, measured, and kept as rows, one for each text."""

import itertools
import math
import os
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import torch

from lab.cli import ROOT, check, check_range, comma_list, uv_run
from lab.decoding.canvas import Canvas
from lab.measuring import quality, records, trials, workers
from lab.measuring.trials import Trial
from lab.progress import Bar, note

EVALUATOR = ROOT / "weights" / "evaluator.pt"
MOST = 10**6  # prompts, and characters of a text


@dataclass(frozen=True)
class Args:
    """The flags of every script that writes texts and measures them."""

    seeds: comma_list(int) = (1337,)  # one text per seed and prompt
    prompts: int = 8  # the default prompt, and the openings of held-out windows
    prompt_len: int = 16  # characters of a prompt
    max_new_tokens: int = 512  # characters to write
    batch: int = 16  # texts written together; those written alone are timed
    timed: int = 1  # texts of each setting written alone, for their seconds, where one process writes
    workers: int = 1  # processes; with more than one nothing is timed
    cluster: str | None = None  # address of a dask scheduler, tcp://host:8786, whose workers write
    sampler: str | None = None  # a sampler of your own, FILE.py:FUNCTION, in place of the methods'
    data: Path | None = None  # the corpus; default data.txt
    evaluator: Path = EVALUATOR  # an independent GPT that scores the texts
    resume: Path | None = None  # folder of an interrupted run to go on with

    def __post_init__(self):
        check_range(self, 1, MOST, "prompts", "prompt_len", "max_new_tokens", "batch", "workers")
        check_range(self, 0, math.inf, "timed")
        check(self.resume is None or os.path.isdir(self.resume), f"--resume {self.resume}: no such folder")

    @property
    def is_timed(self):
        """Whether one text is written at a time, so that its seconds say something."""
        return self.workers == 1 and self.cluster is None


def reference(args, engine, load):
    """The real text that texts are measured against; None, with a note, when the default corpus cannot be had.

    load: methods.load, for the evaluator. Raises UserError when the engine knows other characters.
    """
    found = quality.Reference.of_data(args.data)
    if found is None:
        return None
    check_text(found.alphabet, args.data or "data.txt", engine, hint="give that with --data")
    is_missing = args.evaluator == EVALUATOR and not os.path.exists(EVALUATOR)
    evaluator = None if is_missing else load("gpt", args.evaluator, remedy="docs/training.md says how")
    if evaluator is None or evaluator.alphabet != found.alphabet or evaluator.weights == engine.weights:
        none = f"{args.evaluator}: no independent evaluator of this text, so that generative_nll stays empty"
        note(f"{none}. docs/training.md says how to train one")
        return found
    return replace(found, evaluator=evaluator)


def check_text(alphabet, path, *engines, hint="give weights of that text"):
    """Raise UserError unless the engines know the alphabet of a text, and no other; path: where that comes from."""
    for engine in engines:
        text = f"the text of {engine.weights}, which begins {engine.opening[:40]!r}"
        check(engine.alphabet == alphabet, f"{path}: has other characters than {text}; {hint}")


def grid(decoding, choices):
    """Every combination of the choices {setting: values} on a Decoding: {what varies, in words: Decoding}.

    Raises UserError for a setting that the method lacks.
    """
    known = {field.name for field in fields(decoding)}
    lacking = sorted(set(choices) - known)
    check(not lacking, f"this method has no {', '.join(lacking)}; it has {', '.join(sorted(known))}")
    varied = [name for name, values in choices.items() if len(dict.fromkeys(values)) > 1] or choices
    cells = {}
    for values in itertools.product(*choices.values()):
        cell = replace(decoding, **dict(zip(choices, values, strict=True)))
        cells[settings_label(cell, varied)] = cell
    return cells


def settings_label(decoding, settings):
    """Some settings in words: "temp 0.7, spacing 5"."""
    values = {name: getattr(decoding, name) for name in settings}
    return ", ".join(f"{name} {'all' if value is None else value}" for name, value in values.items()) or "default"


def prompts(engine, reference, args):
    """The default prompt and openings of held-out windows, args.prompts in all where there is a corpus."""
    first = engine.prompt(args.prompt_len)
    if reference is None:
        return [first]
    rows = [row["prompt"] for row in reference.cut(args.prompts - 1, args.prompt_len, args.max_new_tokens)]
    found = list(dict.fromkeys([first, *rows]))
    few = f"--prompts {args.prompts}: the held-out text has room for {len(found)} different ones of this length only"
    check(len(found) == args.prompts, few)
    return found


def batches(name, engine, decoding, args, prompts):
    """[(engine, Trial)] of one setting, a text for each seed and prompt: `timed` of them alone, the others in batches."""
    texts = list(itertools.product(args.seeds, prompts))
    timed = args.timed if args.is_timed else 0
    planned = [[text] for text in texts[:timed]]
    planned += [texts[start : start + args.batch] for start in range(timed, len(texts), args.batch)]
    tasks = []
    for batch in planned:
        seeds, openings = zip(*batch, strict=True)
        canvas = Canvas.after(encoded(engine, openings), args.max_new_tokens)
        tasks.append((engine, Trial(canvas, decoding, seeds, name)))
    return tasks


def encoded(engine, prompts):
    """Prompts of one length P as tokens, (B, P)."""
    return torch.stack([engine.alphabet.encode(prompt) for prompt in prompts])


def row_keys(engine, trial):
    """The columns that identify the row of each text."""
    for seed, idx, masked in zip(trial.seeds, trial.canvas.idx, trial.canvas.masked, strict=True):
        yield {
            "name": trial.name,
            "module": engine.name,
            "weights": engine.weights,
            "sampler": engine.sampler,
            "seed": seed,
            "prompt": engine.alphabet.decode(idx[~masked]),
            **asdict(trial.decoding),
            "chars": int(masked.sum()),
        }


def write(settings, args, load, label, rows_file):
    """Write a text for each setting, seed and prompt -> (rows, their folder, the `reference` that they are measured against).

    settings: {name: (engine, Decoding)}.
    """
    first, *others = (engine for engine, _ in settings.values())
    real = reference(args, first, load)
    check_text(first.alphabet, first.weights, *others, hint="compare models of one text")
    texts = prompts(first, real, args)
    todo = []
    for name, (engine, decoding) in settings.items():
        todo += batches(name, engine, decoding, args, texts)
    return *generate_rows(todo, args, real, label, rows_file), real


def generate_rows(todo, args, reference, label, rows_file):
    """Write texts trial by trial -> (a row for each, their folder); those that the folder to go on with holds are its own.

    todo: [(engine, Trial)]; label, rows_file: of the folder. The texts of a trial are measured against the reference, then
    stored. What cannot be done is refused before there is a folder.
    """
    sources = reference.sources() if reference else {"corpus": None, "evaluator": None}
    planned = [[key | sources for key in row_keys(*task)] for task in todo]
    count = sum(map(len, planned))
    with workers.executor(_write, todo, args.workers, args.cluster) as submit:
        folder = records.RunDir(args.output_dir, label, args.resume)
        stored = [folder.find(keys) for keys in planned]
        futures = {n: submit(n) for n, found in enumerate(stored) if None in found}
        known = sum(len(keys) for n, keys in enumerate(planned) if n not in futures)
        if args.resume:
            note(f"{folder.path}: holds {known} of these {count} texts")
        try:
            if args.is_timed:
                for engine, trial in {id(todo[n][0]): todo[n] for n in futures}.values():
                    trials.warm_up(engine, trial)
            with Bar("writing", count, known, "texts") as bar:
                for n, future in futures.items():
                    bar.show(known, planned[n][0]["name"])
                    stored[n] = folder.append(measured(planned[n], future.result(), args, reference))
                    known += len(planned[n])
        except KeyboardInterrupt:
            note(f"{known} of {count} texts are written; go on with: --resume {folder.path}")
            raise
        finally:
            rows = [row for found in stored for row in found if row is not None]
            folder.write(rows_file, rows)
    return rows, folder


def measured(keys, samples, args, reference):
    """The rows of a trial, with their measures; seconds are those of texts that nothing was written beside."""
    rows = []
    for key, sample in zip(keys, samples, strict=True):
        row = key | vars(sample) | {"batch": len(keys), "jobs": args.workers}
        rows.append(row if args.is_timed else row | {"seconds": None, "cpu_seconds": None})
    return quality.measure(rows, reference)


def _write(todo, n):
    """A worker's task: write the n-th trial of those planned -> Samples."""
    return trials.run(*todo[n])


def print_summary(verdicts, folder, *command):
    """End a script: what it found, where its files are, and the script to run next with its flags."""
    print(*verdicts, f"files: {folder.path}", f"next:  {uv_run(*command)}", sep="\n")
