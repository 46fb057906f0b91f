"""Films drawn with Pillow: a GIF, or a window."""

from pathlib import Path

from lab.cli import UserError, check
from lab.files import atomic, reading
from lab.film import COLUMNS, DRAFT, LEGEND, MASKED, NEW, SETTLED, figures, pace, rows, signs, timeline

PAPER, INK, QUIET, LOW = (255, 255, 255), (26, 26, 26), (107, 107, 107), (31, 95, 191)
BEHIND = {MASKED: (213, 213, 213), DRAFT: (245, 224, 90), NEW: (240, 168, 96)}  # what is settled stands on paper


class Painter:
    """Draws the pictures of some films, from one to the next what has changed.

    font: path of a monospaced font; None is DejaVu Sans Mono. Raises UserError for characters that it lacks.
    """

    def __init__(self, films, font=None, size=13):
        from PIL import Image, ImageDraw

        shown = set().union(*(signs(film.stills[-1]) for film in films)) - {"\n"}
        self.films, self.font, self.known = films, *load_font(font, size, shown)
        self.cell = w, h = round(max(map(self.font.getlength, {"M"} | shown))), size + 5
        self.lines = max(len(rows(signs(still), COLUMNS)) for film in films for still in film.stills)
        self.panel, self.foot = (COLUMNS + 3) * w, int((self.lines + 2.7) * h)
        self.image = Image.new("RGB", (self.panel * len(films) + 2 * w, self.foot + int((len(films) + 3.5) * h)), PAPER)
        self.pen, self.drawn = ImageDraw.Draw(self.image), [{} for _ in films]
        self.legend()

    def paint(self, picture, caption):
        """The picture, an RGB image that the next call draws on."""
        (w, h), pen = self.cell, self.pen
        for panel, (film, still) in enumerate(zip(self.films, picture.stills, strict=True)):
            left, top, cells = 2 * w + panel * self.panel, int(2.2 * h), looks(still)
            pen.rectangle((left, 0, left + self.panel - w, top - 1), PAPER)
            pen.text((left, h // 2), f"{film.title}: {figures(still)}", INK, self.font)
            for place in self.drawn[panel].keys() | cells.keys():
                if self.drawn[panel].get(place) != cells.get(place):
                    x, y = left + place[1] * w, top + place[0] * h
                    self.character(x, y, *cells.get(place, (" ", PAPER, PAPER)))
            self.drawn[panel] = cells
        self.clock(picture, caption)
        return self.image

    def character(self, x, y, sign, behind, line):
        """One cell: its background, its line below, its sign."""
        (w, h), pen = self.cell, self.pen
        if "\u2400" <= sign <= "\u2421" and sign not in self.known:  # most fonts have no pictures of control characters
            sign = "\ufffd"
        pen.rectangle((x, y, x + w - 1, y + h - 1), PAPER)
        pen.rectangle((x, y, x + w - 1, y + h - 2), behind)
        if line != PAPER:
            pen.rectangle((x, y + h - 3, x + w - 1, y + h - 2), line)
        pen.text((x, y), "⏎" if sign == "\n" else sign, QUIET if sign == "\n" else INK, self.font)

    def clock(self, picture, caption):
        """A bar for each film on one axis of time; its end is marked once it is reached."""
        (w, h), real = self.cell, max(film.stills[-1].seconds for film in self.films) or 1.0
        left, right = 20 * w, self.image.width - 12 * w
        self.pen.rectangle((0, self.foot, self.image.width, self.foot + int((len(self.films) + 1.2) * h)), PAPER)
        for row, film in enumerate(self.films):
            y, end = self.foot + row * h, film.stills[-1].seconds
            x = left + int((right - left) * min(picture.clock, end) / real)
            self.pen.text((2 * w, y), film.title, INK, self.font)
            self.pen.rectangle((left, y + 5, right, y + h - 6), BEHIND[MASKED])
            self.pen.rectangle((left, y + 5, x, y + h - 6), LOW)
            if picture.clock >= end:
                self.pen.rectangle((x - 1, y + 1, x + 1, y + h - 3), INK)
            self.pen.text((right + w, y), f"{min(picture.clock, end):.2f} s", INK, self.font)
        self.pen.text((2 * w, self.foot + len(self.films) * h), caption, QUIET, self.font)

    def legend(self):
        """The colours that the films use, in a line or two."""
        (w, h), x = self.cell, 2 * self.cell[0]
        used = set().union(*(still.states for film in self.films for still in film.stills))
        y = self.foot + int((len(self.films) + 1.2) * h)
        for state, words in LEGEND.items():
            if state in used:
                if x + (len(words) + 2) * w > self.image.width:
                    x, y = 2 * w, y + h
                self.character(x, y, " ", BEHIND.get(state, PAPER), shade(2) if state == SETTLED else PAPER)
                self.pen.text((x + int(1.5 * w), y), words, INK, self.font)
                x += (len(words) + 4) * w

    def palette(self):
        """A picture with every colour used, and ink at three strengths between: the edges of characters."""
        from PIL import Image

        behind = [PAPER, *BEHIND.values()]
        colours = [INK, QUIET, *behind, *map(shade, range(9))]
        for strength in (0.2, 0.4, 0.6, 0.8):
            colours += [blend(colour, INK, strength) for colour in behind]
        image = Image.new("P", (1, 1))
        image.putpalette([part for colour in colours for part in colour])
        return image


def write_gif(path, films, fps, font=None):
    """Write an animation whose last picture stays for two seconds -> what was written, in a line. Raises UserError."""
    painter, pictures = Painter(films, font), timeline(films, fps)
    palette, lasts = painter.palette(), [round(1000 * picture.lasts) for picture in pictures]
    drawn = (painter.paint(picture, pace(pictures)).quantize(palette=palette, dither=0) for picture in pictures)
    settings = {"duration": [*lasts[:-1], lasts[-1] + 2000], "loop": 0, "optimize": False}
    with atomic(path) as file:
        next(drawn).save(file, "GIF", save_all=True, append_images=drawn, **settings)
    return f"{path}: {len(pictures)} pictures in {sum(lasts) / 1000:.1f} s, {1000 / min(lasts):.3g} a second at most"


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
        image = painter.paint(pictures[i], pace(pictures)).copy()
        image.thumbnail((root.winfo_screenwidth() - 20, root.winfo_screenheight() - 100))  # less the desktop's bars
        label.image = ImageTk.PhotoImage(image)  # kept: tkinter does not
        label.configure(image=label.image)
        if i + 1 < len(pictures):
            root.after(round(1000 * pictures[i].lasts), step, i + 1)

    step(0)
    root.mainloop()


def load_font(path, size=13, shown=frozenset()):
    """A monospaced font with the signs shown -> (Pillow's font, its characters). Raises UserError."""
    import matplotlib
    from fontTools.ttLib import TTFont, TTLibError
    from PIL import ImageFont

    path = Path(path or Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSansMono.ttf")
    try:
        with reading(path, "name a font that can be read: --font file.ttf"):
            font = ImageFont.truetype(str(path), size)
            known = set(map(chr, TTFont(path, fontNumber=0).getBestCmap() or ()))
    except TTLibError as error:
        raise UserError(f"--font {path}: not a font that can be read ({error})") from error
    missing = sorted(shown - known - set(map(chr, range(0x2400, 0x2421))))
    check(not missing, f"{path.name} cannot draw {' '.join(missing[:10])}; name a font that can: --font file.ttf")
    return font, known


def blend(one, other, share):
    """A colour between two."""
    return tuple(round(a + (b - a) * share) for a, b in zip(one, other, strict=True))


def shade(confidence):
    """The colour of the line below a character, by its confidence in ninths: none where it was certain."""
    return blend(PAPER, LOW, (1 - confidence / 9) ** 1.5)


def looks(still):
    """The cells of a still: {(line, column): (sign, background, colour of the line below)}."""
    cells, k = {}, 0
    for line, row in enumerate(rows(signs(still), COLUMNS)):
        for column, sign in enumerate(row):
            state, behind = still.states[k], BEHIND.get(still.states[k], PAPER)
            below = shade(still.confidence[k]) if state == SETTLED else behind
            cells[line, column] = " " if state == MASKED else sign, behind, below
            k += 1
    return cells
