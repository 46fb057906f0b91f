"""What the three commands share: their flags, when they train, and how they write."""

import sys
from dataclasses import dataclass, fields
from pathlib import Path

from lab import checkpoint, machine, onnx_runtime, terminal, trials
from lab.canvas import Canvas
from lab.cli import check, check_seeds, say, typed_command
from lab.corpus import Corpus
from lab.progress import Bar

MOST = 10_000_000  # characters of one text: what still fits a small machine's memory


@dataclass(frozen=True)
class Args:
    train: bool = False  # train from scratch, then write
    resume: bool = False  # with --train: go on with the training that was interrupted
    init: Path | None = None  # with --train: start from these weights
    calibrate: bool = True  # with --train: whether one temperature is fitted to the validation split at the end
    weights: Path | None = None  # weights file to read, or with --train to make; default weights/NAME.pt
    data: Path | None = None  # UTF-8 text to train on, or to take the prompt from; default data.txt
    infill: str | None = None  # a text whose missing characters, each written as _ (the mask symbol), are filled in
    prompt: str | None = None  # text to go on from; default the first --prompt-len characters of the corpus
    prompt_len: int = 16  # characters of the corpus's opening that are the default prompt
    max_new_tokens: int = 2000  # characters to write
    seed: int = 1337  # of everything random
    device: str | None = None  # cpu, cuda, mps...; default the accelerator if there is one
    runtime: onnx_runtime.Runtime = "torch"  # what computes the network when it writes: PyTorch, or ONNX Runtime

    def __post_init__(self):
        check(self.prompt_len >= 0, f"prompt_len must not be negative, but is {self.prompt_len}")
        right = 1 <= self.max_new_tokens <= MOST
        check(right, f"max_new_tokens must lie in 1..{MOST:,}, not {self.max_new_tokens}")
        check(self.train or not (self.resume or self.init), "--resume and --init go with --train")
        check_seeds(self.seed)
        going_on = self.prompt, self.prompt_len, self.max_new_tokens
        fills = "--infill fills a text that you give: leave out --prompt, --prompt-len and --max-new-tokens"
        check(self.infill is None or going_on == (None, Args.prompt_len, Args.max_new_tokens), fills)
        check_prompt(self)
        onnx_runtime.check_installed(self.runtime, self.device)
        check(not (self.resume and self.init), "--resume goes on with a training, --init starts one: choose one")


def check_prompt(args):
    """Raise UserError for a prompt_len that would have no effect beside a prompt."""
    plain = args.prompt is None or args.prompt_len == type(args).prompt_len
    check(plain, "--prompt-len: of the default prompt; leave it out, or --prompt")


def must_train(args, name):
    """Whether to train before writing: when asked to, or when the default weights are not there yet.

    Raises UserError for flags of a training that is not to be, and for settings without effect.
    """
    check_idle(args.decoding)
    missing = args.weights is None and not checkpoint.default_path(name).exists()
    if missing and not args.train:
        say(f"{checkpoint.default_path(name)}: no such file; training it first")
    usual = type(args)()
    for part, default in ((args.recipe, usual.recipe), (args.config, usual.config)):
        changed = [field.name for field in fields(part) if getattr(part, field.name) != getattr(default, field.name)]
        flags = " ".join(f"--{flag.replace('_', '-')}" for flag in changed)
        check(args.train or missing or not changed, f"{flags}: of a training; give --train with it, or leave it out")
    typed = args.infill is not None or args.prompt is not None
    read = args.train or missing or not (args.data and typed)
    check(read, "--data: to train on, or to take the prompt from; leave it out, or --prompt and --infill")
    return args.train or missing


def check_idle(decoding):
    """Raise UserError for settings that would have no effect beside the others."""
    usual, draft = type(decoding)(), getattr(decoding, "draft_threshold", None)
    if draft is not None and draft >= decoding.confidence_threshold:
        staged = ("draft_threshold", "confirm_threshold", "replace_margin")
        idle = " and ".join(name for name in staged if getattr(decoding, name) != getattr(usual, name))
        check(not idle, f"{idle}: of two stages; give a draft_threshold below confidence_threshold, or leave it out")
    if getattr(decoding, "steps", 0):
        same = all(getattr(decoding, name) == getattr(usual, name) for name in ("confidence_threshold", "spacing"))
        check(same, "steps: unmasks at random; leave out confidence_threshold and spacing")


def write(args, name, Model, generate):
    """Load the weights and write one text: on a terminal as it settles, else at its end; its figures on stderr."""
    if not machine.Ranks().is_main:
        return
    path = args.weights or checkpoint.default_path(name)
    remedy = typed_command("--train") if Path(sys.argv[0]).name == f"{name}.py" else None
    console = terminal.terminal()
    with Bar(f"loading {path.name}"):
        model, alphabet, opening, _ = checkpoint.load(path, name, Model, type(args.config), remedy)
        device = machine.pick_device("cpu" if args.runtime == "onnx" else args.device)
        model = onnx_runtime.choose(model.to(device), args.runtime)
    writer = trials.Writer(name, model, generate, alphabet, opening, args.decoding)
    trial = trials.Trial(canvas_of(args, alphabet, opening), args.decoding, (args.seed,))
    if console.is_terminal:
        sample = terminal.typed(writer, trial, console)
    else:
        sample = trials.run(writer, trial)[0]
        print(sample.text)
    print(sample.figures(), file=sys.stderr)


def canvas_of(args, alphabet, opening):
    """What is to be written on. Raises UserError."""
    if args.infill is not None:
        return Canvas(*alphabet.encode_masked(args.infill)).repeat(1)
    return Canvas.after(alphabet.encode(choose_prompt(args, opening)), args.max_new_tokens)


def choose_prompt(args, opening):
    """The prompt typed, else the first characters of the text typed, else of the text that the model knows."""
    if args.prompt is not None:
        return args.prompt
    if args.data is not None:
        opening = Corpus(args.data).opening(args.prompt_len)
    known = f"the corpus's opening is known up to {len(opening)} characters only; use --prompt"
    check(args.prompt_len <= len(opening), f"prompt_len {args.prompt_len}: {known}")
    return opening[: args.prompt_len]
