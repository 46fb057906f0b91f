"""What a sampler's frames look like: recorded once, then shown as a GIF, a page, a window or in the terminal.

Each character is drawn where it will stand in the finished text.
"""

import html
import json
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.live import Live
from rich.text import Text

from lab import trials
from lab.cli import UserError, check
from lab.records import write_text

MASKED, DRAFT, NEW, SETTLED = 0, 1, 2, 3
LEGEND = ("masked", "draft: may be taken back", "settled in this call", "settled: the bluer, the less sure")
PAPER, INK, GREY, AMBER, ORANGE, BLUE = "#FFFFFF", "#1A1A1A", "#D5D5D5", "#F5E05A", "#F0A860", (150, 190, 235)
COLUMNS = 56  # characters in a line, at most


@dataclass(frozen=True)
class Still:
    """The canvas after a call: letters, their states, and how probable each was when it was written (L each)."""

    calls: int
    seconds: float  # that the sampler had taken
    letters: str
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
    masked, stills, sure = trial.canvas.masked[0], [], torch.ones(trial.canvas.idx.size(1), dtype=torch.float64)
    spent, began = 0.0, time.perf_counter()

    def add(idx, states):
        letters = writer.alphabet.decode(idx)
        stills.append(Still(len(stills), spent, letters, tuple(states.tolist()), tuple(sure.tolist())))

    def watch(frame):
        nonlocal masked, spent, began
        spent += time.perf_counter() - began
        idx, columns = frame.idx[0], frame.columns[0]
        fresh = masked & ~frame.masked[0]
        own = sure.scatter(0, columns, frame.probs[0].gather(-1, idx[columns][:, None])[:, 0])
        sure[fresh] = own[fresh]
        states = (
            torch.where(fresh, NEW, SETTLED).masked_fill(frame.masked[0], MASKED).masked_fill(frame.draft[0], DRAFT)
        )
        add(idx, states)
        masked, began = frame.masked[0], time.perf_counter()

    add(trial.canvas.idx[0], torch.where(masked, MASKED, SETTLED))
    trials.run(writer, trial, watch)
    last = stills[-1]
    stills.append(Still(last.calls, last.seconds, last.letters, (SETTLED,) * len(last.letters), last.sure))
    return Film(title, stills, layout(last.letters))


def layout(text):
    """Where each character stands: (line, column), a new line after COLUMNS characters or a line's end."""
    places, line, column = [], 0, 0
    for letter in text:
        if column == COLUMNS:
            line, column = line + 1, 0
        places.append((line, column))
        line, column = (line + 1, 0) if letter == "\n" else (line, column + 1)
    return places


def timeline(films, fps, seconds=8.0):
    """Pairs (stills side by side, one of each film; caption) at fps pictures a second.

    One film: a picture for each call. Several: their measured seconds, slowed down to last `seconds` where they are quicker.
    """
    if len(films) == 1:
        return [((still,), "one picture for each call") for still in films[0].stills]
    longest = max(film.stills[-1].seconds for film in films)
    slower = max(1.0, seconds / longest)
    caption = "in real time" if slower == 1 else f"slowed down {slower:.1f} times"
    count = int(longest * slower * fps) + 2
    return [(tuple(film.at(k / fps / slower) for film in films), caption) for k in range(count)]


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
        missing = sorted(set().union(*(film.stills[-1].letters for film in films)) - set(map(chr, known)) - {"\n"})
        check(not missing, f"{path.name} cannot draw {' '.join(missing[:10])}; name a font that can: --font file.ttf")
        self.films, self.image_of, self.draw_on = films, Image.new, ImageDraw.Draw
        self.cell = (
            round(max(self.font.getlength("M"), self.font.getlength(films[0].stills[-1].letters[0]))),
            size + 4,
        )
        lines = max(film.places[-1][0] for film in films) + 1
        self.panel = (COLUMNS + 3) * self.cell[0]
        self.size = (self.panel * len(films) + 2 * self.cell[0], (lines + 5) * self.cell[1] + 14)

    def paint(self, stills, caption):
        """The picture of some stills side by side."""
        image = self.image_of("RGB", self.size, PAPER)
        pen, (w, h) = self.draw_on(image), self.cell
        for panel, (film, still) in enumerate(zip(self.films, stills, strict=True)):
            left, top = 2 * w + panel * self.panel, int(2.5 * h)
            figures = f"{film.title}: {still.calls} calls, {still.seconds:.2f} s"
            pen.text((left, h // 2), figures, INK, self.font)
            for (line, column), letter, state, sure in zip(
                film.places, still.letters, still.states, still.sure, strict=True
            ):
                x, y = left + column * w, top + line * h
                pen.rectangle((x, y, x + w - 1, y + h - 2), background(state, sure))
                if state != MASKED and letter not in "\n ":
                    pen.text((x, y), letter, INK, self.font)
        self.legend(pen, caption)
        return image

    def palette(self):
        """A picture whose palette has every background, and ink on it at three strengths: the edges of letters."""
        behind = [background(state, 1) for state in (MASKED, DRAFT, NEW)]
        behind += [background(SETTLED, step / 15) for step in range(16)]
        colours = [self.image_of("RGB", (1, 1), colour).getpixel((0, 0)) for colour in (INK, "#555555", PAPER, *behind)]
        for strength in (0.3, 0.6, 0.85):
            colours += [tuple(round(c + (26 - c) * strength) for c in colour) for colour in colours[3:22]]
        image = self.image_of("P", (1, 1))
        image.putpalette([c for colour in colours for c in colour])
        return image

    def legend(self, pen, caption):
        (w, h), y = self.cell, self.size[1] - int(2.2 * self.cell[1])
        x = 2 * w
        for state, words in enumerate(LEGEND):
            wide = (len(words) + 4) * w
            if x + wide > self.size[0]:
                x, y = 2 * w, y + h
            pen.rectangle((x, y, x + w - 1, y + h - 2), background(state, 0.3))
            pen.text((x + 2 * w, y), words, INK, self.font)
            x += wide
        pen.text((2 * w, self.size[1] - int(3.4 * h)), caption, "#555555", self.font)


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


def write_html(path, films, fps):
    """Write one self-contained page: the same pictures as text, with a slider, a button and keys."""
    pictures = timeline(films, fps)
    data = {
        "fps": fps,
        "titles": [film.title for film in films],
        "caption": pictures[0][1],
        "texts": [film.stills[-1].letters for film in films],
        "stills": [[pack(still) for still in stills] for stills, _ in pictures],
    }
    page = Path(__file__).with_name("film.html").read_text(encoding="utf-8")
    page = page.replace(
        "LEGEND", "".join(f'<span class="s{i}">&nbsp;</span> {html.escape(w)} &nbsp; ' for i, w in enumerate(LEGEND))
    )
    write_text(path, page.replace("DATA", json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")))


def pack(still):
    """A still in few characters: calls, seconds, letters, states, and how sure, 0..9."""
    states, sure = "".join(map(str, still.states)), "".join(str(int(s * 9)) for s in still.sure)
    return [still.calls, round(still.seconds, 3), still.letters, states, sure]


def play(films, fps, console=None):
    """Show the animation in the terminal."""
    console = console or Console()
    styles = ("black on grey70", "black on yellow", "black on dark_orange", "")
    with Live(console=console, auto_refresh=False, vertical_overflow="visible") as live:
        for stills, caption in timeline(films, fps):
            shown = Text(f"{caption}: {', '.join(LEGEND[:3])}\n", "dim")
            for film, still in zip(films, stills, strict=True):
                shown.append(f"{film.title}: {still.calls} calls, {still.seconds:.2f} s\n", "bold")
                for state, letter, final in zip(still.states, still.letters, film.stills[-1].letters, strict=True):
                    visible = "░" if state == MASKED else letter
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
