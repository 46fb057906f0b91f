"""Films as GIF, drawn with Pillow."""

import functools
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from lab.cli import UserError, check
from lab.files import atomic, reading
from lab.showing.film import (
    COLUMNS,
    DRAFT,
    EVIDENCE,
    LEGEND,
    MASKED,
    NEW,
    SETTLED,
    figures,
    glyphs,
    has_flow,
    lines,
    timeline,
)

PAPER = (255, 255, 255)
INK = (26, 26, 26)
QUIET = (107, 107, 107)
LOW = (31, 95, 191)
BEHIND = {MASKED: (213, 213, 213), DRAFT: (245, 224, 90), NEW: (240, 168, 96)}  # what is settled stands on paper
FLOW = (40, 165, 145)  # behind a masked cell whose noise a flow has removed
NARROW = 38  # columns of a panel where there are three or more
TOP = 3  # row of a picture in which the text begins


class Painter:
    """Draws the pictures of an animation.

    font: path of a monospaced font; None is DejaVu Sans Mono. Raises UserError for characters that it lacks.
    """

    def __init__(self, films, font=None, size=13):
        shown = set().union(*(glyphs(film.snapshots[-1]) for film in films)) - {"\n"}
        self.font = load_font(font, size, shown)
        self.films = films
        w = round(max(map(self.font.getlength, {"M"} | shown)))  # the widest glyph
        h = size + 5
        self.cell = w, h
        self.columns = COLUMNS if len(films) < 3 else NARROW
        # the row below all lines
        self.foot = TOP + 1 + max(len(lines(still, self.columns)) for film in films for still in film.snapshots)
        self.panel = (self.columns + 3) * w
        size = self.panel * len(films) + 2 * w, (self.foot + len(LEGEND) + 3) * h
        self.image = Image.new("RGB", size, PAPER)
        self.legend()

    def paint(self, snapshots, caption):
        """A snapshot of each film as an RGB image."""
        image = self.image.copy()
        pen = ImageDraw.Draw(image)
        for panel, (film, snapshot) in enumerate(zip(self.films, snapshots, strict=True)):
            pen.text(self.corner(panel, 0), film.title, INK, self.font)
            pen.text(self.corner(panel, 1), figures(snapshot), QUIET, self.font)
            for place, look in styles(snapshot, self.columns).items():
                image.paste(cell(self.font, self.cell, *look), self.corner(panel, *place))
        pen.text(self.corner(0, self.foot), caption, QUIET, self.font)
        return image

    def corner(self, panel, row, column=0):
        """The pixel (x, y) at which a cell begins."""
        w, h = self.cell
        return (2 + column) * w + panel * self.panel, row * h + h // 2

    def legend(self):
        """What the looks of a cell mean, below the caption."""
        pen = ImageDraw.Draw(self.image)
        looks = [(BEHIND.get(state, PAPER), meaning) for state, meaning in LEGEND.items()]
        looks += [(evident(6), EVIDENCE)] * has_flow(self.films)
        for row, (behind, meaning) in enumerate(looks, self.foot + 1):
            below = shade(2) if behind == PAPER else behind
            self.image.paste(cell(self.font, self.cell, " ", behind, below), self.corner(0, row))
            pen.text(self.corner(0, row, 2), meaning, INK, self.font)


def write_gif(path, films, fps, font=None):
    """Write an animation whose last frame stays for two seconds -> what was written, in a line. Raises UserError."""
    painter = Painter(films, font)
    moments, lasts, caption = timeline(films, fps)
    colours = palette()
    images = (painter.paint(moment, caption).quantize(palette=colours, dither=0) for moment in moments)
    durations = [round(1000 * lasts)] * len(moments)  # neighbours that look alike become one
    durations[-1] += 2000
    with atomic(path) as file:
        first = next(images)
        first.save(file, "GIF", save_all=True, append_images=images, duration=durations, loop=0, optimize=False)
    return f"{path}: {len(moments)} pictures in {lasts * len(moments):.1f} s, {1 / lasts:.3g} a second at most"


def palette():
    """An image with every colour used, and ink at four strengths between: the edges of characters."""
    behind = [PAPER, *BEHIND.values()]
    edges = [blend(colour, INK, strength) for strength in (0.2, 0.4, 0.6, 0.8) for colour in behind]
    colours = [INK, QUIET, *behind, *map(shade, range(9)), *map(evident, range(10)), *edges]
    image = Image.new("P", (1, 1))
    image.putpalette(sum(colours, ()))
    return image


def load_font(path, size=13, shown=frozenset()):
    """A monospaced font that has the glyphs shown. Raises UserError."""
    import matplotlib  # not at the top: only films need it
    from fontTools.ttLib import TTFont, TTLibError

    path = path or Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSansMono.ttf")
    try:
        with reading(path, "name a font that can be read: --font file.ttf"):
            font = ImageFont.truetype(str(path), size)
            known = set(map(chr, TTFont(path, fontNumber=0).getBestCmap() or ()))
    except TTLibError as error:
        raise UserError(f"--font {path}: not a font that can be read ({error})") from error
    missing = sorted(shown - known)
    check(not missing, f"{path.name} cannot draw {' '.join(missing[:10])}; name a font that can: --font file.ttf")
    return font


@functools.cache  # the same few make up all pictures
def cell(font, size, glyph, behind, below):
    """A cell of a size (width, height) as an image: its background, the line below, its glyph."""
    w, h = size
    image = Image.new("RGB", (w, h - 1), behind)
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, h - 3, w, h), below)
    shown, ink = ("⏎", QUIET) if glyph == "\n" else (glyph, INK)
    pen.text((0, 0), shown, ink, font)
    return image


def blend(one, other, share):
    """A colour between two."""
    return tuple(round(a + (b - a) * share) for a, b in zip(one, other, strict=True))


def shade(confidence):
    """The colour of the line below a character, by its confidence in ninths: none where it was certain."""
    return blend(PAPER, LOW, (1 - confidence / 9) ** 1.5)


def evident(certainty):
    """The colour of a masked cell, by what of its noise a flow has removed, in ninths."""
    return blend(BEHIND[MASKED], FLOW, certainty / 9)


def styles(snapshot, columns=COLUMNS):
    """The cells of a snapshot in lines of so many columns: {(row, column): (glyph, background, colour of the line below)}."""
    cells = {}
    for row, line in enumerate(lines(snapshot, columns), TOP):
        for column, (glyph, state, confidence, certainty) in enumerate(line):
            behind = evident(certainty) if state == MASKED else BEHIND.get(state, PAPER)
            below = shade(confidence) if state == SETTLED else behind
            cells[row, column] = " " if state == MASKED else glyph, behind, below
    return cells
