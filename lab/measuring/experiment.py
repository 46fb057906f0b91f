"""An experiment: many trials, planned, written by one process or several, measured, and kept as rows, one for each text."""

import itertools
import math
import os
from dataclasses import asdict, dataclass, replace
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
        check_range(self, 1, MOST, "prompts", "prompt_len", "batch", "workers")
        check_range(self, 4, MOST, "max_new_tokens")  # some measures are of four characters in a row
        check_range(self, 0, math.inf, "timed")
        none = f"--resume {self.resume}: has no {records.ROWS}, so no run to go on with"
        check(self.resume is None or os.path.exists(self.resume / records.ROWS), none)

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
    is_missing = args.evaluator == EVALUATOR and not EVALUATOR.exists()
    evaluator = None if is_missing else load("gpt", args.evaluator, hint="docs/training.md says how")
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
    known = vars(decoding)
    lacking = sorted(choices.keys() - known.keys())
    check(not lacking, f"this method has no {', '.join(lacking)}; it has {', '.join(sorted(known))}")
    varied = [name for name, values in choices.items() if len(values) > 1] or choices
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
    openings = [engine.prompt(args.prompt_len)]
    if reference is None:
        return openings
    openings += [row["prompt"] for row in reference.cut(args.prompts - 1, args.prompt_len, args.max_new_tokens)]
    found = list(dict.fromkeys(openings))
    few = f"--prompts {args.prompts}: the held-out text has room for {len(found)} different ones of this length only"
    check(len(found) == args.prompts, few)
    return found


def batches(name, engine, decoding, args, prompts):
    """[(engine, Trial, keys)] of one setting, a text for each seed and prompt: `timed` of them alone, the others in batches.

    keys: for each text the columns that identify its row.
    """
    texts = list(itertools.product(args.seeds, prompts))
    timed = args.timed if args.is_timed else 0
    planned = [[text] for text in texts[:timed]]
    planned += [texts[start : start + args.batch] for start in range(timed, len(texts), args.batch)]
    writer = {"name": name, "module": engine.name, "weights": engine.weights, "sampler": engine.sampler}
    setting = writer | asdict(decoding) | {"chars": args.max_new_tokens}
    tasks = []
    for batch in planned:
        seeds, openings = zip(*batch, strict=True)
        canvas = Canvas.after(encoded(engine, openings), args.max_new_tokens)
        keys = [setting | {"seed": seed, "prompt": prompt} for seed, prompt in batch]
        tasks.append((engine, Trial(canvas, decoding, seeds), keys))
    return tasks


def encoded(engine, prompts):
    """Prompts of one length P as tokens, (B, P)."""
    return torch.stack([engine.alphabet.encode(prompt) for prompt in prompts])


def write(settings, args, load, label):
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
    return *generate_rows(todo, args, real, label), real


def generate_rows(todo, args, reference, label):
    """Write texts trial by trial -> (a row for each, their folder); those that the folder to go on with holds are its own.

    todo: as `batches` gives it; label: of the folder. The texts of a trial are measured against the reference, then
    stored. What cannot be done is refused before there is a folder.
    """
    evaluator = reference.evaluator if reference else None
    sources = {"corpus": reference and reference.corpus, "evaluator": evaluator and evaluator.weights}
    planned = records.json_roundtrip([[key | sources for key in keys] for *_, keys in todo])
    with workers.executor(_write, todo, args.workers, args.cluster) as results:
        folder = records.RunDir(args.output_dir, label, args.resume)
        lacking = [n for n, keys in enumerate(planned) if None in map(folder.find, keys)]
        try:
            if args.is_timed:  # the first passes of a process are slow
                for engine, trial, keys in {id(todo[n][0]): todo[n] for n in lacking}.values():
                    engine.write(keys[0]["prompt"], 20, decoding=trial.decoding)
            with Bar("writing", len(lacking), unit="batches") as bar:
                for n, samples in zip(lacking, results(lacking), strict=True):
                    rows = zip(planned[n], measured(planned[n], samples, args, reference), strict=True)
                    folder.append([row for key, row in rows if folder.find(key) is None])
                    bar.show(bar.work.completed + 1)
        except KeyboardInterrupt:
            note(f"what is written stays; go on with: --resume {folder.path}")
            raise
    return [folder.find(key) for keys in planned for key in keys], folder


def measured(keys, samples, args, reference):
    """The rows of a trial, with their measures; seconds are those of texts that nothing was written beside."""
    clocks = {} if args.is_timed else {"seconds": None, "cpu_seconds": None}
    rows = [key | vars(sample) | clocks | {"batch": len(keys)} for key, sample in zip(keys, samples, strict=True)]
    return quality.measure(rows, reference)


def _write(todo, n):
    """A worker's task: write the n-th trial of those planned -> Samples."""
    engine, trial, _ = todo[n]
    return trials.run(engine, trial)


def print_summary(verdicts, folder, *command):
    """End a script: what it found, where its files are, and the script to run next with its flags."""
    print(*verdicts, f"files: {folder.path}", f"next:  {uv_run(*command)}", sep="\n")
