"""What a sampler's frames look like: recorded once, then shown as a GIF, a window or in the terminal; page.py is for browsers.

Each character is drawn where it will stand in the finished text.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.console import Console
from rich.live import Live
from rich.text import Text

from lab import trials
from lab.cli import UserError, check

MASKED, DRAFT, NEW, SETTLED = 0, 1, 2, 3
LEGEND = ("masked", "draft: may be taken back", "settled in this call", "settled: the bluer, the less sure")
PAPER, INK, GREY, AMBER, ORANGE, BLUE = "#FFFFFF", "#1A1A1A", "#D5D5D5", "#F5E05A", "#F0A860", (150, 190, 235)
COLUMNS = 56  # characters in a line, at most


@dataclass(frozen=True)
class Still:
    """The canvas after a call: characters, their states, and how probable each was when it was written (L each).

    A masked position's character is the alphabet's mask symbol.
    """

    calls: int
    seconds: float  # that the sampler had taken
    characters: str
    states: tuple
    sure: tuple


@dataclass(frozen=True)
class Film:
    """The stills of one text; places: where its characters stand, (line, column) each."""

    title: str
    stills: list
    places: list

    def at(self, seconds):
        """The still that stands at a time."""
        return next(still for still in reversed(self.stills) if still.seconds <= seconds)


def record(title, writer, trial):
    """Drain a trial of one text -> Film."""
    made = list(stills(writer, trial))
    return Film(title, made, layout(made[-1].characters))


def stills(writer, trial):
    """Write a trial of one text: yields a Still before its first call, one after each, and one at last, all settled.

    The clock runs round the sampler alone, whatever is done between two Stills.
    """
    idx, masked, decode = trial.canvas.idx[0], trial.canvas.masked[0], writer.alphabet.decode
    calls, spent, sure = 0, 0.0, torch.ones(len(idx), dtype=torch.float64)
    states = torch.where(masked, MASKED, SETTLED)

    def still():
        return Still(calls, spent, decode(idx, masked), tuple(states.tolist()), tuple(sure.tolist()))

    yield still()
    for frame, took in trials.frames(writer, trial):
        calls, spent = calls + 1, spent + took
        columns, fresh, idx = frame.columns[0], masked & ~frame.masked[0], frame.idx[0]
        own = sure.scatter(0, columns, frame.probs[0].gather(-1, idx[columns][:, None])[:, 0])
        sure, masked = torch.where(fresh, own, sure), frame.masked[0]
        states = torch.where(fresh, NEW, SETTLED).masked_fill(masked, MASKED).masked_fill(frame.draft[0], DRAFT)
        yield still()
    yield replace(still(), states=(SETTLED,) * len(idx))


def layout(text):
    """Where each character stands: (line, column), a new line after COLUMNS characters or a line's end."""
    places, line, column = [], 0, 0
    for character in text:
        if column == COLUMNS:
            line, column = line + 1, 0
        places.append((line, column))
        line, column = (line + 1, 0) if character == "\n" else (line, column + 1)
    return places


def timeline(films, fps, seconds=8.0):
    """Pairs (stills side by side, one of each film; caption) at fps pictures a second.

    One film: a picture for each call. Several: their measured seconds, slowed down to last `seconds` where they are quicker.
    """
    if len(films) == 1:
        return by_call(films)
    longest = max(film.stills[-1].seconds for film in films)
    slower = max(1.0, seconds / longest)
    caption = "in real time" if slower == 1 else f"slowed down {slower:.1f} times"
    count = int(longest * slower * fps) + 2
    return [(tuple(film.at(k / fps / slower) for film in films), caption) for k in range(count)]


def by_call(films):
    """Pairs as in `timeline`: a picture for each call; a film that has ended stands still."""
    count = max(len(film.stills) for film in films)
    return [(tuple(film.stills[:k][-1] for film in films), "call by call") for k in range(1, count + 1)]


def figures(title, still):
    """What a still has cost, in a line."""
    return f"{title}: {still.calls} call{'s' if still.calls != 1 else ''}, {still.seconds:.2f} s"


class Painter:
    """Draws stills with Pillow. font: path of a monospaced font; None is DejaVu Sans Mono."""

    def __init__(self, films, font=None, size=13):
        import matplotlib
        from fontTools.ttLib import TTFont, TTLibError
        from PIL import Image, ImageDraw, ImageFont

        path = Path(font or Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSansMono.ttf")
        try:
            self.font, known = ImageFont.truetype(str(path), size), TTFont(path, fontNumber=0).getBestCmap()
        except (OSError, TTLibError) as error:
            raise UserError(f"--font {path}: not a font that can be read ({error})") from error
        characters = set().union(*(film.stills[-1].characters for film in films)) - {"\n"}
        missing = sorted(characters - set(map(chr, known)))
        check(not missing, f"{path.name} cannot draw {' '.join(missing[:10])}; name a font that can: --font file.ttf")
        self.films, self.image_of, self.draw_on = films, Image.new, ImageDraw.Draw
        self.cell = round(max(map(self.font.getlength, {"M"} | characters))), size + 4
        lines = max(film.places[-1][0] for film in films) + 1
        self.panel = (COLUMNS + 3) * self.cell[0]
        width = self.panel * len(films) + 2 * self.cell[0]
        self.legend_at, x, row = [], 2 * self.cell[0], 0
        for words in LEGEND:
            wide = (len(words) + 4) * self.cell[0]
            if x + wide > width:
                x, row = 2 * self.cell[0], row + 1
            self.legend_at.append((x, row))
            x += wide
        self.size = (width, (lines + 4 + row) * self.cell[1] + 14)

    def paint(self, stills, caption):
        """The picture of some stills side by side."""
        image = self.image_of("RGB", self.size, PAPER)
        pen, (w, h) = self.draw_on(image), self.cell
        for panel, (film, still) in enumerate(zip(self.films, stills, strict=True)):
            left, top = 2 * w + panel * self.panel, int(2.5 * h)
            pen.text((left, h // 2), figures(film.title, still), INK, self.font)
            for (line, column), character, state, sure in zip(
                film.places, still.characters, still.states, still.sure, strict=True
            ):
                x, y = left + column * w, top + line * h
                pen.rectangle((x, y, x + w - 1, y + h - 2), background(state, sure))
                if state != MASKED and character not in "\n ":
                    pen.text((x, y), character, INK, self.font)
        self.legend(pen, caption)
        return image

    def palette(self):
        """A picture whose palette has every background, and ink on it at three strengths: the edges of characters."""
        behind = [background(state, 1) for state in (MASKED, DRAFT, NEW)]
        behind += [background(SETTLED, step / 15) for step in range(16)]
        colours = [self.image_of("RGB", (1, 1), colour).getpixel((0, 0)) for colour in (INK, "#555555", PAPER, *behind)]
        for strength in (0.3, 0.6, 0.85):
            colours += [tuple(round(c + (26 - c) * strength) for c in colour) for colour in colours[3:22]]
        image = self.image_of("P", (1, 1))
        image.putpalette([c for colour in colours for c in colour])
        return image

    def legend(self, pen, caption):
        (w, h), rows = self.cell, self.legend_at[-1][1] + 1
        top = self.size[1] - int((rows + 0.2) * h)
        for state, (words, (x, row)) in enumerate(zip(LEGEND, self.legend_at, strict=True)):
            y = top + row * h
            pen.rectangle((x, y, x + w - 1, y + h - 2), background(state, 0.3))
            pen.text((x + 2 * w, y), words, INK, self.font)
        pen.text((2 * w, self.size[1] - int((rows + 1.4) * h)), caption, "#555555", self.font)


def background(state, sure):
    """The colour behind a character; of a settled one, bluer the less probable it was."""
    if state == SETTLED:
        return tuple(round(255 + (blue - 255) * (1 - sure)) for blue in BLUE)
    return {MASKED: GREY, DRAFT: AMBER, NEW: ORANGE}[state]


def write_gif(path, films, fps, font=None):
    """Write an animation whose last picture stays for two seconds."""
    painter, pictures = Painter(films, font), timeline(films, fps)
    palette = painter.palette()
    images = [painter.paint(*picture).quantize(palette=palette, dither=0) for picture in pictures]
    step = max(20, round(1000 / fps))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        images[0].save(
            path,
            save_all=True,
            append_images=images[1:],
            duration=[step] * (len(images) - 1) + [2000],
            loop=0,
            optimize=False,
        )
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error


def play(films, fps, console=None):
    """Show the animation in the terminal."""
    console = console or Console()
    styles = ("black on grey70", "black on yellow", "black on dark_orange", "")
    with Live(console=console, auto_refresh=False, vertical_overflow="visible") as live:
        for stills, caption in timeline(films, fps):
            shown = Text(f"{caption}: {', '.join(LEGEND[:3])}\n", "dim")
            for film, still in zip(films, stills, strict=True):
                shown.append(f"{figures(film.title, still)}\n", "bold")
                for state, character, final in zip(
                    still.states, still.characters, film.stills[-1].characters, strict=True
                ):
                    visible = "░" if state == MASKED else character
                    shown.append("\n" if final == "\n" else visible, styles[state])
                shown.append("\n\n")
            live.update(shown, refresh=True)
            time.sleep(1 / fps)


def show(films, fps, font=None):
    """Show the animation in a window until it is closed. Raises ImportError or RuntimeError where there is no display."""
    import tkinter

    from PIL import ImageTk

    try:
        root = tkinter.Tk()
    except tkinter.TclError as error:
        raise RuntimeError(str(error)) from error
    painter, pictures = Painter(films, font), timeline(films, fps)
    root.title("tiny-diffusion")
    label = tkinter.Label(root)
    label.pack()

    def step(i):
        label.image = ImageTk.PhotoImage(painter.paint(*pictures[i]))  # kept: tkinter does not
        label.configure(image=label.image)
        if i + 1 < len(pictures):
            root.after(max(1, round(1000 / fps)), step, i + 1)

    step(0)
    root.mainloop()
