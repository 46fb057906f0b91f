"""The page's logic without a browser: what streams, what is refused and how, and what is sent to whom."""

import html
import json
import re
import sys
from dataclasses import replace

import pytest

import diffusion
import diffusion_flow
import gpt
import playground
from lab import cli, film
from lab.cli import UserError
from lab.corpus import Alphabet
from lab.film import DRAFT, MASKED, NEW, SETTLED
from playground import MOST, Wish, answer, write_together

SETTINGS = (0.5, 2, 0.0, 1.0, 0.6)  # in the order of the sliders


@pytest.fixture
def folder(make_weights, tmp_path):
    """Where random weights of all three lie."""
    for method in (gpt, diffusion, diffusion_flow):
        make_weights(method, f"{method.NAME}.pt")
    return tmp_path


@pytest.fixture
def writers(folder):
    return playground.load(folder)


def ask(writers, text="to be", chars=12, seed=1, slower=1, settings=SETTINGS):
    """The last (message, view) of a wish."""
    return list(answer(writers, text, chars, seed, slower, *settings))[-1]


def film_of(view):
    """What the film page within a view holds."""
    srcdoc = html.unescape(re.search(r'srcdoc="([^"]*)"', view)[1])
    return json.loads(re.search(r"const film = (.*)", srcdoc)[1])


def test_all_three_write_the_frames_of_the_sampler(writers):
    """The film of each is the one that visualize.py would record: no second sampler."""
    wish = Wish("to be", 12, 1, 1, dict(zip(playground.SLIDERS, SETTINGS, strict=True)))
    *_, (_, films) = write_together(writers, wish)
    for made, (name, writer) in zip(films, writers.items(), strict=True):
        alone = film.record(name, writer, wish.trial(name, writer.alphabet))
        assert [s.characters for s in made.stills] == [s.characters for s in alone.stills]
        assert [s.states for s in made.stills] == [s.states for s in alone.stills]
        assert made.stills[0].states == (SETTLED,) * 5 + (MASKED,) * 12
        assert made.stills[-1].characters.startswith("to be") and "_" not in made.stills[-1].characters
    assert films[0].stills[-1].calls == 12 and films[1].stills[-1].calls < 12


def test_the_clock_is_shared_and_never_goes_back(writers):
    clocks, before = [], None
    for clock, films in write_together(writers, Wish("to be", 12, 1, 1, {})):
        counts = [len(made.stills) for made in films]
        assert before is None or sum(counts) - sum(before) in (0, 1)
        before = counts
        clocks.append(clock)
    assert clocks[:-1] == sorted(clocks[:-1])


def test_pictures_stream_before_the_end(writers, monkeypatch):
    monkeypatch.setattr(playground, "PICTURE", 0.0)
    pictures = [view for _, view in answer(writers, "to be", 12, 1, 1, *SETTINGS)]
    assert len(pictures) > 12 and all('class="films"' in view for view in pictures[:-1])
    assert f'class="s{MASKED} p' in pictures[0] and f'class="s{NEW} p' in pictures[2]
    assert pictures[0].count("&nbsp;") > pictures[-2].count("&nbsp;") == 0
    assert "<iframe" in pictures[-1]


def test_the_film_has_a_picture_for_each_call(writers):
    _, view = ask(writers)
    data = film_of(view)
    titles = [figures.split(":")[0] for figures, *_ in data["stills"][0]]
    assert titles == list(playground.TITLES.values()) and data["playing"] is False
    gpt_calls = [int(stills[0][0].split()[1]) for stills in data["stills"]]
    assert gpt_calls == [*range(13), 12]  # the last one shows all as settled
    assert set("".join(still[2] for still in data["stills"][-1])) == {str(SETTLED)}


def test_drafts_are_shown():
    """With the settings that README's hour in class names, and the shipped weights."""
    writers = {"diffusion": playground.methods.load(None, "diffusion")}
    wish = Wish("First Citizen:\n", 30, 1337, 1, {"spacing": 0, "confidence_threshold": 0.95, "draft_threshold": 0.5})
    *_, (_, (made,)) = write_together(writers, wish)
    assert any(DRAFT in still.states for still in made.stills)


def test_gaps_are_filled_and_gpt_says_that_it_cannot(writers):
    _, view = ask(writers, "to __ or ___ to be", None)
    data = film_of(view)
    texts = [still[1] for still in data["stills"][-1]]
    assert texts[0] == "to __ or ___ to be" and "cannot fill a masked span" in data["stills"][-1][0][0]
    for text in texts[1:]:
        assert re.fullmatch("to .. or ... to be", text, re.DOTALL) and "_" not in text


def test_an_empty_prompt_is_enough_for_the_masked_methods(writers):
    _, view = ask(writers, "")
    data = film_of(view)
    assert "needs a prompt" in data["stills"][-1][0][0] and len(data["stills"][-1][1][1]) == 12


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"text": "to be Ж <b>"}, "does not know: '<' '>' 'Ж'"),
        ({"text": "x" * (MOST + 1)}, f"{MOST} is the most"),
        ({"text": "to be", "chars": None}, "nothing to fill in"),
        ({"text": "", "chars": None}, "nothing to fill in"),
        ({"text": "to _ be"}, "has masked spans (_)"),
        ({"chars": MOST + 1}, "characters to write"),
        ({"chars": 0}, "characters to write"),
        ({"seed": None}, "seed"),
        ({"seed": -1}, "seed"),
        ({"settings": (-1, *SETTINGS[1:])}, "temp"),
        ({"settings": (0.5, 2, 7, 1.0, 0.6)}, "confidence_threshold"),
    ],
)
def test_what_cannot_be_done_is_said_in_words(writers, wish, words):
    """A message, no picture and no traceback; what was typed is escaped."""
    message, view = ask(writers, **wish)
    assert words in html.unescape(message) and view == "" and "<b>" not in message


def test_slow_motion_is_bounded(writers, monkeypatch):
    waited = []
    monkeypatch.setattr(playground.time, "sleep", waited.append)
    monkeypatch.setattr(playground, "LONGEST", 0.001)
    ask(writers, slower=1e6)
    assert max(waited) <= 0.001


def test_letters_are_escaped_and_masks_are_blank():
    still = film.Still(1, 0.5, "a<_", (SETTLED, NEW, MASKED), (1.0, 0.5, 1.0))
    panel = playground.page.panel("<x>", still)
    assert (
        "&lt;x&gt;: 1 call, 0.50 s" in panel
        and '<span class="s2 p4">&lt;</span><span class="s0 p9">&nbsp;</span>' in panel
    )


def test_weights_of_different_texts_are_refused(folder, monkeypatch):
    load = playground.methods.load

    def other(path, name):
        writer = load(path, name)
        return replace(writer, alphabet=Alphabet(writer.alphabet.characters[1:])) if name == "gpt" else writer

    monkeypatch.setattr(playground.methods, "load", other)
    with pytest.raises(UserError, match="different characters"):
        playground.load(folder)


def test_without_gradio_the_command_that_brings_it_is_named(folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert cli.run(playground.main, playground.Args, ["--weights-dir", str(folder)]) == 2
    assert "uv run --extra page playground.py" in capsys.readouterr().err


def test_missing_weights_name_the_command_that_makes_them(tmp_path, capsys):
    pytest.importorskip("gradio", reason="the extra `page` is not installed")
    assert cli.run(playground.main, playground.Args, ["--weights-dir", str(tmp_path)]) == 2
    assert "gpt.py --train" in capsys.readouterr().err


def test_the_page_is_bound_to_this_machine_with_a_queue_that_ends(writers):
    pytest.importorskip("gradio", reason="the extra `page` is not installed")
    gradio = playground.find_gradio()
    blocks = playground.build(gradio, writers)
    try:
        address = playground.serve(gradio, blocks)
        assert address.startswith("http://127.0.0.1:")
        assert blocks.share_url is None and not blocks.analytics_enabled
        waiting = [fn for fn in blocks.fns.values() if fn.queue is not False]  # all but Stop
        assert len(waiting) == 2
        assert {(fn.concurrency_limit, fn.concurrency_id) for fn in waiting} == {(1, "writing")}
        assert blocks.max_threads == 4 and blocks._queue.max_size == 16
    finally:
        blocks.close()
