"""Films as GIF, drawn with Pillow."""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from lab.cli import check
from lab.files import atomic, reading
from lab.showing.film import COLUMNS, DRAFT, LEGEND, MASKED, NEW, SETTLED, figures, glyphs, lines, timeline

PAPER = (255, 255, 255)
INK = (26, 26, 26)
QUIET = (107, 107, 107)
LOW = (31, 95, 191)
BEHIND = {MASKED: (213, 213, 213), DRAFT: (245, 224, 90), NEW: (240, 168, 96)}  # what is settled stands on paper
FLOW = (40, 165, 145)  # behind a masked cell whose noise a flow has removed
BLANK = " ", PAPER, PAPER  # a cell without a character
NARROW = 38  # columns of a panel where there are three or more
TOP = 3  # row of a picture in which the text begins


class Painter:
    """Draws the frames of an animation, from one to the next what has changed.

    font: path of a monospaced font; None is DejaVu Sans Mono. Raises UserError for characters that it lacks.
    """

    def __init__(self, films, font=None, size=13):
        shown = set().union(*(glyphs(film.snapshots[-1]) for film in films)) - {"\n"}
        self.font = load_font(font, size, shown)
        self.films = films
        self.drawn = [{} for _ in films]
        w = round(max(map(self.font.getlength, {"M"} | shown)))  # the widest glyph
        h = size + 5
        self.cell = w, h
        self.columns = COLUMNS if len(films) < 3 else NARROW
        # the row below all lines
        self.foot = TOP + 1 + max(len(lines(still, self.columns)) for film in films for still in film.snapshots)
        self.panel = (self.columns + 3) * w
        size = self.panel * len(films) + 2 * w, (self.foot + len(LEGEND) + 2) * h
        self.image = Image.new("RGB", size, PAPER)
        self.pen = ImageDraw.Draw(self.image)
        self.legend()

    def paint(self, snapshots, caption):
        """A snapshot of each film as an RGB image, which the next call draws on."""
        for panel, (film, snapshot) in enumerate(zip(self.films, snapshots, strict=True)):
            self.text(panel, 0, film.title, INK)
            self.text(panel, 1, figures(snapshot), QUIET)
            before = self.drawn[panel]
            cells = styles(snapshot, self.columns)
            for place in before.keys() | cells.keys():
                if before.get(place) != cells.get(place):
                    self.draw_cell(panel, place, *cells.get(place, BLANK))
            self.drawn[panel] = cells
        self.text(0, self.foot, caption, QUIET)
        return self.image

    def corner(self, panel, row, column=0):
        """The pixel (x, y) at which a cell begins."""
        w, h = self.cell
        return (2 + column) * w + panel * self.panel, row * h + h // 2

    def text(self, panel, row, text, colour):
        """A line of text on paper."""
        x, y = self.corner(panel, row)
        self.pen.rectangle((x, y, x + self.panel, y + self.cell[1] - 1), PAPER)
        self.pen.text((x, y), text, colour, self.font)

    def draw_cell(self, panel, place, glyph, behind, below):
        """One cell: its background, the line below, its glyph."""
        w, h = self.cell
        x, y = self.corner(panel, *place)
        self.pen.rectangle((x, y, x + w - 1, y + h - 2), behind)
        self.pen.rectangle((x, y + h - 3, x + w - 1, y + h - 2), below)
        shown, ink = ("⏎", QUIET) if glyph == "\n" else (glyph, INK)
        self.pen.text((x, y), shown, ink, self.font)

    def legend(self):
        """What the looks of a cell mean, below the caption."""
        for row, (state, meaning) in enumerate(LEGEND.items(), self.foot + 1):
            behind = BEHIND.get(state, PAPER)
            below = shade(2) if state == SETTLED else behind
            self.draw_cell(0, (row, 0), " ", behind, below)
            self.pen.text(self.corner(0, row, 2), meaning, INK, self.font)

    def palette(self):
        """An image with every colour used, and ink at four strengths between: the edges of characters."""
        behind = [PAPER, *BEHIND.values()]
        edges = [blend(colour, INK, strength) for strength in (0.2, 0.4, 0.6, 0.8) for colour in behind]
        colours = [INK, QUIET, *behind, *map(shade, range(9)), *map(evident, range(10)), *edges]
        image = Image.new("P", (1, 1))
        image.putpalette(sum(colours, ()))
        return image


def write_gif(path, films, fps, font=None):
    """Write an animation whose last frame stays for two seconds -> what was written, in a line. Raises UserError."""
    painter = Painter(films, font)
    moments, lasts, caption = timeline(films, fps)
    palette = painter.palette()
    images = (painter.paint(moment, caption).quantize(palette=palette, dither=0) for moment in moments)
    durations = [round(1000 * lasts)] * len(moments)  # neighbours that look alike become one
    durations[-1] += 2000
    with atomic(path) as file:
        first = next(images)
        first.save(file, "GIF", save_all=True, append_images=images, duration=durations, loop=0, optimize=False)
    return f"{path}: {len(moments)} pictures in {lasts * len(moments):.1f} s, {1 / lasts:.3g} a second at most"


def load_font(path, size, shown):
    """A monospaced font that has the glyphs shown. Raises UserError."""
    import matplotlib  # not at the top: only films need it
    from fontTools.ttLib import TTFont

    path = path or Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSansMono.ttf")
    with reading(path, "name a font that can be read: --font file.ttf"):
        font = ImageFont.truetype(str(path), size)
        known = set(map(chr, TTFont(path, fontNumber=0).getBestCmap()))
    missing = sorted(shown - known)
    check(not missing, f"{path.name} cannot draw {' '.join(missing[:10])}; name a font that can: --font file.ttf")
    return font


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
