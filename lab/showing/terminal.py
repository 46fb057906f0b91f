"""What is drawn on a terminal: a film on a screen of its own, and a text while it is written."""

import time

from rich.cells import cell_len
from rich.color import Color
from rich.columns import Columns
from rich.console import Console, Group
from rich.live import Live
from rich.style import Style
from rich.text import Text

from lab.measuring import trials
from lab.showing import film
from lab.showing.film import COLUMNS, DRAFT, EMPTY, LEGEND, MASKED, NEW, SETTLED
from lab.showing.painter import evident

STYLES = {MASKED: "grey50 on grey70", DRAFT: "black on yellow", NEW: "black on dark_orange", SETTLED: "", EMPTY: ""}
UNDERLINED = 5  # ninths of confidence below which a character is underlined
FOOT = 3  # lines of a film's legend
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
        console.print(headed(made.title, snapshot), Text(film.visible(snapshot.characters)), sep="\n")


def screen(films, moment, caption, size):
    """A moment that fills a terminal of that size: films side by side where they fit, else one above the other."""
    from rich.layout import Layout  # not at the top: only films need it

    beside = size.width >= len(films) * (COLUMNS + 2)
    height = (size.height - FOOT) // (1 if beside else len(films)) - 1
    panels = []
    for made, snapshot in zip(films, moment, strict=True):
        text = active_lines(snapshot, min(COLUMNS, size.width - 1), height)
        panels.append(Layout(Group(headed(made.title, snapshot), *text)))
    body = Layout()
    whole = Layout()
    (body.split_row if beside else body.split_column)(*panels)
    signs = {state: styled("a" if state == SETTLED else " ", state, 0) for state in film.used(films)}
    keys = [Text.assemble(sign, f" {LEGEND[state]}") for state, sign in signs.items()]
    whole.split_column(body, Layout(Columns([caption, *keys]), size=FOOT))
    return whole


def headed(title, snapshot):
    """A title and what the snapshot has cost, in a line."""
    return Text(f"{title}: {film.figures(snapshot)}", "bold", no_wrap=True, overflow="crop")


def active_lines(snapshot, width, height):
    """As many lines of a snapshot as fit, those around the last one in which the pass wrote."""
    wide = max(1, *map(cell_len, set(film.visible(snapshot.characters))))  # cells of the widest character
    lines = film.lines(snapshot, width // wide)
    written = [i for i, line in enumerate(lines) if any(state in (NEW, DRAFT) for _, state, *_ in line)]
    stop = min(max(written, default=len(lines)) + 3, len(lines))
    shown = lines[max(0, stop - height) : max(stop, height)]
    return [Text.assemble(*(styled(*cell) for cell in line), no_wrap=True, overflow="crop") for line in shown]


def styled(glyph, state, confidence, certainty=0):
    """A glyph and its style, as rich assembles texts of them."""
    if certainty and state == MASKED:
        return glyph, Style(color="grey50", bgcolor=Color.from_rgb(*evident(certainty)))
    is_unsure = state == SETTLED and confidence < UNDERLINED
    return glyph.replace("\n", " "), "underline" if is_unsure else STYLES[state]


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
        console.print(Text(film.visible(recorder.snapshot().characters)))
