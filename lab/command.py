"""What the methods' commands share: their flags, when they train, and how they write."""

import functools
import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from lab import cli
from lab.cli import check, check_range, say, typed_command
from lab.decoding import gaps, two_stage
from lab.decoding.canvas import Canvas
from lab.decoding.sampling import generator
from lab.measuring import trials
from lab.model import checkpoint, machine
from lab.model.corpus import Corpus
from lab.model.method import sampler_of
from lab.progress import Bar
from lab.showing import terminal
from lab.training import session


@dataclass(frozen=True)
class Args:
    train: bool = False  # train from scratch, then write
    resume: bool = False  # with --train: go on with the training that was interrupted
    init: Path | None = None  # with --train: start from these weights; with --resume the training began with them
    calibrate: bool = True  # with --train: whether one temperature is fitted to the validation split at the end
    weights: Path | None = None  # weights file to read, or with --train to make; default weights/NAME.pt
    data: Path | None = None  # UTF-8 text to train on, or to take the prompt from; default data.txt
    infill: str | None = None  # a text with missing characters: _ (the mask symbol) is one, * are some
    longest_gap: int = 16  # characters that a * of --infill stands for, at most
    prompt: str | None = None  # text to go on from; default the first --prompt-len characters of the corpus
    prompt_len: int = 16  # characters of the corpus's opening that are the default prompt
    max_new_tokens: int = 2000  # characters to write
    seed: int = 1337  # of everything random
    device: str | None = None  # cpu, cuda, mps...; default the accelerator if there is one
    sampler: str | None = None  # a sampler of your own, FILE.py:FUNCTION, in place of the method's

    def __post_init__(self):
        check_range(self, 0, math.inf, "prompt_len")
        check_range(self, 1, 10**6, "max_new_tokens")
        check(self.train or not (self.resume or self.init), "--resume and --init go with --train")
        check_range(self, 0, 2**32 - 1, "seed")  # torch takes no other ones for different
        check(None in (self.infill, self.prompt), "--infill fills a text that you give: leave out --prompt")
        if self.weights:
            checkpoint.check_name(self.weights)


def flags(method):
    """The class of a method's flags: those of every command, and those of its decoding, its training and its sizes."""

    @dataclass(frozen=True)
    class MethodArgs(Args):
        decoding: method.Decoding = method.decoding
        recipe: type(method.recipe) = method.recipe
        config: method.Config = method.config

        def __post_init__(self):
            super().__post_init__()
            check_flags(method, self)

    return MethodArgs


def run(method, argv=None):
    """A method's command: train when asked to, or when there is nothing to load yet; then write -> the exit status."""
    return cli.run(functools.partial(main, method), flags(method), argv, sys.modules[method.Model.__module__].__doc__)


def main(method, args):
    """Train when asked to, or when there is nothing to load yet; then write."""
    if args.sampler:
        method = replace(method, generate=sampler_of(args.sampler))
    if lacks_weights(method, args) and not args.train:
        say(f"{checkpoint.default_path(method.name)}: no such file; training it first")
    if lacks_weights(method, args) or args.train:
        corpus = Corpus(args.data)
        check_writing(method, args, corpus)
        session.train(method, args, corpus)
    write(method, args)


def lacks_weights(method, args):
    """Whether the default weights are asked for and not there yet."""
    return args.weights is None and not checkpoint.default_path(method.name).exists()


def check_flags(method, args):
    """Raise UserError for flags of a training that is not to be, and for settings without effect."""
    reject_unused(args.decoding, method.decoding)
    if args.train or lacks_weights(method, args):
        return
    for part, default in ((args.recipe, method.recipe), (args.config, method.config)):
        typed = " ".join(f"--{name.replace('_', '-')}" for name in changed(part, default, vars(part)))
        check(not typed, f"{typed}: training only; add --train or drop it")


def reject_unused(decoding, usual):
    """Raise UserError for settings, others than the usual ones, that would have no effect beside the others."""
    if hasattr(decoding, "draft_threshold") and not two_stage.is_on(decoding):
        unused = " and ".join(changed(decoding, usual, ("draft_threshold", "confirm_threshold", "replace_margin")))
        check(not unused, f"{unused}: no effect without two stages (needs draft_threshold < confidence_threshold)")
    if getattr(decoding, "steps", 0):
        ignored = changed(decoding, usual, ("confidence_threshold", "spacing"))
        check(not ignored, "--steps ignores confidence_threshold and spacing; drop them")


def changed(settings, usual, names):
    """Those of these settings that are not as usual."""
    return [name for name in names if getattr(settings, name) != getattr(usual, name)]


def check_writing(method, args, corpus):
    """Raise UserError before a training for what could not be written after it."""
    opening = corpus.opening(args.config.block_size if args.data is None else args.prompt_len)
    canvas = canvas_of(args, args.infill, corpus.alphabet, opening)
    if args.infill is not None and gaps.has_gap(args.infill, corpus.alphabet):
        gaps.check_gap(method, args.longest_gap, args.config.block_size)
    if method.is_causal:
        canvas.prompt_lengths()


def write(method, args):
    """Load the weights and write one text: on a terminal as it settles, else at its end; its figures on stderr."""
    if not machine.Ranks().is_main:
        return
    path = args.weights or checkpoint.default_path(method.name)
    hint = typed_command("--train") if Path(sys.argv[0]).name in (f"{method.name}.py", "methods.py") else None
    console = terminal.terminal()
    opening = None
    if args.data is not None and args.prompt is None:
        opening = Corpus(args.data).opening(args.prompt_len)
    with Bar(f"loading {path.name}"):
        engine = trials.load(method, path, args.device, hint)
        text = args.infill
        if text is not None:
            text = gaps.with_masks(engine, text, args.longest_gap, args.decoding.temp, generator(args.seed, text))
    canvas = canvas_of(args, text, engine.alphabet, opening or engine.opening)
    trial = trials.Trial(canvas, args.decoding, (args.seed,))
    if console.is_terminal:
        sample = terminal.typed(engine, trial, console)
    else:
        sample = trials.run(engine, trial)[0]
        print(sample.text)
    print(sample.figures(), file=sys.stderr)


def canvas_of(args, text, alphabet, opening):
    """What is to be written on. Raises UserError.

    text: to be filled, or None; opening: of the text that the default prompt is taken from.
    """
    if text is not None:
        if gaps.has_gap(text, alphabet):
            text = text.replace(gaps.GAP, alphabet.mask)
        return Canvas(*alphabet.encode_masked(text)).repeat(1)
    prompt = trials.head(opening, args.prompt_len) if args.prompt is None else args.prompt
    return Canvas.after(alphabet.encode(prompt), args.max_new_tokens)
