"""What the three commands share: their flags, when they train, and how they write."""

import sys
from dataclasses import dataclass
from pathlib import Path

from lab import checkpoint, machine, terminal, trials
from lab.canvas import Canvas
from lab.cli import check, check_seeds
from lab.corpus import Corpus


@dataclass(frozen=True)
class Args:
    train: bool = False  # train from scratch, then write
    resume: bool = False  # with --train: go on with the training that was interrupted
    init: Path | None = None  # with --train: start from these weights
    calibrate: bool = False  # with --train: whether to end by fitting one temperature to held-out text
    weights: Path | None = None  # weights file to read, or with --train to make; default weights/NAME.pt
    data: Path | None = None  # UTF-8 text to train on, or to take the prompt from; default data.txt
    prompt: str | None = None  # text to go on from; default the first --prompt-len characters of the corpus
    prompt_len: int = 16  # characters of the corpus's opening that are the default prompt
    max_new_tokens: int = 2000  # characters to write
    seed: int = 1337  # of everything random
    device: str | None = None  # cpu, cuda, mps...; default the accelerator if there is one

    def __post_init__(self):
        check(self.prompt_len >= 0, f"prompt_len must not be negative, but is {self.prompt_len}")
        check(self.max_new_tokens >= 1, f"max_new_tokens must be at least 1, not {self.max_new_tokens}")
        check(self.train or not (self.resume or self.init), "--resume and --init go with --train")
        check_seeds(self.seed)
        check(not (self.resume and self.init), "--resume goes on with a training, --init starts one: choose one")


def must_train(args, name):
    """Whether to train before writing: when asked to, or when the default weights are not there yet."""
    missing = args.weights is None and not checkpoint.default_path(name).exists()
    if missing and not args.train:
        print(f"{checkpoint.default_path(name)}: no such file; training it first", file=sys.stderr)
    return args.train or missing


def write(args, name, Model, generate, infill=None):
    """Load the weights and write one text: on a terminal as it settles, else at its end; its figures on stderr.

    infill: a text whose mask symbols are to be filled in, in place of a prompt to go on from.
    """
    if not machine.Ranks().is_main:
        return
    device = machine.pick_device(args.device)
    path = args.weights or checkpoint.default_path(name)
    console = terminal.terminal()
    with console.status(f"loading {path.name}"):
        model, alphabet, opening, _ = checkpoint.load(path, name, Model, type(args.config))
    writer = trials.Writer(name, model.to(device), generate, alphabet, opening)
    if infill is None:
        canvas = Canvas.after(alphabet.encode(choose_prompt(args, opening)), args.max_new_tokens)
    else:
        canvas = Canvas(*alphabet.encode_masked(infill)).repeat(1)
    trial = trials.Trial(canvas, args.decoding, (args.seed,))
    if console.is_terminal:
        sample = terminal.typed(writer, trial, console)
    else:
        sample = trials.run(writer, trial)[0]
        print(sample.text)
    print(sample.describe(), file=sys.stderr)


def choose_prompt(args, opening):
    """The prompt typed, else the first characters of the text typed, else of the text that the model knows."""
    if args.prompt is not None:
        return args.prompt
    if args.data is not None:
        opening = Corpus(args.data).opening(args.prompt_len)
    check(
        args.prompt_len <= len(opening),
        f"prompt_len {args.prompt_len}: the corpus's opening is known up to {len(opening)} characters only; use --prompt",
    )
    return opening[: args.prompt_len]
