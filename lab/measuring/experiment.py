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

    load(name, path) -> Engine, of the evaluator. Raises UserError when the engine knows other characters.
    """
    found = quality.Reference.of_data(args.data)
    if found is None:
        return None
    check_text(found.alphabet, args.data or "data.txt", engine, hint="give that with --data")
    hint = "docs/training.md says how to train one"
    exists = os.path.exists(args.evaluator)
    check(exists or args.evaluator == EVALUATOR, f"--evaluator {args.evaluator}: no such file. {hint}")
    evaluator = load("gpt", args.evaluator) if exists else None
    if evaluator is None or evaluator.alphabet != found.alphabet or evaluator.weights == engine.weights:
        none = f"{args.evaluator}: no independent evaluator of this text, so that generative_nll stays empty"
        note(f"{none}. {hint}")
        evaluator = None
    return replace(found, evaluator=evaluator)


def check_text(alphabet, path, *engines, hint="give weights of that text"):
    """Raise UserError unless the engines know the alphabet of a text, and no other; path: where that comes from."""
    for engine in engines:
        text = f"the text of {engine.weights}, which begins {engine.opening[:40]!r}"
        check(engine.alphabet == alphabet, f"{path}: has other characters than {text}; {hint}")


def grid(decoding, choices):
    """Every combination of the choices {setting: values} on a Decoding: a list of Decodings; equal values count once.

    Raises UserError for a setting that the method lacks.
    """
    known = {field.name for field in fields(decoding)}
    lacking = sorted(set(choices) - known)
    check(not lacking, f"this method has no {', '.join(lacking)}; it has {', '.join(sorted(known))}")
    cells = itertools.product(*map(dict.fromkeys, choices.values()))
    return [replace(decoding, **dict(zip(choices, cell, strict=True))) for cell in cells]


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
    short = f"--prompts {args.prompts}: the held-out text has room for {len(rows) + 1} of this length only"
    check(len(rows) == args.prompts - 1, short)
    check(first not in rows and len(set(rows)) == len(rows), f"--prompt-len {args.prompt_len}: some prompts are equal")
    return [first, *rows]


def batches(name, engine, decoding, args, prompts):
    """[(engine, Trial)] of one setting, a text for each seed and prompt: `timed` of them alone, the others in batches."""
    texts = list(itertools.product(args.seeds, prompts))
    timed = args.timed if args.is_timed else 0
    alone = texts[:timed]
    others = texts[timed:]
    planned = [[text] for text in alone]
    planned += [others[start : start + args.batch] for start in range(0, len(others), args.batch)]
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
    """Write texts, or those that the folder to go on with does not hold yet, trial by trial -> (all rows, their folder).

    todo: [(engine, Trial)]; label, rows_file: of the folder. The texts of a trial are measured against the reference, then
    stored. A run that was interrupted and resumed ends with the rows of one that was not. What cannot be done is refused
    before there is a folder.
    """
    sources = reference.sources() if reference else {"corpus": None, "evaluator": None}
    planned = [[key | sources for key in row_keys(*task)] for task in todo]
    ends = list(itertools.accumulate(map(len, planned)))
    engines = {id(engine): engine for engine, _ in todo}
    with workers.executor(_write, engines, args.workers, args.cluster) as submit:
        folder = records.RunDir(args.output_dir, label, rows_file, args.resume)
        done = rows_done(folder, list(itertools.chain(*planned)))
        left = [
            trial for trial in zip(todo, planned, ends, strict=True) if trial[-1] > done
        ]  # not written to their end
        futures = [submit((id(engine), trial)) for (engine, trial), _, _ in left]
        try:
            if args.is_timed:
                for engine, trial in {id(engine): (engine, trial) for (engine, trial), _, _ in left}.values():
                    trials.warm_up(engine, trial)
            with Bar("writing", ends[-1], done, "texts") as bar:
                for (_, keys, end), future in zip(left, futures, strict=True):
                    bar.show(len(folder.rows), keys[0]["name"])
                    last = {"batch": len(keys), "jobs": args.workers}
                    if not args.is_timed:
                        last |= {"seconds": None, "cpu_seconds": None}
                    rows = [key | vars(sample) | last for key, sample in zip(keys, future.result(), strict=True)]
                    folder.append(quality.measure(rows[len(folder.rows) - end :], reference))
        except KeyboardInterrupt:
            note(f"{len(folder.rows)} of {ends[-1]} texts are written; go on with: --resume {folder.path}")
            raise
        finally:
            folder.export()
    return folder.rows, folder


def rows_done(folder, planned):
    """How many of the planned texts, as `row_keys` says, a folder holds. Raises UserError if it holds others."""
    other = f"{folder.path}: holds rows of a run with other settings ({{}}); --resume goes on with the same ones"
    for row, head in zip(folder.rows, records.json_roundtrip(planned), strict=False):
        # older rows lack some columns
        differing = ", ".join(key for key, value in head.items() if row.get(key, value) != value)
        check(not differing, other.format(differing))
    check(len(folder.rows) <= len(planned), other.format(f"{len(planned)} texts"))
    settings = len({head["name"] for head in planned})
    note(f"{len(planned)} texts of {settings} settings, {len(folder.rows)} of them written before")
    return len(folder.rows)


def _write(engines, task):
    """A worker's task: (key of one of the engines, Trial) -> Samples."""
    return trials.run(engines[task[0]], task[1])


def print_summary(verdicts, folder, *command):
    """End a script: what it found, where its files are, and the script to run next with its flags."""
    print(*verdicts, f"files: {folder.path}", sep="\n")
    if command:
        print(f"next:  {uv_run(*command)}")
