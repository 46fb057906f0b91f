"""Films and stills in HTML: one page that holds whole films, and the pieces that a live page shows."""

import html
import json
import re
from itertools import groupby
from pathlib import Path
from string import Template

from lab.film import DRAFT, EMPTY, LEGEND, MASK, MASKED, NEW, SETTLED, AnimationFrame, duration, figures, pace, visible
from lab.painter import BEHIND, INK, LOW, PAPER, QUIET
from lab.records import write_text

COLOURS = {  # in the light theme, in the dark one
    "paper": (PAPER, (20, 22, 27)),
    "ink": (INK, (236, 236, 236)),
    "quiet": (QUIET, (165, 165, 165)),
    "low": (LOW, (110, 168, 255)),
    "refused": ((176, 0, 32), (255, 138, 128)),
    "masked": (BEHIND[MASKED], (68, 72, 80)),
    "draft": (BEHIND[DRAFT], (104, 88, 0)),
    "new": (BEHIND[NEW], (143, 72, 8)),
}
CLASSES = {"masked": MASKED, "draft": DRAFT, "new": NEW, "settled": SETTLED, "empty": EMPTY}  # s0, s1, ... in HTML


def write_html(path, films):
    """Write one self-contained page: the films as text, with a slider, a button and keys. Raises UserError."""
    write_text(path, render(films))


def languages():
    """say(English phrase) -> phrase, of each language by its own name; what the table lacks stays English."""
    table = json.loads(Path(__file__).with_name("chinese.json").read_text(encoding="utf-8"))
    return {"English": str, "中文": lambda phrase: table.get(phrase, phrase)}


def render(films, playing=True, say=str):
    """That page as text. playing: begins at the first still and plays; else it stands at the last one."""
    real, shown = duration(films)
    data = {"playing": playing, "real": round(real, 4), "shown": shown}
    data |= {"pace": pace([AnimationFrame((), real, shown)], say), "films": [pack(film) for film in films]}
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    states = {state for film in films for still in film.snapshots for state in still.states}
    page = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    page = Template(re.sub(r'say\("(.*?)"\)', lambda found: f'"{say(found[1])}"', page))
    parts = {"bars": bars(films, real or 1.0, say), "legend": legend(states, say), "language": say("en")}
    return page.substitute(CLASSES | parts, mask=MASK, style=style(), data=text)


def pack(film):
    """A film in few characters: of each still its calls, seconds and changes, [position, sign, state, confidence] each."""
    before, stills = {}, []
    for still in film.snapshots:
        cells = enumerate(zip(visible(still.characters), still.states, still.confidence, strict=True))
        changed = {k: cell for k, cell in cells if before.get(k) != cell}
        changes = [[k, *cell, *best(still, k)] for k, cell in changed.items()]
        stills.append([still.calls, round(still.seconds, 4), changes])
        before |= changed
    return {"title": film.title, "note": film.note, "stills": stills}


def best(still, position):
    """[[character, percent], ...] of the likeliest characters at a position, where this call wrote it."""
    found = still.candidates.get(position)
    return [[[visible(character), round(100 * share, 1)] for character, share in found]] if found else []


def style():
    """The style sheet of panels, characters and legend on a page, in a light and in a dark theme."""
    themes = {"light": "", "dark": ""}
    for part, pair in COLOURS.items():
        themes = {name: f"{themes[name]} --td-{part}: rgb{colour};" for name, colour in zip(themes, pair, strict=True)}
    sheet = Template(Path(__file__).with_name("page.css").read_text(encoding="utf-8")).substitute(themes | CLASSES)
    shares = ((ninth, round(100 * (1 - ninth / 9) ** 1.5)) for ninth in range(9))
    return sheet + "".join(f".s{SETTLED}.p{ninth} {{ --td-share: {share}% }}\n" for ninth, share in shares)


def legend(states, say=str):
    """The states in HTML, those among `states`."""
    shown = {state: said for state, said in LEGEND.items() if state in states}
    spans = (f'<span><b class="s{i} p2">{"a" * (i == SETTLED)}</b> {say(said)}</span> ' for i, said in shown.items())
    return f'<p class="legend">{"".join(spans)}</p>'


def bars(films, axis, say=str):
    """A bar for each film on one time axis of so many seconds, in HTML."""
    spent = [(html.escape(film.title), film.snapshots[-1].seconds) for film in films]
    rows = (f'<p><b style="width: {100 * s / axis:.1f}%"></b>{t}: <i>{s:.2f}{say(" s")}</i></p>' for t, s in spent)
    return f'<div class="bars">{"".join(rows)}</div>'


def panel(film, say=str):
    """A film's last still in HTML, as the page of `write_html` shows it."""
    still = film.snapshots[-1]
    runs = groupby(zip(still.states, still.confidence, visible(still.characters), strict=True), lambda cell: cell[:2])
    spans = "".join(span(state, ninth, "".join(sign for *_, sign in run)) for (state, ninth), run in runs)
    note = f'<p class="note">{html.escape(film.note)}</p>' if film.note else ""
    return f"<section><h2>{html.escape(film.title)}: {figures(still, say)}</h2>{note}<pre>{spans}</pre></section>"


def span(state, ninth, signs):
    """Characters of one state and one confidence in HTML."""
    shown = {MASKED: MASK * len(signs), EMPTY: " " * len(signs)}.get(state, html.escape(signs))
    return f'<span class="s{state} p{ninth}">{shown.replace(chr(10), "<i></i>" + chr(10))}</span>'
