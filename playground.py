"""Watch the three write in your browser, live, from one text; lock characters and let diffusion fill the masked spans.

    uv run --extra page playground.py

Shows the very frames of `generate`. One visitor is served at a time, so that the seconds are of a machine that does
nothing else; the page is for this machine only and asks nothing of the network.
"""

import html
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import lab.start  # noqa: F401 (before PyTorch)

import methods
from lab import cli, film, likelihood, page
from lab.canvas import Canvas
from lab.cli import UserError, check, check_range, uv_run
from lab.film import EMPTY, MASKED, NEW, SETTLED
from lab.progress import Bar
from lab.quality import generative_nll
from lab.trials import Trial

MOST, FILLED = 480, 24  # characters of a text, and to write; masked ones whose likeliest fillings are looked for
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
the network; the seconds are each method's own. *Generative NLL* is how improbable another model, the evaluator,
finds the finished text: low for likely text, lower still for dull repetition."""


@dataclass(frozen=True)
class Args:
    weights_dir: Path = cli.ROOT / "weights"  # where the weights of the three lie
    port: int | None = None  # of 127.0.0.1; default the first free one from 7860

    def __post_init__(self):
        check_range(self, 1, 65535, "port")


@dataclass(frozen=True)
class Wish:
    """What a visitor asks for; what cannot be done is refused in words that begin with the field."""

    text: str  # to go on from; where it has masked spans they are filled in, and it ends where it ends
    chars: float  # to write after it
    seed: float
    slower: float = 1  # how many times slower than they are the calls are shown
    settings: tuple = ()  # a value for each of SLIDERS; none: their defaults
    say: Callable = str  # a phrase in the visitor's language

    def __post_init__(self):
        say, long = self.say, len(self.text)
        check(long <= MOST, f"{say('Text')}: {long} {say('characters')}, {MOST} {say('is the most')}")
        numbers = [("Characters to write", self.chars, 1, MOST, 1), ("Seed", self.seed, 0, 2**32 - 1, 1)]
        numbers += [("Slow motion", self.slower, 1, 20, 0.1)]
        sliders = zip(SLIDERS.items(), self.settings, strict=False)
        numbers += [(label, value, 0, most, step) for (label, (*_, most, step, _)), value in sliders]
        for label, value, least, most, step in numbers:
            inside, found = value is not None and least <= value <= most, f"{say('not')} {value}"
            check(inside, f"{say(label)}: {least} {say('to')} {most}, {found}")
            check(step < 1 or value == int(value), f"{say(label)}: {say('a whole number')}, {found}")

    def canvas(self, alphabet):
        """The canvas to write on. Raises UserError."""
        if alphabet.mask in self.text:
            return Canvas(*alphabet.encode_masked(self.text)).repeat(1)
        return Canvas.after(alphabet.encode(self.text), int(self.chars))

    def trial(self, name, alphabet):
        """The trial of a method: its default settings, but for those of the page that it has."""
        chosen = zip(SLIDERS.values(), self.settings, strict=False)
        known = {key: int(x) if step == 1 else x for (of, key, _, step, _), x in chosen if name in of}
        decoding = replace(methods.METHODS[name].decoding, **known)
        return Trial(self.canvas(alphabet), decoding, (int(self.seed),))


def load(folder):
    """The three engines by name, warmed up: the first calls are slow. Raises UserError."""
    engines = {name: methods.load(name, folder / f"{name}.pt") for name in methods.METHODS}
    opening = engines["gpt"].prompt(1)
    alphabets = {engine.alphabet for engine in engines.values()}
    check(len(alphabets) == 1, f"{folder}: the three were trained on texts with different characters")
    for _ in write_together(engines, Wish(opening, 20, 0)):
        pass
    return engines


def write_together(engines, wish):
    """Let all write on one clock: whoever has spent least makes the next call. Yields (seconds of that clock, Films).

    A method that refuses stands still, with its reason as note.
    """
    streams = {name: film.snapshots(engine, wish.trial(name, engine.alphabet)) for name, engine in engines.items()}
    films = {name: film.Film(wish.say(engines[name].method.title), [next(stream)]) for name, stream in streams.items()}
    while streams:
        name = min(streams, key=lambda name: films[name].snapshots[-1].seconds)
        try:
            films[name].snapshots.append(next(streams[name]))
        except StopIteration:
            del streams[name]
        except UserError as error:
            del streams[name]
            films[name] = replace(films[name], note=wish.say(str(error).partition(";")[0]))  # the rest: for a terminal
        yield min((films[name].snapshots[-1].seconds for name in streams), default=0.0), list(films.values())


def answer(engines, evaluator, say, text, chars, seed, slower, *settings):
    """Carry out a wish: yields (message, what stands on the canvases), and at last the film with its slider."""
    try:
        wish = Wish(text or "", chars, seed, slower, settings, say)
        pace = f"{say('Writing, on one clock')}: {film.pace([film.AnimationFrame((), 1.0, slower)], say)}"
        began = shown = time.monotonic()
        for clock, films in write_together(engines, wish):
            time.sleep(max(0.0, began + min(clock * slower, LONGEST) - time.monotonic()))
            if time.monotonic() - shown >= PICTURE:
                shown = time.monotonic()
                yield f'<span class="writing">{pace}</span>', live(films, say)
        whole = replay([scored(made, evaluator, say) for made in films], say)
        yield say("Done. Move the slider, or point at a character."), whole + fillings(engines["diffusion"], wish)
    except UserError as error:
        yield f'<span class="refused">{html.escape(str(error))}{say(".")}</span>', ""


def scored(made, evaluator, say):
    """A film with the generative NLL of what was written as note, where there is an evaluator and no other note."""
    ahead, text = [state in (MASKED, EMPTY) for state in made.snapshots[0].states], made.snapshots[-1].characters
    nll = None if made.note or len(text) < 2 else generative_nll([text], evaluator, [ahead.index(True)])[0]
    return made if nll is None else replace(made, note=say("generative NLL: {:.2f} nats per character").format(nll))


def fillings(engine, wish):
    """The likeliest ways to fill the masked spans of a short text, in HTML; nothing where there is none."""
    canvas = wish.canvas(engine.alphabet)
    idx, masked = canvas.idx[0], canvas.masked[0]
    if engine.alphabet.mask not in wish.text or masked.sum() > FILLED or len(idx) > engine.model.config.block_size:
        return ""
    rows, states = "", [NEW if each else SETTLED for each in masked.tolist()]
    for tokens, probability in zip(*likelihood.best_fillings(engine.model, idx, masked), strict=True):
        signs = film.visible(engine.alphabet.decode(tokens))
        cells = "".join(page.span(state, 9, sign) for state, sign in zip(states, signs, strict=True))
        rows += f"<p>{probability:.1%}</p><pre>{cells}</pre>"
    said = wish.say("The likeliest fillings of masked diffusion, with their probability from left to right")
    return f'<h3>{said}</h3><div class="films fillings">{rows}</div>'


def live(films, say):
    """The canvases as they stand, side by side, in HTML, below their clock: its axis doubles when it is full."""
    axis = 2 ** math.ceil(math.log2(max(1, *(made.snapshots[-1].seconds for made in films))))
    panels = "".join(page.panel(made, say) for made in films)
    return f'{page.bars(films, axis, say)}<div class="films">{panels}</div>{page.legend(film.LEGEND, say)}'


def replay(films, say):
    """The films as a page within the page: it needs nothing of the server any more."""
    whole = html.escape(page.render(films, playing=False, say=say))
    return f'<iframe title="film" style="width: 100%; border: 0" srcdoc="{whole}"></iframe>'


def build(gradio, engines, evaluator=None):
    """The page in each language, English at /."""
    alphabet, opening = engines["gpt"].alphabet, engines["gpt"].opening[:15]
    evaluator = evaluator if evaluator and evaluator.alphabet == alphabet else None
    blocks = gradio.Blocks(title="tiny-diffusion", analytics_enabled=False)
    *_, (_, first) = write_together(engines, Wish(opening, 240, 1337))
    for language, say in page.languages().items():
        with blocks if say is str else blocks.route(language, say("en")):
            gradio.Navbar(main_page_name="English")
            titled = [replace(scored(made, evaluator, say), title=say(made.title)) for made in first]
            fill(gradio, partial(answer, engines, evaluator, say), say, alphabet, opening, titled)
    return blocks


def fill(gradio, answer, say, alphabet, opening, first):
    """Put on a page the text, a message, the canvases; below them examples, settings and what is what."""
    label = say("Text to go on from; each {} in it is a missing character to fill in").format(alphabet.mask)
    with gradio.Row(elem_id="controls"):
        text = gradio.Textbox(opening, label=label, lines=2, max_lines=4, scale=4, min_width=200)
        chars = gradio.Number(240, label=say("Characters to write"), scale=1, min_width=90)
        go_on = gradio.Button(say("Write"), variant="primary", scale=1, min_width=90)
        stop = gradio.Button(say("Stop"), elem_id="stop", scale=1, min_width=90)
    message = gradio.HTML(say("Three models on one clock: move the slider, point at a character."), elem_id="message")
    view = gradio.HTML(replay(first, say), elem_id="view")
    gradio.Examples([[example] for example in examples(alphabet, opening)], [text], label=say("Examples"))
    with gradio.Accordion(say("Settings"), open=False), gradio.Row():
        seed = gradio.Number(1337, label=say("Seed"), info=say("the same seed writes the same text"), min_width=260)
        sliders = [slider(gradio, say, "Slow motion", 1, 20, 10, 1, "1: as fast as they are")]
        for label, (of, name, most, step, info) in SLIDERS.items():
            default = getattr(methods.METHODS[of[0]].decoding, name)
            sliders.append(slider(gradio, say, label, 0, most, default, step, info))
    gradio.Markdown(say(ABOUT))
    shared = {"outputs": [message, view], "api_visibility": "private", "show_progress_on": message}
    shared |= {"concurrency_id": "writing", "concurrency_limit": 1}
    writing = go_on.click(answer, [text, chars, seed, *sliders], **shared)
    stop.click(None, cancels=writing, api_visibility="private")
    # said only once it has stopped: until then gradio ignores a click on Write
    writing.failure(lambda: say("Stopped."), outputs=message, queue=False, api_visibility="private")


def slider(gradio, say, label, least, most, default, step, info):
    """A slider whose values `Wish` checks: gradio's own refusal says nothing on the page."""
    made = gradio.Slider(least, most, default, step=step, label=say(label), info=say(info), buttons=[], min_width=260)
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
    try:
        return blocks.queue(max_size=16).launch(**here, **limits, theme=theme, head=sheet)[1]
    except OSError as error:
        raise UserError(f"--port {port}: another program has it; leave it out for a free one") from error


def find_gradio():
    """The gradio module, told to stay off the network. Raises UserError with the command that brings it."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    try:
        import gradio
    except ImportError as error:
        start = uv_run("playground.py", start=("--extra", "page"))
        raise UserError(f"the page needs gradio, which comes with: {start}") from error
    return gradio


def main(args):
    """Load the three, then serve until Ctrl-C."""
    with Bar("making the page"):
        gradio, path = find_gradio(), args.weights_dir / "evaluator.pt"
        blocks = build(gradio, load(args.weights_dir), methods.load("gpt", path) if path.exists() else None)
        address = serve(gradio, blocks, args.port)
    print(f"Open {address} in a browser; Ctrl-C ends it.", flush=True)
    blocks.block_thread()


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
