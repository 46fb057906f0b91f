"""What a terminal shows, read back from a terminal emulator of three sizes."""

import io

import pyte
import pytest
import torch
from rich.console import Console
from rich.live import Live
from rich.style import Style

from gpt import METHOD as gpt
from lab.decoding.canvas import Canvas, Frame
from lab.measuring import trials
from lab.model.corpus import Alphabet
from lab.showing import painter, terminal
from lab.showing.film import EMPTY, MASKED, NEW, SETTLED, Film, Snapshot
from methods import METHODS, load

SIZES = [(60, 20), (80, 24), (120, 40)]
every_size = pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))


class Emulator(io.StringIO):
    """A file that is a terminal: what is written is kept, and drawn on a screen that counts what leaves it at the top."""

    def __init__(self, size):
        super().__init__()
        self.screen, self.taken = pyte.HistoryScreen(*size, history=10_000), ""
        self.stream = pyte.Stream(self.screen)

    def write(self, text):
        self.taken += text
        self.stream.feed(text.replace("\n", "\r\n"))
        return len(text)

    def lines(self):
        """All lines, those that have scrolled off first."""
        above = ["".join(row[x].data for x in range(self.screen.columns)) for row in self.screen.history.top]
        return [line.rstrip() for line in (*above, *self.screen.display)]


def on(size):
    file = Emulator(size)
    return file, Console(
        file=file, force_terminal=True, width=size[0], height=size[1], highlight=False, markup=False, color_system="256"
    )


def poem(kind, lines=30):
    """A film that writes some lines from left to right."""
    text = "".join(f"line {k} of a long, long poem\n" for k in range(lines))
    snapshots = [
        Snapshot(
            k,
            k / 100,
            text[:k] + "_" * (len(text) - k),
            bytes([SETTLED] * (k - 1) + [NEW] * (k > 0) + [kind] * (len(text) - k)),
            bytes([3] * len(text)),
            bytes(len(text)),
        )
        for k in range(len(text) + 1)
    ]
    return Film("A poem", snapshots)


@every_size
@pytest.mark.parametrize("count", [1, 2])
def test_a_picture_fills_the_screen_with_legend_and_the_active_lines(size, count):
    films = [poem(MASKED), poem(EMPTY)][-count:]
    for k in (0, 300, 700):
        picture = tuple(made.snapshots[k] for made in films)
        file, console = on(size)
        with Live(console=console, screen=True, auto_refresh=False) as live:
            live.update(terminal.screen(films, picture, "2 times slower than real", console.size), refresh=True)
            shown = file.lines()
        assert len(shown) == size[1] and all(len(line) <= size[0] for line in shown)
        text = "\n".join(shown).replace("\u00a0", " ")
        assert "2 times slower than real" in text and "written in this pass, or a draft" in text
        assert text.count(f"{k} forward pass") == count
        active = films[-1].snapshots[k].characters[:k].rsplit("\n")[-1]
        assert text.count(active) >= count
        assert any(line.count("A poem") == count for line in shown)


def test_a_film_leaves_its_last_state_once_where_the_cursor_was():
    file, console = on((80, 24))
    terminal.play([poem(EMPTY, 3)], 50, console)
    ahead, _, after = file.taken.rpartition("\x1b[?1049l")
    assert "\x1b[?1049h" in ahead and after.count("line 2 of a long") == 1 and "84 forward passes" in after
    assert "\x1b[2m" not in file.taken  # nothing is dim


def test_on_a_pipe_a_film_is_its_end_alone():
    file = io.StringIO()
    terminal.play([poem(MASKED, 3)], 50, Console(file=file, width=80))
    assert file.getvalue().count("A poem") == 1 and "\x1b" not in file.getvalue()


@pytest.fixture(autouse=True)
def draw_every_call(monkeypatch):
    """And wait for nothing."""
    monkeypatch.setattr(terminal, "PAUSE", 0)
    monkeypatch.setattr(terminal.time, "sleep", lambda seconds: None)


def write(size, text, characters, chunk=1):
    """Show a text on a terminal as it is written, `chunk` characters a call -> (the emulator, screens on the way)."""
    alphabet, screens = Alphabet(characters), []
    file, console = on(size)

    def generate(model, canvas, decoding, rngs):
        """Yields the frames of a sampler that writes this text from left to right."""
        idx = alphabet.encode(text)[None]
        for n in range(1, len(text), chunk):
            masked = torch.arange(len(text))[None] >= n + chunk
            columns = torch.arange(n, min(n + chunk, len(text)))[None]
            probs = torch.nn.functional.one_hot(idx[:, n : n + chunk], len(alphabet)).double()
            yield Frame(idx, masked, torch.zeros_like(masked), columns, probs, 1.0)
            screens.append("\n".join(file.screen.display))

    model = gpt.Model(gpt.Config(vocab_size=len(alphabet), n_layer=1, n_embd=16, n_head=2))
    engine = trials.Engine(gpt, model, alphabet, text).sampled_by(generate)
    canvas = Canvas.after(alphabet.encode(text[:1]), len(text) - 1)
    terminal.typed(engine, trials.Trial(canvas, None, (1,)), console)
    return file, screens


@every_size
def test_long_text_without_newlines_keeps_flowing(size):
    text = "".join(f"{k} " for k in range(1000))
    file, screens = write(size, text, "0123456789 ", chunk=7)
    assert all(f"{text[: 1 + 7 * (k + 1)].split()[-2]} " in screen for k, screen in enumerate(screens[:-1]) if k)
    assert " ".join(file.lines()).split() == text.split()
    assert "forward passes, " in screens[3]


@every_size
def test_wide_characters_fit(size):
    text = "天地玄黄" * 100
    file, _ = write(size, text, "天地玄黄", chunk=9)
    assert "".join(file.lines()).replace(" ", "") == text


def test_control_characters_of_a_corpus_never_reach_the_terminal():
    text = "ab\x1b[31mred\x07\x9b\tx\rend"
    file, _ = write((80, 24), text, "".join(sorted(set(text))))
    assert "ab\ufffd[31mred\ufffd\ufffd→x\ufffdend" in file.lines()[0]
    assert not set("\x07\x9b\t") & set(file.taken) and "\x1b[31mred" not in file.taken


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@every_size
def test_the_whole_text_stands_there_in_the_end(method, size, make_weights):
    engine = load(method.name, make_weights(method))
    file, console = on(size)
    trial = trials.Trial(Canvas.after(engine.alphabet.encode("to be "), 120), method.decoding, (1,))
    sample = terminal.typed(engine, trial, console)
    assert "".join(file.lines()).replace(" ", "") == sample.text.replace(" ", "").replace("\n", "")
    assert "forward passes, " in file.taken and "38;5;208" not in file.taken.rpartition("forward passes, ")[2]
    assert "48;5;208" in file.taken  # the characters of a call are marked
    if method.name != "gpt":
        assert "░" in file.taken  # masks were visible on the way


def test_a_masked_cell_is_green_by_what_of_its_noise_a_flow_has_removed():
    grown = Snapshot(1, 1.0, "___", bytes([MASKED] * 3), bytes(3), certainty=bytes([0, 3, 9]))
    looks = [Style.parse(span.style) for span in terminal.active_lines(grown, 10, 5)[0].spans]
    assert [look.bgcolor.triplet for look in looks] == [painter.BEHIND[MASKED], painter.evident(3), painter.FLOW]
