"""Films in HTML: one page that holds whole films; its style sheet and its words in each language."""

import html
import json
from pathlib import Path
from string import Template

from lab.measuring.records import write_text
from lab.showing.film import EMPTY, EVIDENCE, LEGEND, MASKED, NEW, SETTLED, duration, has_flow, pace
from lab.showing.painter import BEHIND, INK, LOW, PAPER, QUIET

COLOURS = {  # in the light theme, in the dark one
    "paper": (PAPER, (20, 22, 27)),
    "ink": (INK, (236, 236, 236)),
    "quiet": (QUIET, (165, 165, 165)),
    "low": (LOW, (110, 168, 255)),
    "masked": (BEHIND[MASKED], (68, 72, 80)),
    "new": (BEHIND[NEW], (143, 72, 8)),
    "flow": ((126, 200, 190), (20, 104, 98)),
}
CLASSES = {"masked": MASKED, "new": NEW, "settled": SETTLED, "empty": EMPTY}  # s0, s1, ... in HTML


def write_html(path, films):
    """Write one self-contained page: the films as text, with a slider, a button and keys. Raises UserError."""
    write_text(path, render(films))


def render(films):
    """That page as text."""
    real, shown = duration(films)
    data = {"real": round(real, 4), "shown": shown, "pace": pace(real, shown), "films": list(map(pack, films))}
    title = html.escape(" and ".join(film.title for film in films))
    parts = {
        "title": f"{title}, writing",
        "legend": legend(flows=has_flow(films)),
        "style": style(),
        "data": embedded(data),
    }
    page = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    return Template(page).substitute(CLASSES, **parts)


def embedded(data):
    """Data as JSON that may stand in a script of a page."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def languages():
    """say(English phrase) -> phrase, by the file of its language; what the table lacks stays English."""
    table = json.loads(Path(__file__).with_name("chinese.json").read_text(encoding="utf-8"))
    return {"index.html": str, "chinese.html": lambda phrase: table.get(phrase, phrase)}


def pack(film):
    """A film in few characters: of each still its forward passes, seconds and changes.

    These are [position, sign, state, confidence, certainty] each.
    """
    before, stills = set(), []
    for still in film.snapshots:
        places = range(len(still.characters))
        cells = [*zip(places, still.characters, still.states, still.confidence, still.certainty, strict=True)]
        stills.append([still.calls, round(still.seconds, 4), [cell for cell in cells if cell not in before]])
        before = {*cells}
    return {"title": film.title, "stills": stills}


def style():
    """The style sheet of panels, characters and legend on a page, in a light and in a dark theme."""
    light, dark = ("".join(f" --td-{part}: rgb{pair[i]};" for part, pair in COLOURS.items()) for i in (0, 1))
    sheet = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    return Template(sheet).substitute(CLASSES, light=light, dark=dark)


def legend(say=str, flows=False):
    """The states in HTML, and the evidence of a flow."""
    shown = {f"s{state}": said for state, said in LEGEND.items()}
    shown |= {"grows": EVIDENCE} if flows else {}
    look = "--share: .2; --level: .6"
    spans = (
        f'<span><b class="{name}" style="{look}">{"a" * (name == f"s{SETTLED}")}</b> {say(said)}</span> '
        for name, said in shown.items()
    )
    return f'<p class="legend">{"".join(spans)}</p>'
