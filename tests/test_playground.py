"""The page's logic without a browser: what streams, what is refused and how, and what is sent to whom."""

import html
import json
import re
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

import methods
import playground
from diffusion import METHOD as diffusion
from diffusion_flow import METHOD as diffusion_flow
from gpt import METHOD as gpt
from lab import cli, film
from lab.cli import UserError
from lab.corpus import Alphabet
from lab.film import DRAFT, EMPTY, MASK, MASKED, NEW, SETTLED
from playground import MOST, Wish, answer, write_together

SOURCES = (("film", "py"), ("page", "py"), ("page", "html"), ("canvas", "py"))
SETTINGS = (0.5, 0.5, 0.5, 2, 0.0, 1.0, 0.6)  # in the order of the sliders


@pytest.fixture
def folder(make_weights, tmp_path):
    """Where random weights of all three lie."""
    for method in (gpt, diffusion, diffusion_flow):
        make_weights(method, f"{method.name}.pt")
    return tmp_path


@pytest.fixture
def engines(folder):
    return playground.load(folder)


def ask(engines, text="to be", chars=12, seed=1, slower=1, settings=SETTINGS, evaluator=None, say=str):
    """The last (message, view) of a wish."""
    return list(answer(engines, evaluator, say, text, chars, seed, slower, *settings))[-1]


def film_of(view):
    """What the film page within a view holds."""
    srcdoc = html.unescape(re.search(r'srcdoc="([^"]*)"', view)[1])
    return json.loads(re.search(r"const film = (.*)", srcdoc)[1])


def test_all_three_write_the_frames_of_the_sampler(engines):
    """The film of each is the one that visualize.py would record: no second sampler."""
    wish = Wish("to be", 12, 1, 1, SETTINGS)
    *_, (_, films) = write_together(engines, wish)
    for made, (name, engine) in zip(films, engines.items(), strict=True):
        alone = film.record(engine, wish.trial(name, engine.alphabet))
        assert [s.characters for s in made.snapshots] == [s.characters for s in alone.snapshots]
        assert [s.states for s in made.snapshots] == [s.states for s in alone.snapshots]
        ahead = EMPTY if name == "gpt" else MASKED
        assert made.snapshots[0].states == bytes([SETTLED] * 5 + [ahead] * 12)
        assert made.snapshots[-1].characters.startswith("to be") and "_" not in made.snapshots[-1].characters
    assert films[0].snapshots[-1].calls == 12 and films[1].snapshots[-1].calls < 12


def test_the_clock_is_shared_and_never_goes_back(engines):
    clocks, before = [], None
    for clock, films in write_together(engines, Wish("to be", 12, 1)):
        counts = [len(made.snapshots) for made in films]
        assert before is None or sum(counts) - sum(before) in (0, 1)
        before = counts
        clocks.append(clock)
    assert clocks[:-1] == sorted(clocks[:-1])


def test_pictures_stream_before_the_end(engines, monkeypatch):
    monkeypatch.setattr(playground, "PICTURE", 0.0)
    pictures = [view for _, view in answer(engines, None, str, "to be", 12, 1, 1, *SETTINGS)]
    assert len(pictures) > 12 and all('class="films"' in view for view in pictures[:-1])
    assert f'class="s{MASKED} p' in pictures[0] and f'class="s{NEW} p' in pictures[2]
    assert pictures[0].count(MASK) > pictures[-2].count(MASK) == 0
    assert "<iframe" in pictures[-1]


def text_of(made):
    """The text that a packed film ends with."""
    signs = {}
    for *_, changes in made["stills"]:
        signs |= {k: sign for k, sign, *_ in changes}
    return "".join(signs[k] for k in sorted(signs))


def test_the_film_has_every_call(engines):
    _, view = ask(engines)
    data = film_of(view)
    assert [made["title"] for made in data["films"]] == [method.title for method in methods.METHODS.values()] and data[
        "playing"
    ] is False
    assert [calls for calls, *_ in data["films"][0]["stills"]] == [*range(13), 12]  # the last one shows all as settled
    written = [change for still in data["films"][1]["stills"] for change in still[2] if change[2] == NEW]
    assert written and all(len(change[4]) == 5 for change in written)  # with what else it might have been


def test_drafts_are_shown():
    """With the settings that the hour in docs/teaching.md names, and the shipped weights."""
    engines = {"diffusion": playground.methods.load("diffusion")}
    wish = Wish("First Citizen:\n", 30, 1337, 1, (0.5, 0.5, 0.5, 0, 0.95, 0.5, 0.6))
    *_, (_, (made,)) = write_together(engines, wish)
    assert any(DRAFT in still.states for still in made.snapshots)


def test_each_method_begins_at_its_own_temperature(engines):
    for name, method in methods.METHODS.items():
        engine, ours = engines[name], method.decoding
        assert Wish("to be", 12, 1).trial(name, engine.alphabet).decoding == ours
        defaults = tuple(getattr(methods.METHODS[of[0]].decoding, key) for of, key, *_ in playground.SLIDERS.values())
        assert Wish("to be", 12, 1, 1, defaults).trial(name, engine.alphabet).decoding == ours


def test_a_short_opening_is_enough(make_weights, tmp_path):
    """Models of a small block know few characters of their text's opening."""
    for method in (gpt, diffusion, diffusion_flow):
        make_weights(method, f"{method.name}.pt", block_size=8)
    engines = {name: replace(engine, opening="to be o") for name, engine in playground.load(tmp_path).items()}
    gradio = pytest.importorskip("gradio", reason="the extra `page` is not installed")
    playground.build(gradio, engines).close()


def test_gaps_are_filled_and_gpt_says_that_it_cannot(engines):
    _, view = ask(engines, "to __ or ___ to be")
    first, *others = film_of(view)["films"]
    assert text_of(first) == "to __ or ___ to be" and "cannot fill a masked span" in first["note"]
    assert first["title"] == "GPT"
    for made in others:
        assert re.fullmatch("to .. or ... to be", text_of(made), re.DOTALL) and "_" not in text_of(made)


def test_the_likeliest_fillings_stand_below_a_text_with_masked_spans(engines):
    _, view = ask(engines, "to __ or _ to be")
    shares = [float(share) for share in re.findall(r"<p>([\d.]+)%</p>", view)]
    assert len(shares) == 5 and shares == sorted(shares, reverse=True)
    assert all("<h3>" not in ask(engines, text)[1] for text in ("to be ", "to " + "_" * (playground.FILLED + 1)))


def test_an_evaluator_scores_each_text(engines):
    """What was written alone, beside the seconds; a method that refuses keeps its reason."""
    *_, (_, films) = write_together(engines, Wish("to be", 12, 1))
    text = films[1].snapshots[-1].characters
    (nll,) = playground.generative_nll([text], engines["gpt"], [5])
    _, view = ask(engines, evaluator=engines["gpt"])
    assert film_of(view)["films"][1]["note"] == f"generative NLL: {nll:.2f} nats per character"
    first, second, _ = film_of(ask(engines, "to __ or", evaluator=engines["gpt"])[1])["films"]
    assert "cannot fill" in first["note"] and "NLL" in second["note"]


def test_every_word_of_the_page_is_in_the_table_and_every_entry_is_used():
    table = json.loads((cli.ROOT / "lab" / "chinese.json").read_text(encoding="utf-8"))
    sources = [cli.ROOT / "playground.py", *(cli.ROOT / "lab" / f"{n}.{e}" for n, e in SOURCES)]
    titles = {method.title for method in methods.METHODS.values()} - {"GPT"}
    text = "\n".join([*(path.read_text(encoding="utf-8") for path in sources), *titles])
    assert [phrase for phrase in table if phrase not in text] == []
    assert all(re.findall("{.*?}", phrase) == re.findall("{.*?}", said) for phrase, said in table.items())
    said = {*re.findall(r"say\([\"'](.*?)[\"']\)", text), *playground.SLIDERS, *film.LEGEND.values(), playground.ABOUT}
    said |= {info for *_, info in playground.SLIDERS.values()} | titles
    assert said - table.keys() == set()


def test_the_page_speaks_chinese(engines):
    say = playground.page.languages()["中文"]
    message, view = ask(engines, "to __ or not", say=say)
    data = film_of(view)["films"]
    assert message.startswith("完成") and data[1]["title"] == "掩码扩散" and data[0]["note"].startswith("GPT 从左到右")
    assert "播放" in view and "say(" not in html.unescape(view)
    assert "而不是" in ask(engines, chars=3.5, say=say)[0]


def test_an_empty_prompt_is_enough_for_the_masked_methods(engines):
    _, view = ask(engines, "")
    first, second, _ = film_of(view)["films"]
    assert "needs a prompt" in first["note"] and len(text_of(second)) == 12


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"text": "to be Ж <b>"}, "does not know: '<' '>' 'Ж'"),
        ({"text": "x" * (MOST + 1)}, f"{MOST} is the most"),
        ({"chars": MOST + 1}, "Characters to write"),
        ({"chars": 0}, "Characters to write"),
        ({"chars": 3.5}, "Characters to write: a whole number, not 3.5"),
        ({"chars": None}, "Characters to write"),
        ({"seed": None}, "Seed"),
        ({"seed": 1.5}, "Seed: a whole number"),
        ({"seed": -1}, "Seed"),
        ({"slower": 1e9}, "Slow motion"),
        ({"settings": (-1, *SETTINGS[1:])}, "Temperature of GPT"),
        ({"settings": (0.5, 0.5, 0.5, 2.5, 0.0, 1.0, 0.6)}, "Spacing: a whole number"),
        ({"settings": (0.5, 0.5, 0.5, 2, 7, 1.0, 0.6)}, "Threshold"),
    ],
)
def test_what_cannot_be_done_is_said_in_words(engines, wish, words):
    """A message, no picture and no traceback; what was typed is escaped."""
    message, view = ask(engines, **wish)
    assert words in html.unescape(message) and view == "" and "<b>" not in message and "refused" in message


def test_slow_motion_is_bounded(engines, monkeypatch):
    waited = []
    monkeypatch.setattr(playground.time, "sleep", waited.append)
    monkeypatch.setattr(playground, "LONGEST", 0.001)
    ask(engines, slower=20)
    assert max(waited) <= 0.001


def test_letters_are_escaped_and_masks_are_blank():
    still = film.Snapshot(1, 0.5, "a<_", bytes((SETTLED, NEW, MASKED)), bytes((9, 4, 9)))
    panel = playground.page.panel(film.Film("<x>", [still]))
    assert "&lt;x&gt;: 1 call, 0.50 s" in panel
    assert f'<span class="s2 p4">&lt;</span><span class="s0 p9">{MASK}</span>' in panel


def test_weights_of_different_texts_are_refused(folder, monkeypatch):
    load = playground.methods.load

    def other(name, path):
        engine = load(name, path)
        return replace(engine, alphabet=Alphabet(engine.alphabet.characters[1:])) if name == "gpt" else engine

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


def test_the_page_is_bound_to_this_machine_with_a_queue_that_ends(engines):
    pytest.importorskip("gradio", reason="the extra `page` is not installed")
    gradio = playground.find_gradio()
    blocks = playground.build(gradio, engines)
    try:
        address = playground.serve(gradio, blocks)
        assert address.startswith("http://127.0.0.1:")
        assert blocks.share_url is None and not blocks.analytics_enabled
        waiting = [fn for fn in blocks.fns.values() if fn.queue is not False]  # all but Stop
        assert len(waiting) == 2  # a page in each language
        assert {(fn.concurrency_limit, fn.concurrency_id) for fn in waiting} == {(1, "writing")}
        assert blocks.max_threads == 4 and blocks._queue.max_size == 16
    finally:
        blocks.close()


def test_the_command_serves_the_three_with_the_evaluator_that_lies_beside_them(monkeypatch, capsys):
    seen = {}
    monkeypatch.setattr(playground, "find_gradio", lambda: None)
    monkeypatch.setattr(playground, "build", lambda *made: seen.update(made=made) or SimpleNamespace(block_thread=int))
    monkeypatch.setattr(playground, "serve", lambda *_: "http://127.0.0.1:1")
    playground.main(playground.Args())
    _, engines, evaluator = seen["made"]
    assert [engine.name for engine in engines.values()] == list(engines) and evaluator.weights.startswith(
        "evaluator.pt"
    )
    assert "Open http://127.0.0.1:1" in capsys.readouterr().out
