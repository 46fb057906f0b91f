"""What a viewer sees: exact pictures of a film made by hand, and of one recorded from a sampler."""

import json
import re

import pytest
import torch
from PIL import Image
from rich.console import Console

import diffusion
import diffusion_flow
import gpt
import visualize
from lab import cli, film, page, trials
from lab.canvas import Canvas
from lab.cli import UserError
from lab.corpus import Alphabet
from lab.film import DRAFT, MASKED, NEW, SETTLED, Film, Still

ABC = Alphabet("abc\n ")


def by_hand(seconds=(0.0, 1.0, 2.0)):
    stills = [
        Still(0, seconds[0], "ab\nc", (SETTLED, MASKED, MASKED, MASKED), (1.0, 1.0, 1.0, 1.0)),
        Still(1, seconds[1], "ab\nc", (SETTLED, NEW, DRAFT, MASKED), (1.0, 0.5, 0.4, 1.0)),
        Still(2, seconds[2], "ab\nc", (SETTLED, SETTLED, NEW, NEW), (1.0, 0.5, 0.4, 0.0)),
    ]
    return Film("hand", stills, film.layout("ab\nc"))


def test_characters_stand_where_the_finished_text_has_them():
    assert film.layout("ab\nc") == [(0, 0), (0, 1), (0, 2), (1, 0)]
    assert film.layout("x" * (film.COLUMNS + 1))[-1] == (1, 0)


def test_one_film_has_a_picture_for_each_call_and_several_share_a_clock():
    assert [stills[0].calls for stills, _ in film.timeline([by_hand()], fps=10)] == [0, 1, 2]
    slow, quick = by_hand((0.0, 4.0, 8.0)), by_hand((0.0, 1.0, 2.0))
    pictures = film.timeline([slow, quick], fps=1)
    assert [tuple(s.calls for s in stills) for stills, _ in pictures][:6] == [
        (0, 0),
        (0, 1),
        (0, 2),
        (0, 2),
        (1, 2),
        (1, 2),
    ]
    assert tuple(s.calls for s in pictures[-1][0]) == (2, 2)
    assert {caption for _, caption in pictures} == {"in real time"}
    assert {caption for _, caption in film.timeline([quick, quick], fps=1)} == {"slowed down 4.0 times"}


def test_a_recording_has_the_frames_of_the_sampler():
    """Two calls of spacing 1 write three characters after one that is given: first the ends, then the middle, or so."""
    config = type(diffusion.Args().config)(vocab_size=5, block_size=8, n_layer=1, n_head=2, n_embd=16)
    torch.manual_seed(0)
    writer = trials.Writer("diffusion", diffusion.Model(config).eval(), diffusion.generate, ABC, "abc")
    decoding = diffusion.Decoding(confidence_threshold=0.0, spacing=1, draft_threshold=1.0)
    trial = trials.Trial(Canvas.after(ABC.encode("a"), 4), decoding, (1,))
    frames = list(diffusion.generate(writer.model, trial.canvas, decoding, [torch.Generator().manual_seed(1)]))
    made = film.record("x", writer, trial)
    assert [still.calls for still in made.stills] == [*range(len(frames) + 1), len(frames)]
    assert made.stills[0].states == (SETTLED, *[MASKED] * 4)
    for still, frame in zip(made.stills[1:], frames, strict=False):
        assert [state == MASKED for state in still.states] == frame.masked[0].tolist()
    assert set(made.stills[-1].states) == {SETTLED}
    assert all(
        s <= t for s, t in zip((x.seconds for x in made.stills), (x.seconds for x in made.stills[1:]), strict=False)
    )
    assert made.stills[-1].sure[0] == 1 and all(0 < s < 1 for s in made.stills[-1].sure[1:])


def test_gif_has_a_picture_for_each_call_in_the_colours_of_the_states(tmp_path):
    film.write_gif(tmp_path / "x.gif", [by_hand()], fps=10)
    with Image.open(tmp_path / "x.gif") as image:
        assert image.n_frames == 3
    painter = film.Painter([by_hand()])
    picture, (w, h) = painter.paint((by_hand().stills[1],), "caption"), painter.cell
    corners = [picture.getpixel((2 * w + column * w, int(2.5 * h) + line * h)) for line, column in by_hand().places]
    expected = [
        film.background(state, sure)
        for state, sure in zip(by_hand().stills[1].states, by_hand().stills[1].sure, strict=True)
    ]
    as_rgb = [e if isinstance(e, tuple) else tuple(int(e[i : i + 2], 16) for i in (1, 3, 5)) for e in expected]
    assert corners == as_rgb and len(set(corners)) == 4


def test_a_glyph_that_the_font_lacks_is_named(tmp_path):
    odd = Film("x", [Still(0, 0.0, "天", (SETTLED,), (1.0,))], [(0, 0)])
    with pytest.raises(UserError, match="天.*--font"):
        film.write_gif(tmp_path / "x.gif", [odd], 10)
    with pytest.raises(UserError, match="not a font"):
        film.write_gif(tmp_path / "x.gif", [by_hand()], 10, font=__file__)
    assert not list(tmp_path.iterdir())


def test_page_is_whole_and_holds_every_state(tmp_path):
    page.write_html(tmp_path / "x.html", [by_hand()], fps=10)
    text = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert "http" not in text and "src=" not in text and not re.search("LEGEND|STYLE|INK|PAPER", text)
    data = json.loads(re.search(r"const film = (.*)", text)[1])
    assert [still[0][2] for still in data["stills"]] == ["3000", "3210", "3322"]
    assert data["stills"][1][0][3] == "9439"
    page.write_html(tmp_path / "y.html", [Film("</script>", by_hand().stills, by_hand().places)], fps=10)
    assert (tmp_path / "y.html").read_text(encoding="utf-8").count("</script>") == 1


def test_terminal_shows_masks_and_text():
    with open("/dev/null", "w") as nowhere:
        console = Console(file=nowhere, record=True, width=80, force_terminal=True)
        film.play([by_hand()], fps=1000, console=console)
        shown = console.export_text()
    assert "hand: 2 calls" in shown and "ab\nc" in shown


@pytest.fixture
def weights(make_weights):
    paths = {m.NAME: str(make_weights(m, f"{m.NAME}.pt")) for m in (gpt, diffusion, diffusion_flow)}
    return ["--gpt-weights", paths["gpt"], "--blocks", "1"], paths


@pytest.mark.parametrize("argv", ["", "--flow", "--compare", "--flow --compare"])
def test_the_commands_of_the_order(argv, weights, tmp_path, capsys, monkeypatch):
    """Without a display they play in the terminal; with --save they leave the file."""
    monkeypatch.delenv("DISPLAY", raising=False)
    flags, paths = weights
    name = "diffusion_flow" if "--flow" in argv else "diffusion"
    flags = [*argv.split(), *flags, "--weights", paths[name], "--fps", "50"]
    assert cli.run(visualize.main, visualize.Args, flags) == 0
    assert f"{name}: " in capsys.readouterr().err
    for suffix in ("gif", "html"):
        path = tmp_path / "out" / f"x.{suffix}"
        assert cli.run(visualize.main, visualize.Args, [*flags, "--save", str(path)]) == 0
        assert path.stat().st_size > 1000


@pytest.mark.parametrize(
    "argv", ["--save x.mp4", "--fps 0", "--blocks 0", "--prompt-len 0", "--weights nope.pt", "--prompt-len 999"]
)
def test_bad_input_is_one_message(argv, weights, capsys):
    flags, paths = weights
    assert cli.run(visualize.main, visualize.Args, [*flags, "--weights", paths["diffusion"], *argv.split()]) == 2
    assert argv.split()[0].strip("-").replace("-", "_").split("_")[0] in capsys.readouterr().err
