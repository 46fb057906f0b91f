"""Watch them write: diffusion settles many characters a forward pass, GPT one.

    uv run visualize.py                    a page in the browser, or the terminal where there is no display
    uv run visualize.py --flow --compare --save outputs/flow_vs_gpt.gif --fps 24

Shows the very frames of `generate`, on their measured seconds, one text at a time.
"""

import os
import sys
import webbrowser
from dataclasses import dataclass
from pathlib import Path

import lab.start  # noqa: F401 (before PyTorch)

import diffusion
import methods
from lab import cli
from lab.cli import ROOT, check
from lab.decoding.canvas import Canvas
from lab.files import check_place
from lab.measuring.trials import Trial
from lab.progress import Bar
from lab.showing import film, page, painter, terminal

PAGE = ROOT / "outputs" / "film.html"  # below the project: a browser in a sandbox sees no folder for passing files


@dataclass(frozen=True)
class Args:
    flow: bool = False  # diffusion_flow.py in place of diffusion.py
    method: cli.comma_list(str) = ()  # other methods in their place, by their names or their files my_method.py
    compare: bool = False  # GPT beside it
    save: Path | None = None  # a .gif, or a .html page with a slider
    terminal: bool = False  # without --save: in the terminal, whether there is a display or not
    fps: int = 12  # pictures a second, at most; a page has a speed of its own
    blocks: int = 5  # chunks of 240 characters to write, at most 50
    prompt_len: int = 16  # characters of the corpus's opening to start from
    prompt: str | None = None  # a text to start from in its place
    flow_step: float | None = None  # with --flow: share of the remaining noise that a step takes; default the method's
    temp: float | None = None  # temperature of all that write; default each method's own
    spacing: int | None = None  # of the masked models: positions of one pass lie more than this apart; likewise
    seed: int = 1337
    weights: cli.comma_list(Path) = ()  # of these methods, GPT's last; default weights/NAME.pt
    font: Path | None = None  # a monospaced font with the text's characters, for a GIF

    def __post_init__(self):
        cli.check_range(self, 1, 50, "fps", "blocks")
        known = self.save is None or self.save.suffix.lower() in (".gif", ".html")
        check(known, f"--save {self.save}: only .gif and .html can be made")
        check(not (self.flow and self.method), "--flow and --method name two methods: choose one")
        check(len(self.weights) in (0, len(self.names)), f"--weights: one file each for {', '.join(self.names)}")
        check(not (self.save and self.terminal), "--save writes a file, --terminal plays here: choose one")

    @property
    def names(self):
        """Of the methods that write."""
        chosen = self.method or ("diffusion_flow" if self.flow else "diffusion",)
        return (*chosen, "gpt") if self.compare else chosen


def recordings(args):
    """The films asked for, one of each method."""
    paths = args.weights or [None] * len(args.names)
    engines = [methods.load(name, path) for name, path in zip(args.names, paths, strict=True)]
    settings = ("flow_step", "temp", "spacing")
    typed = {key: value for key, value in vars(args).items() if key in settings and value is not None}
    known = {key for engine in engines for key in vars(engine.method.decoding)}
    unknown = ", ".join(typed.keys() - known)
    check(not unknown, f"{', '.join(args.names)}: no method here has {unknown}")
    for engine in engines:
        decoding = methods.starting_point(engine.name, typed)
        text = engine.prompt(args.prompt_len) if args.prompt is None else args.prompt
        prompt = engine.alphabet.encode(text)
        trial = Trial(Canvas.after(prompt, args.blocks * diffusion.Decoding.target_chunk_len), decoding, (args.seed,))
        with Bar(f"recording {engine.method.title}"):
            engine.write(text, 20, decoding=decoding)  # the first passes of a process are slow
            made = film.record(engine, trial)
        yield made


def main(args):
    """Record, then play in the terminal, or write a file."""
    path = args.save or PAGE
    # on Linux without a display Python may find a browser for the terminal
    has_display = sys.platform != "linux" or {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys()
    in_terminal = not args.save and (args.terminal or not has_display)
    if not in_terminal:
        check_place(path)
    if args.font:
        painter.load_font(args.font)
    films = list(recordings(args))
    if in_terminal:
        terminal.play(films, args.fps)
    elif path.suffix.lower() == ".gif":
        with Bar(f"drawing {path.name}"):
            painter.write_gif(path, films, args.fps, args.font)
    else:
        page.write_html(path, films)
    if not in_terminal:
        print(path, file=sys.stderr)
        if not args.save:
            webbrowser.open(path.as_uri())
    print(*(f"{made.title}: {film.figures(made.snapshots[-1])}" for made in films), sep="\n", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
