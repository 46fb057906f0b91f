"""What is drawn on a terminal: a film on a screen of its own, and a text while it is written."""

import time

from rich.cells import cell_len
from rich.columns import Columns
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from lab.measuring import trials
from lab.showing import film
from lab.showing.film import COLUMNS, LEGEND, MASKED, NEW, SETTLED
from lab.showing.painter import evident

UNDERLINED = 5  # ninths of confidence below which a character is underlined
HEAD = 5  # lines of a film's legend, and above a text
PAUSE = 0.05  # seconds between two drawings of a text that is written, at least


def terminal():
    """The terminal, or the pipe, that standard output is."""
    return Console(highlight=False, markup=False)


def play(films, fps, console=None):
    """Show the animation on a screen of its own, as `less` does; then print its end where the cursor was.

    What comes too late on a slow terminal is left out; on a pipe there is the end alone.
    """
    console = console or terminal()
    moments, lasts, caption = film.timeline(films, fps)
    if console.is_terminal:
        due = time.monotonic()
        with Live(console=console, screen=True, auto_refresh=False) as live:
            for moment in moments:
                due += lasts
                if time.monotonic() < due:
                    live.update(screen(films, moment, caption, console.size), refresh=True)
                    time.sleep(max(0.0, due - time.monotonic()))
    for made, snapshot in zip(films, moments[-1], strict=True):
        console.print(headed(made.title, snapshot), Text(snapshot.characters), sep="\n")


def screen(films, moment, caption, size):
    """A moment that fills a terminal of that size, the films side by side."""
    width = min(COLUMNS, size.width // len(films) - 1)
    keys = [Text.assemble(styled("a", state, 0, 0), f" {meaning}") for state, meaning in LEGEND.items()]
    panels = [
        Group(headed(made.title, snapshot), *active_lines(snapshot, width, size.height - HEAD))
        for made, snapshot in zip(films, moment, strict=True)
    ]
    return Group(Columns([caption, *keys]), Columns(panels, width=width))


def headed(title, snapshot):
    """A title, and below it what the snapshot has cost."""
    return Text(f"{title}\n{film.figures(snapshot)}", "bold", no_wrap=True, overflow="crop")


def active_lines(snapshot, width, height):
    """As many lines of a snapshot as fit, those around the last one in which the pass wrote."""
    wide = max(1, *map(cell_len, set(snapshot.characters)))  # cells of the widest character
    lines = film.lines(snapshot, width // wide)
    written = [i for i, line in enumerate(lines) if any(state == NEW for _, state, *_ in line)]
    stop = min(max(written, default=len(lines)) + 3, len(lines))
    shown = lines[max(0, stop - height) : max(stop, height)]
    return [Text.assemble(*(styled(*cell) for cell in line), no_wrap=True, overflow="crop") for line in shown]


def styled(glyph, state, confidence, certainty):
    """A glyph and its style, as rich assembles texts of them."""
    if state == MASKED:
        return glyph, "grey50 on #{:02x}{:02x}{:02x}".format(*evident(certainty))
    glyph = glyph.replace("\n", " ")
    if state == NEW:
        return glyph, "black on dark_orange"
    return glyph, "underline" if state == SETTLED and confidence < UNDERLINED else ""


def typed(engine, trial, console):
    """Write a trial of one text on a terminal as it settles -> its Sample. At its end the text stands there whole."""
    recorder = film.Recorder(engine, trial.canvas)
    drawn = 0.0

    def show(frame, seconds):
        nonlocal drawn
        recorder.add(frame, seconds)
        if time.monotonic() - drawn > PAUSE:
            snapshot = recorder.snapshot()
            width, height = console.size
            spent = Text(film.figures(snapshot), "italic")
            live.update(Group(*active_lines(snapshot, width - 1, height - 2), spent), refresh=True)
            drawn = time.monotonic()

    try:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            return trials.run(engine, trial, watch=show)[0]
    finally:  # after a Ctrl-C too
        console.print(Text(recorder.snapshot().characters))
