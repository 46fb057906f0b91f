"""Films and stills in HTML: one page that holds a whole film, and the pieces that a live page shows."""

import html
import json
from itertools import groupby
from pathlib import Path

from lab.film import AMBER, DRAFT, GREY, INK, LEGEND, MASKED, NEW, ORANGE, PAPER, SETTLED, background, figures, timeline
from lab.records import write_text


def write_html(path, films, fps):
    """Write one self-contained page: the same pictures as text, with a slider, a button and keys."""
    write_text(path, render(films, timeline(films, fps), fps))


def render(films, pictures, fps, playing=True):
    """That page as text. playing: begins at the first picture and plays; else it stands at the last one."""
    data = {
        "fps": fps,
        "playing": playing,
        "caption": pictures[0][1],
        "texts": [film.stills[-1].characters for film in films],
        "stills": [
            [pack(film.title, still) for film, still in zip(films, stills, strict=True)] for stills, _ in pictures
        ],
    }
    text = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    text = text.replace("STYLE", style()).replace("LEGEND", legend())
    return text.replace("DATA", json.dumps(data, ensure_ascii=False).replace("<", "\\u003c"))


def style():
    """The style sheet of panels, characters and legend on a page."""
    shades = {f"s{state}": colour for state, colour in ((MASKED, GREY), (DRAFT, AMBER), (NEW, ORANGE))}
    shades |= {f"s{SETTLED}.p{ninth}": f"rgb{background(SETTLED, ninth / 9)}" for ninth in range(10)}
    sheet = Path(__file__).with_name("page.css").read_text(encoding="utf-8").replace("INK", INK).replace("PAPER", PAPER)
    return sheet + "".join(f".{name} {{ background: {shade} }}\n" for name, shade in shades.items())


def legend():
    """The four states in HTML."""
    states = (f'<span><b class="s{i} p3"></b> {html.escape(words)}</span> ' for i, words in enumerate(LEGEND))
    return f'<p class="legend">{"".join(states)}</p>'


def panel(title, still):
    """A still in HTML, as the page of `write_html` shows it, but with the line ends that stand so far."""
    characters = zip(still.states, ninths(still), still.characters, strict=True)
    runs = groupby(characters, lambda character: character[:2])
    spans = "".join(span(state, sure, "".join(character for *_, character in run)) for (state, sure), run in runs)
    return f"<section><h2>{html.escape(figures(title, still))}</h2><pre>{spans}</pre></section>"


def span(state, sure, characters):
    """Characters of one state, equally sure, in HTML."""
    shown = "&nbsp;" * len(characters) if state == MASKED else html.escape(characters)
    return f'<span class="s{state} p{sure}">{shown}</span>'


def ninths(still):
    """How sure each character was, a digit 0..9 for each."""
    return "".join(str(int(sure * 9)) for sure in still.sure)


def pack(title, still):
    """A still in few characters: its head line, characters, states, and how sure, 0..9."""
    return [figures(title, still), still.characters, "".join(map(str, still.states)), ninths(still)]
