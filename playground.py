"""Watch the three write in your browser, live, from one text; lock characters and let diffusion fill the masked spans.

    uv run --extra page playground.py

Shows the very frames of `generate`. One visitor is served at a time, so that the seconds are of a machine that does
nothing else; the page is for this machine only and asks nothing of the network.
"""

import html
import os
import sys
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import methods
from lab import cli, film, page
from lab.canvas import Canvas
from lab.cli import UserError, check, uv_run
from lab.film import TITLES
from lab.trials import Trial

MOST = 480  # characters of a text, and characters to write
LONGEST = 30.0  # seconds that slow motion may add up to
PICTURE = 0.08  # seconds between two pictures, at least
BOTH, HOT = ("diffusion", "diffusion_flow"), "higher: more surprising; 0: always the likeliest character"
SLIDERS = {  # label: methods, setting of their Decodings, most, step, explanation
    "Temperature of GPT": (("gpt",), "temp", 2, 0.05, HOT),
    "Temperature of masked diffusion": (("diffusion",), "temp", 2, 0.05, HOT),
    "Temperature of diffusion + flow": (("diffusion_flow",), "temp", 2, 0.05, HOT),
    "Spacing": (BOTH, "spacing", 20, 1, "characters of one call lie more than this apart; 0: anywhere"),
    "Threshold": (BOTH, "confidence_threshold", 1, 0.05, "how probable a character must be to settle"),
    "Draft threshold": (BOTH, "draft_threshold", 1, 0.05, "drafts between this and the threshold; 1: none"),
    "Flow step": (("diffusion_flow",), "flow_step", 1, 0.05, "share of the remaining noise that a step takes"),
}
EXAMPLES = ("KING RICHARD III:\nMy ", "First Ci_____:\nWhat is the ____ of this?", "O, she doth teach ")
ABOUT = """**GPT** writes one character a call, from left to right. **Masked diffusion** starts from blanks and writes many
characters a call, anywhere; **diffusion + flow** is guided by a flow in the early calls. A *call* (NFE) is a pass through
the network; the seconds are each method's own."""


@dataclass(frozen=True)
class Args:
    weights_dir: Path = cli.ROOT / "weights"  # where the weights of the three lie
    port: int | None = None  # of 127.0.0.1; default the first free one from 7860


@dataclass(frozen=True)
class Wish:
    """What a visitor asks for; what cannot be done is refused in words that begin with the field."""

    text: str  # to go on from; where it has masked spans they are filled in, and it ends where it ends
    chars: float  # to write after it
    seed: float
    slower: float = 1  # how many times slower than they are the calls are shown
    settings: tuple = ()  # a value for each of SLIDERS; none: their defaults

    def __post_init__(self):
        check(len(self.text) <= MOST, f"Text: it has {len(self.text)} characters; {MOST} is the most")
        numbers = [("Characters to write", self.chars, 1, MOST, 1), ("Seed", self.seed, 0, 2**32 - 1, 1)]
        numbers += [("Slow motion", self.slower, 1, 20, 0.1)]
        sliders = zip(SLIDERS.items(), self.settings, strict=False)
        numbers += [(label, value, 0, most, step) for (label, (*_, most, step, _)), value in sliders]
        for label, value, least, most, step in numbers:
            check(value is not None and least <= value <= most, f"{label}: {least} to {most}, not {value}")
            check(step < 1 or value == int(value), f"{label}: a whole number, not {value}")

    def canvas(self, alphabet):
        """The canvas to write on. Raises UserError."""
        if alphabet.mask in self.text:
            return Canvas(*alphabet.encode_masked(self.text)).repeat(1)
        return Canvas.after(alphabet.encode(self.text), int(self.chars))

    def trial(self, name, alphabet):
        """The trial of a method: its default settings, but for those of the page that it has."""
        chosen = zip(SLIDERS.values(), self.settings, strict=False)
        known = {key: int(x) if step == 1 else x for (of, key, _, step, _), x in chosen if name in of}
        decoding = replace(methods.METHODS[name].Args().decoding, **known)
        return Trial(self.canvas(alphabet), decoding, (int(self.seed),))


def load(folder):
    """The three writers by name, warmed up: the first calls are slow. Raises UserError."""
    writers = {name: methods.load(folder / f"{name}.pt", name) for name in TITLES}
    opening = writers["gpt"].prompt(1)
    alphabets = {writer.alphabet for writer in writers.values()}
    check(len(alphabets) == 1, f"{folder}: the three were trained on texts with different characters")
    for _ in write_together(writers, Wish(opening, 20, 0)):
        pass
    return writers


def write_together(writers, wish):
    """Let all write on one clock: whoever has spent least makes the next call. Yields (seconds of that clock, Films).

    A method that refuses stands still, with its reason as note.
    """
    streams = {name: film.stills(writer, wish.trial(name, writer.alphabet)) for name, writer in writers.items()}
    films = {name: film.Film(TITLES[name], [next(stream)]) for name, stream in streams.items()}
    while streams:
        name = min(streams, key=lambda name: films[name].stills[-1].seconds)
        try:
            films[name].stills.append(next(streams[name]))
        except StopIteration:
            del streams[name]
        except UserError as error:
            del streams[name]
            films[name] = replace(films[name], note=str(error).partition(";")[0])  # what follows is for the terminal
        yield min((films[name].stills[-1].seconds for name in streams), default=0.0), list(films.values())


def answer(writers, text, chars, seed, slower, *settings):
    """Carry out a wish: yields (message, what stands on the canvases), and at last the film with its slider."""
    try:
        wish = Wish(text or "", chars, seed, slower, settings)
        pace = f"about {slower:g} times slower than they are" if slower > 1 else "as fast as they are"
        began = shown = time.monotonic()
        for clock, films in write_together(writers, wish):
            time.sleep(max(0.0, began + min(clock * slower, LONGEST) - time.monotonic()))
            if time.monotonic() - shown >= PICTURE:
                shown = time.monotonic()
                yield f'<span class="writing">Writing, on one clock, {pace}.</span>', live(films)
        yield "Done. Move the slider, or point at a character.", replay(films)
    except UserError as error:
        yield f'<span class="refused">{html.escape(str(error))}.</span>', ""


def live(films):
    """The canvases as they stand, side by side, in HTML."""
    return f'<div class="films">{"".join(map(page.panel, films))}</div>{page.legend(film.LEGEND)}'


def replay(films):
    """The films as a page within the page: it needs nothing of the server any more."""
    whole = html.escape(page.render(films, playing=False))
    return f'<iframe title="film" style="width: 100%; border: 0" srcdoc="{whole}"></iframe>'


def build(gradio, writers):
    """The page: the text, a message, the canvases; below them examples, settings and what is what."""
    alphabet, opening = writers["gpt"].alphabet, writers["gpt"].opening[:15]
    *_, (_, first) = write_together(writers, Wish(opening, 240, 1337))
    label = f"Text to go on from; each {alphabet.mask} in it is a missing character to fill in"
    with gradio.Blocks(title="tiny-diffusion", analytics_enabled=False) as blocks:
        with gradio.Row(elem_id="controls"):
            text = gradio.Textbox(opening, label=label, lines=2, max_lines=4, scale=4, min_width=200)
            chars = gradio.Number(240, label="Characters to write", scale=1, min_width=90)
            go_on = gradio.Button("Write", variant="primary", scale=1, min_width=90)
            stop = gradio.Button("Stop", elem_id="stop", scale=1, min_width=90)
        message = gradio.HTML("Three models on one clock: move the slider, point at a character.", elem_id="message")
        view = gradio.HTML(replay(first), elem_id="view")
        gradio.Examples([[example] for example in examples(alphabet, opening)], [text], label="Examples")
        with gradio.Accordion("Settings", open=False), gradio.Row():
            seed = gradio.Number(1337, label="Seed", info="the same seed writes the same text", min_width=260)
            sliders = [slider(gradio, "Slow motion", 1, 20, 10, 1, "1: as fast as they are")]
            for label, (of, name, most, step, info) in SLIDERS.items():
                default = getattr(methods.METHODS[of[0]].Args().decoding, name)
                sliders.append(slider(gradio, label, 0, most, default, step, info))
        gradio.Markdown(ABOUT)
        shared = {"outputs": [message, view], "api_visibility": "private", "show_progress_on": message}
        shared |= {"concurrency_id": "writing", "concurrency_limit": 1}
        writing = go_on.click(partial(answer, writers), [text, chars, seed, *sliders], **shared)
        stop.click(None, cancels=writing, api_visibility="private")
        # said only once it has stopped: until then gradio ignores a click on Write
        writing.failure(lambda: "Stopped.", outputs=message, queue=False, api_visibility="private")
    return blocks


def slider(gradio, label, least, most, default, step, info):
    """A slider whose values `Wish` checks: gradio's own refusal says nothing on the page."""
    made = gradio.Slider(least, most, default, step=step, label=label, info=info, buttons=[], min_width=260)
    made.preprocess = lambda value: value
    return made


def examples(alphabet, opening):
    """Texts to begin with, of characters that the models know."""
    texts = [opening, *(text.replace("_", alphabet.mask) for text in EXAMPLES)]
    return [text for text in texts if set(text) <= {*alphabet.characters, alphabet.mask}]


def serve(gradio, blocks, port=None):
    """Show the page at 127.0.0.1 only, to one visitor after the other, with a queue that has an end -> its address."""
    here = {"server_name": "127.0.0.1", "server_port": port, "share": False, "ssr_mode": False, "quiet": True}
    limits = {"max_threads": 4, "max_file_size": "1kb", "prevent_thread_lock": True, "footer_links": []}
    theme = gradio.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
    sheet = f"<style>{page.style()}</style>"  # as `css` gradio would change its selectors
    return blocks.queue(max_size=16).launch(**here, **limits, theme=theme, head=sheet)[1]


def find_gradio():
    """The gradio module, told to stay off the network. Raises UserError with the command that brings it."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    try:
        import gradio
    except ImportError as error:
        raise UserError(
            f"the page needs gradio, which comes with: {uv_run('playground.py', start=('--extra', 'page'))}"
        ) from error
    return gradio


def main(args):
    """Load the three, then serve until Ctrl-C."""
    gradio = find_gradio()
    blocks = build(gradio, load(args.weights_dir))
    print(f"Open {serve(gradio, blocks, args.port)} in a browser; Ctrl-C ends it.", flush=True)
    blocks.block_thread()


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
