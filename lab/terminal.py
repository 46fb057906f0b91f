"""What is drawn on a terminal: a film on a screen of its own, and a text while it is written."""

import time

import torch
from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from lab import film, trials
from lab.film import COLUMNS, DRAFT, EMPTY, LEGEND, MASK, MASKED, NEW, SETTLED

STYLES = {MASKED: "grey50 on grey70", DRAFT: "black on yellow", NEW: "black on dark_orange", SETTLED: "", EMPTY: ""}
UNDERLINED = 5  # ninths of confidence below which a character is underlined


def terminal():
    """The terminal, or the pipe, that standard output is."""
    return Console(highlight=False, markup=False)


def play(films, fps, console=None):
    """Show the animation on a screen of its own, as `less` does; then print its end where the cursor was.

    What comes too late on a slow terminal is left out; on a pipe there is the end alone.
    """
    console, pictures = console or terminal(), film.timeline(films, fps)
    if console.is_terminal:
        began, due = time.monotonic(), 0.0
        with Live(console=console, screen=True, auto_refresh=False) as live:
            for picture in pictures:
                due += picture.lasts
                if time.monotonic() < began + due:
                    live.update(screen(films, picture, film.pace(pictures), console.size), refresh=True)
                    time.sleep(max(0.0, began + due - time.monotonic()))
    for made, still in zip(films, pictures[-1].stills, strict=True):
        console.print(
            Text(f"{made.title}: {film.figures(still)}", "bold"), Text(film.visible(still.characters)), sep="\n"
        )


def screen(films, picture, caption, size):
    """A picture that fills a terminal of that size: columns side by side where they fit, else one above the other."""
    from rich.layout import Layout  # not at the top: only films need it

    beside = size.width >= len(films) * (COLUMNS + 2)
    legend = Text(f"{caption}  ")
    for state in sorted(set().union(*(still.states for made in films for still in made.stills)) & LEGEND.keys()):
        legend.append("a" if state == SETTLED else " ", "underline" if state == SETTLED else STYLES[state])
        legend.append(f" {LEGEND[state]}  ".replace(" ", "\u00a0", LEGEND[state].count(" ") + 1))
    foot = len(legend.wrap(Console(width=size.width), size.width))
    height = (size.height - foot) // (1 if beside else len(films))
    panels = [
        Layout(panel(made.title, still, min(COLUMNS + 1, size.width), height))
        for made, still in zip(films, picture.stills, strict=True)
    ]
    body, whole = Layout(), Layout()
    (body.split_row if beside else body.split_column)(*panels)
    whole.split_column(body, Layout(legend, size=foot))
    return whole


def panel(title, still, width, height):
    """A film's title and as many of its lines as fit, those around the last active one."""
    lines = styled(film.signs(still), still.states, still.confidence, width - 1)
    active = max((i for i, (_, states) in enumerate(lines) if {NEW, DRAFT} & set(states)), default=len(lines) - 1)
    first = max(0, min(active + 3 - height, len(lines) - height + 1))
    shown = [line for line, _ in lines[first : first + max(0, height - 1)]]
    return Group(Text(f"{title}: {film.figures(still)}", "bold", no_wrap=True, overflow="crop"), *shown)


def styled(text, states, confidence, width):
    """Signs in lines that fit: [(Text, states of its characters), ...]."""
    lines, k = [], 0
    for row in film.rows(text, width // max(1, *map(cell_len, text))):
        line = Text(no_wrap=True, overflow="crop")
        for sign, state, sure in zip(row.replace("\n", " "), states[k:], confidence[k:], strict=False):
            line.append(sign, "underline" if state == SETTLED and sure < UNDERLINED else STYLES[state])
        lines.append((line, states[k : k + len(row)]))
        k += len(row)
    return lines


def typed(engine, trial, console):
    """Write a trial of one text on a terminal as it settles -> its Sample."""
    with Live(console=console, auto_refresh=False, transient=True) as live:
        return trials.run(engine, trial, watch=Typist(live, engine.alphabet, trial.canvas).show)[0]


class Typist:
    """Shows a canvas on a terminal: settled lines stay, the rest and a line of figures are drawn again after each pass."""

    def __init__(self, live, alphabet, canvas):
        self.live, self.alphabet, self.masked = live, alphabet, canvas.masked[0]
        self.printed, self.calls, self.began = 0, 0, time.monotonic()

    def show(self, frame):
        """Draw a frame, the characters of this call in colour."""
        idx, masked, draft = frame.idx[0], frame.masked[0], frame.draft[0]
        done, fresh = not masked.any(), self.masked & ~masked
        self.calls, self.masked = self.calls + 1, masked
        settled = len(idx) if done else int((~masked & ~draft & ~fresh).int().cumprod(0).sum())
        end = len(idx) if done else int(frame.columns[0, -1]) + 1
        states = torch.where(fresh, NEW, SETTLED).masked_fill(masked, MASKED).masked_fill(draft, DRAFT).tolist()
        characters = zip(film.visible(self.alphabet.decode(idx[:end])), states, strict=False)
        text = "".join(MASK if state == MASKED else character for character, state in characters)
        size, start = self.live.console.size, self.printed
        lines = styled(text[start:], states[start:], bytes([9] * len(text[start:])), size.width - 1)
        while lines and (done or self.printed + len(lines[0][1]) < settled):
            line, of_it = lines.pop(0)
            self.live.console.print(Text(line.plain) if done else line)
            self.printed += len(of_it)
        spent = Text(f"{self.calls} calls, {time.monotonic() - self.began:.1f} s", "italic")
        self.live.update(
            Text() if done else Group(*(line for line, _ in lines[2 - size.height :]), spent), refresh=True
        )
