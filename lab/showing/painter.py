"""Films as GIF, drawn with Pillow."""

import functools

from PIL import Image, ImageDraw, ImageFont

from lab.cli import check
from lab.files import atomic, reading
from lab.showing.film import COLUMNS, EVIDENCE, LEGEND, MASKED, NEW, SETTLED, figures, glyphs, has_flow, lines, timeline

PAPER = (255, 255, 255)
INK = (26, 26, 26)
QUIET = (107, 107, 107)
LOW = (31, 95, 191)
BEHIND = {MASKED: (213, 213, 213), NEW: (240, 168, 96)}  # what is settled stands on paper
FLOW = (40, 165, 145)  # behind a masked cell whose noise a flow has removed
SIZE = 13  # pixels of the font
NARROW = 38  # columns of a panel where there are three or more
LEFT = 2  # column of a picture in which the first panel begins
TOP = 3  # row in which the text begins


class Painter:
    """Draws the pictures of an animation, which are made of cells of one size.

    font: path of a monospaced font; None is DejaVu Sans Mono. Raises UserError for characters that it lacks.
    """

    def __init__(self, films, font=None):
        shown = set().union(*(glyphs(film.snapshots[-1]) for film in films)) - {"\n", " "}
        self.font = load_font(font, shown)
        self.films = films
        widest = max(map(self.font.getlength, {"M"} | shown))
        self.cell = round(widest), SIZE + 5
        self.columns = COLUMNS if len(films) < 3 else NARROW
        self.panel = self.columns + 3
        # the row below all lines
        self.foot = TOP + 1 + max(len(lines(still, self.columns)) for film in films for still in film.snapshots)

    def paint(self, snapshots, caption):
        """A snapshot of each film, the caption and the legend as an RGB image."""
        size = self.corner(self.foot + len(LEGEND) + 3, LEFT + self.panel * len(self.films))
        image = Image.new("RGB", size, PAPER)
        pen = ImageDraw.Draw(image)
        for panel, (film, snapshot) in enumerate(zip(self.films, snapshots, strict=True)):
            left = LEFT + self.panel * panel
            pen.text(self.corner(0, left), film.title, INK, self.font)
            pen.text(self.corner(1, left), figures(snapshot), QUIET, self.font)
            for row, line in enumerate(lines(snapshot, self.columns), TOP):
                for column, look in enumerate(line, left):
                    image.paste(cell(self.font, self.cell, *look), self.corner(row, column))
        pen.text(self.corner(self.foot, LEFT), caption, QUIET, self.font)
        legend = [(state, 0, meaning) for state, meaning in LEGEND.items()]
        legend += [(MASKED, 1, EVIDENCE)] * has_flow(self.films)
        for row, (state, flows, meaning) in enumerate(legend, self.foot + 1):
            for n in range(10):  # a scale, so that every picture has all colours
                image.paste(cell(self.font, self.cell, " ", state, 9 - n, n * flows), self.corner(row, LEFT + n))
            pen.text(self.corner(row, LEFT + 11), meaning, INK, self.font)
        return image

    def corner(self, row, column):
        """The pixel (x, y) at which a cell begins."""
        w, h = self.cell
        return column * w, row * h + h // 2


def write_gif(path, films, fps, font=None):
    """Write an animation whose last frame stays for two seconds. Raises UserError."""
    painter = Painter(films, font)
    moments, lasts, caption = timeline(films, fps)
    typical = painter.paint(moments[len(moments) // 2], caption)
    colours = typical.quantize(method=Image.Quantize.FASTOCTREE)
    images = (painter.paint(moment, caption).quantize(palette=colours, dither=0) for moment in moments)
    durations = [round(1000 * lasts)] * len(moments)  # neighbours that look alike become one
    durations[-1] += 2000
    with atomic(path) as file:
        first = next(images)
        first.save(file, "GIF", save_all=True, append_images=images, duration=durations, loop=0, optimize=False)


def load_font(path, shown=()):
    """A monospaced font that has the glyphs shown; path: None is DejaVu Sans Mono. Raises UserError."""
    import matplotlib  # not at the top: only films need it

    path = path or f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSansMono.ttf"
    with reading(path, "name a font that can be read: --font file.ttf"):
        font = ImageFont.truetype(path, SIZE)
    lacking = bytes(font.getmask("\uffff"))  # what a font draws for a character that it lacks; this one no font has
    missing = [glyph for glyph in sorted(shown) if not glyph.isspace() and bytes(font.getmask(glyph)) == lacking]
    check(not missing, f"{path} cannot draw {' '.join(missing[:10])}; name a font that can: --font file.ttf")
    return font


@functools.cache  # the same few make up all pictures
def cell(font, size, glyph, state, confidence, certainty):
    """A cell of a size (width, height) as an image: its background, the line below, its glyph unless it is masked."""
    w, h = size
    behind = evident(certainty) if state == MASKED else BEHIND.get(state, PAPER)
    below = shade(confidence) if state == SETTLED else behind
    image = Image.new("RGB", (w, h - 1), behind)
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, h - 3, w, h), below)
    if state != MASKED:
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
