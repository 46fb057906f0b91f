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
        "titles": [film.title for film in films],
        "caption": pictures[0][1],
        "texts": [film.stills[-1].letters for film in films],
        "stills": [[pack(still) for still in stills] for stills, _ in pictures],
    }
    text = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    text = text.replace("STYLE", style()).replace("LEGEND", legend())
    return text.replace("DATA", json.dumps(data, ensure_ascii=False).replace("<", "\\u003c"))


def style():
    """The style sheet of panels, letters and legend on a page."""
    shades = {MASKED: GREY, DRAFT: AMBER, NEW: ORANGE, SETTLED: f"rgb{background(SETTLED, 0.3)}"}
    sheet = Path(__file__).with_name("page.css").read_text(encoding="utf-8").replace("INK", INK).replace("PAPER", PAPER)
    return sheet + "".join(f".s{state} {{ background: {shade} }}\n" for state, shade in shades.items())


def legend():
    """The four states in HTML."""
    states = (f'<span><b class="s{i}"></b> {html.escape(words)}</span> ' for i, words in enumerate(LEGEND))
    return f'<p class="legend">{"".join(states)}</p>'


def panel(title, still):
    """A still in HTML, as the page of `write_html` shows it, but with the line ends that stand so far."""
    letters = zip(still.states, still.sure, still.letters, strict=True)
    runs = groupby(letters, lambda letter: (letter[0], background(letter[0], round(letter[1], 1))))
    spans = "".join(span(state, shade, "".join(letter for *_, letter in run)) for (state, shade), run in runs)
    return f"<section><h2>{html.escape(figures(title, still))}</h2><pre>{spans}</pre></section>"


def span(state, shade, letters):
    """Letters of one state and shade in HTML."""
    shown = "&nbsp;" * len(letters) if state == MASKED else html.escape(letters)
    colour = f' style="background: rgb{shade}"' if state == SETTLED else ""
    return f'<span class="s{state}"{colour}>{shown}</span>'


def pack(still):
    """A still in few characters: calls, seconds, letters, states, and how sure, 0..9."""
    states, sure = "".join(map(str, still.states)), "".join(str(int(s * 9)) for s in still.sure)
    return [still.calls, round(still.seconds, 3), still.letters, states, sure]
