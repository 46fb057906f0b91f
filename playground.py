"""Watch the three write in your browser, live, from one prompt; lock characters and let diffusion fill the masked spans.

    uv run --extra page playground.py

Shows the very frames of `generate`. One visitor is served at a time, so that the seconds are of a machine that does
nothing else; the page is for this machine only and asks nothing of the network.
"""

import html
import os
import sys
import time
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path

import methods
from lab import cli, film, page
from lab.canvas import Canvas
from lab.cli import UserError, check, check_seeds
from lab.trials import Trial

TITLES = {"gpt": "GPT", "diffusion": "Masked diffusion", "diffusion_flow": "Diffusion + flow"}
MOST = 480  # characters of a text, and characters to write
LONGEST = 30.0  # seconds that slow motion may add up to
PICTURE = 0.08  # seconds between two pictures, at least
SLIDERS = {  # setting of a Decoding: label, least, most, step, explanation
    "temp": ("Temperature", 0, 2, 0.05, "all three methods; 0 takes the likeliest character"),
    "spacing": ("Spacing", 0, 20, 1, "masked methods: characters of one call lie more than this apart; 0: anywhere"),
    "confidence_threshold": ("Threshold", 0, 1, 0.05, "masked methods: how probable a character must be to settle"),
    "draft_threshold": (
        "Draft threshold",
        0,
        1,
        0.05,
        "masked methods: drafts between this and the threshold; 1: none",
    ),
    "flow_step": ("Flow step", 0, 1, 0.05, "flow only: share of the remaining noise that a step takes"),
}
INTRODUCTION = """# tiny-diffusion
Three small models write from one prompt. **GPT** writes one character a call, from left to right. **Masked diffusion**
starts from blanks and settles many characters a call, anywhere; **diffusion + flow** is guided by a flow in the early
calls. A *call* (NFE) is a pass through the network; the seconds are each method's own."""


@dataclass(frozen=True)
class Args:
    weights_dir: Path = cli.ROOT / "weights"  # where the weights of the three lie
    port: int | None = None  # of 127.0.0.1; default the first free one from 7860


@dataclass(frozen=True)
class Wish:
    """What a visitor asks for; what cannot be done is refused in words."""

    text: str  # to go on from, or whose masked spans are to be filled in
    chars: int | None  # to write after it; None: fill its masked spans
    seed: int | None
    slower: float  # how many times slower than they are the calls are shown
    settings: dict  # of the Decodings

    def __post_init__(self):
        check(len(self.text) <= MOST, f"the text has {len(self.text)} characters; {MOST} is the most")
        check(self.chars is None or 1 <= self.chars <= MOST, f"characters to write: 1 to {MOST}, not {self.chars}")
        check(self.seed is not None, "the seed must be a whole number")
        check_seeds(self.seed)

    def canvas(self, alphabet):
        """The canvas to write on. Raises UserError."""
        if self.chars is None:
            return Canvas(*alphabet.encode_masked(self.text)).repeat(1)
        check(
            alphabet.mask not in self.text, f"this prompt has masked spans ({alphabet.mask}): the other tab fills them"
        )
        return Canvas.after(alphabet.encode(self.text), self.chars)

    def trial(self, name, alphabet):
        """The trial of a method: its default settings, but for those of the page that it has."""
        decoding = methods.METHODS[name].Args().decoding
        known = {field.name for field in fields(decoding)}
        decoding = replace(decoding, **{key: value for key, value in self.settings.items() if key in known})
        return Trial(self.canvas(alphabet), decoding, (self.seed,))


def load(folder):
    """The three writers by name, warmed up: the first calls are slow. Raises UserError."""
    writers = {name: methods.load(folder / f"{name}.pt", name) for name in TITLES}
    opening = writers["gpt"].prompt(1)
    alphabets = {writer.alphabet for writer in writers.values()}
    check(len(alphabets) == 1, f"{folder}: the three were trained on texts with different characters")
    for _ in write_together(writers, Wish(opening, 20, 0, 1, {})):
        pass
    return writers


def write_together(writers, wish):
    """Let all write on one clock: whoever has spent least makes the next call. Yields (seconds of that clock, Films).

    A method that refuses stands still, with its reason as title.
    """
    streams = {name: film.stills(writer, wish.trial(name, writer.alphabet)) for name, writer in writers.items()}
    films = {name: film.Film(TITLES[name], [next(stream)], []) for name, stream in streams.items()}
    while streams:
        name = min(streams, key=lambda name: films[name].stills[-1].seconds)
        try:
            films[name].stills.append(next(streams[name]))
        except StopIteration:
            del streams[name]
        except UserError as error:
            del streams[name]
            films[name] = replace(films[name], title=str(error).partition(";")[0])  # what follows is for the terminal
        yield min((films[name].stills[-1].seconds for name in streams), default=0.0), list(films.values())


def answer(writers, text, chars, seed, slower, *settings):
    """Carry out a wish: yields (message, what stands on the canvases), and at last the film with its slider."""
    try:
        wish = Wish(text or "", chars, seed, slower, dict(zip(SLIDERS, settings, strict=True)))
        pace = f"about {slower:.0f} times slower than they are" if slower > 1 else "as fast as they are"
        began = shown = time.monotonic()
        for clock, films in write_together(writers, wish):
            time.sleep(max(0.0, began + min(clock * slower, LONGEST) - time.monotonic()))
            if time.monotonic() - shown >= PICTURE:
                shown = time.monotonic()
                yield f"Writing, on one clock, {pace}.", live(films)
        yield "Done. The slider, or the arrow keys after a click on it, shows the state after each call.", replay(films)
    except UserError as error:
        yield html.escape(f"That cannot be done: {error}."), ""


def live(films):
    """The canvases as they stand, side by side, in HTML."""
    panels = "".join(page.panel(film.title, film.stills[-1]) for film in films)
    return f'{page.legend()}<div class="films">{panels}</div>'


def replay(films):
    """The film, a picture for each call, as a page within the page: it needs nothing of the server any more."""
    whole = page.render(films, film.by_call(films), fps=10, playing=False)
    return f'<iframe title="film" style="width: 100%; border: 0" srcdoc="{html.escape(whole)}"></iframe>'


def build(gradio, writers):
    """The page: two ways to ask, the settings, a message, the canvases."""
    alphabet, defaults = writers["gpt"].alphabet, methods.METHODS["diffusion_flow"].Args().decoding
    with gradio.Blocks(title="tiny-diffusion", analytics_enabled=False) as blocks:
        gradio.Markdown(INTRODUCTION)
        with gradio.Tab("Write on"):
            prompt = gradio.Textbox(writers["gpt"].prompt(15), label="Prompt", lines=2, max_length=MOST)
            chars = gradio.Slider(1, MOST, 240, step=1, label="Characters to write", buttons=[])
            go_on = gradio.Button("Write", variant="primary")
        with gradio.Tab("Fill masked spans"):
            info = f"Each {alphabet.mask} is one missing character; all other characters are locked."
            text = gradio.Textbox(
                example(alphabet), label="Text with masked spans", info=info, lines=2, max_length=MOST
            )
            fill_in = gradio.Button("Fill the masked spans", variant="primary")
        stop = gradio.Button("Stop", size="sm")
        with gradio.Accordion("Settings", open=False), gradio.Row():
            seed = gradio.Number(
                1337, label="Seed", info="the same seed writes the same text", precision=0, min_width=260
            )
            slower = gradio.Slider(
                1, 20, 10, step=1, label="Slow motion", info="1: as fast as they are", buttons=[], min_width=260
            )
            settings = [
                gradio.Slider(
                    least, most, getattr(defaults, name), step=step, label=label, info=info, buttons=[], min_width=260
                )
                for name, (label, least, most, step, info) in SLIDERS.items()
            ]
        message, view = gradio.HTML(elem_id="message"), gradio.HTML(elem_id="view")
        shared = {"outputs": [message, view], "api_visibility": "private", "show_progress_on": message}
        shared |= {"concurrency_id": "writing", "concurrency_limit": 1}
        writing = [
            go_on.click(partial(answer, writers), [prompt, chars, seed, slower, *settings], **shared),
            fill_in.click(partial(answer, writers), [text, gradio.State(None), seed, slower, *settings], **shared),
        ]
        stop.click(None, cancels=writing, api_visibility="private")
        for event in writing:  # said only once it has stopped: until then gradio ignores a click on Write
            event.failure(lambda: "Stopped.", outputs=message, queue=False, api_visibility="private")
    return blocks


def example(alphabet):
    """A text with masked spans to begin with, of characters that the models know."""
    text = "First ________:\nWhat is the ______ of this?".replace("_", alphabet.mask)
    return text if set(text) <= {*alphabet.characters, alphabet.mask} else alphabet.characters[-3:] + 5 * alphabet.mask


def serve(gradio, blocks, port=None):
    """Show the page at 127.0.0.1 only, to one visitor after the other, with a queue that has an end -> its address."""
    _, address, _ = blocks.queue(max_size=16).launch(
        server_name="127.0.0.1",
        server_port=port,
        share=False,
        ssr_mode=False,
        max_threads=4,
        max_file_size="1kb",
        prevent_thread_lock=True,
        quiet=True,
        theme=gradio.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        css=page.style(),
        footer_links=[],
    )
    return address


def find_gradio():
    """The gradio module, told to stay off the network. Raises UserError with the command that brings it."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    try:
        import gradio
    except ImportError as error:
        raise UserError("the page needs gradio, which comes with: uv run --extra page playground.py") from error
    return gradio


def main(args):
    """Load the three, then serve until Ctrl-C."""
    gradio = find_gradio()
    blocks = build(gradio, load(args.weights_dir))
    print(f"Open {serve(gradio, blocks, args.port)} in a browser; Ctrl-C ends it.", flush=True)
    blocks.block_thread()


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
