"""What a viewer sees: exact pictures of a film made by hand, and of one recorded from a sampler."""

import io
import json
import re
import sys
import tracemalloc
from dataclasses import replace

import pytest
import torch
from PIL import Image, ImageChops, ImageSequence
from rich.console import Console

import visualize
from diffusion import METHOD as diffusion
from diffusion_flow import METHOD as diffusion_flow
from gpt import METHOD as gpt
from lab import cli
from lab.cli import UserError
from lab.decoding.canvas import Canvas, Frame
from lab.measuring import trials
from lab.model.corpus import Alphabet
from lab.showing import film, page, painter, terminal
from lab.showing.film import EMPTY, MASKED, NEW, SETTLED, Film, Snapshot
from methods import METHODS

ABC = Alphabet("abc\n ")


def snapshot(calls, seconds, characters, states, confidence=None):
    certain = [0 if state == MASKED else 9 for state in states]
    return Snapshot(calls, seconds, characters, bytes(states), bytes(confidence or certain), bytes(len(states)))


def by_hand(seconds=(0.0, 1.0, 2.0)):
    snapshots = [
        snapshot(0, seconds[0], "a___", (SETTLED, MASKED, MASKED, MASKED)),
        snapshot(1, seconds[1], "ab\n_", (SETTLED, NEW, NEW, MASKED), (9, 4, 3, 0)),
        snapshot(2, seconds[2], "ab\nc", (SETTLED, SETTLED, NEW, NEW), (9, 4, 3, 0)),
        snapshot(2, seconds[2], "ab\nc", (SETTLED,) * 4, (9, 4, 3, 0)),
    ]
    return Film("hand", snapshots)


def many(calls, seconds):
    """A film of that many passes, a character each."""
    texts = ["a" * k + "_" * (calls - k) for k in range(calls + 1)]
    states = [[NEW if i == k - 1 else SETTLED if i < k else EMPTY for i in range(calls)] for k in range(calls + 1)]
    return Film(
        "many", [snapshot(k, seconds * k / calls, *both) for k, both in enumerate(zip(texts, states, strict=True))]
    )


def of(picture, made):
    """The picture of one still, as an image of its own."""
    return painter.Painter([made]).paint((picture,), "")


@pytest.fixture
def engines():
    """Untrained GPT, diffusion and diffusion + flow that know ABC."""
    made = {}
    for method in (gpt, diffusion, diffusion_flow):
        config = method.Config(vocab_size=5, block_size=8, n_layer=1, n_head=2, n_embd=16)
        torch.manual_seed(0)
        made[method.name] = trials.Engine(method, method.Model(config).eval(), ABC, "abc")
    return made


def test_a_newline_ends_a_line_once_it_is_known():
    first, second, *_ = by_hand().snapshots
    assert film.rows(film.glyphs(first), 56) == ["a░░░"] and film.rows(film.glyphs(second), 56) == ["ab\n", "░"]
    assert film.rows("x" * 57, 56) == ["x" * 56, "x"]
    assert film.rows("░" * 57, 56) == ["░" * 56, "░"]
    assert film.rows("the letter", 7) == ["the ", "letter"]
    assert film.rows("the ░etter", 7) == ["the ░", "etter"]
    assert film.rows("letters", 5) == ["lette", "rs"]
    assert film.rows("letters\nx", 7) == ["letters\n", "x"]


@pytest.mark.parametrize("name", ["gpt", "diffusion"])
def test_a_picture_depends_on_its_frame_and_those_before_alone(name, engines):
    """Two texts that differ later only look alike until then; a masked newline looks like any other masked cell."""
    made = film.record(engines[name], trials.Trial(Canvas.after(ABC.encode("a"), 30), diffusion.Decoding(), (1,)))
    for k in (1, len(made.snapshots) // 2):
        shown, cut = made.snapshots[k], Film(made.title, made.snapshots[: k + 1])
        other = snapshot(9, 9.0, "\n" * 31, (SETTLED,) * 31)
        whole, alone, different = (
            of(shown, Film(made.title, shots)) for shots in (made.snapshots, cut.snapshots, [*cut.snapshots, other])
        )
        brush = painter.Painter([cut])
        box = (0, 0, *brush.corner(brush.foot, brush.panel))
        for image in (whole, different):
            assert ImageChops.difference(image.crop(box), alone.crop(box)).getbbox() is None
    masked = "".join(
        c for c, s in zip(made.snapshots[0].characters, made.snapshots[0].states, strict=True) if s != SETTLED
    )
    assert set(masked) == {ABC.mask}


def test_gpt_writes_on_empty_paper_and_diffusion_on_masks(engines):
    trial = trials.Trial(Canvas.after(ABC.encode("a"), 4), diffusion.Decoding(), (1,))
    assert film.record(engines["gpt"], trial).snapshots[0].states == bytes([SETTLED, *[EMPTY] * 4])
    assert film.record(engines["diffusion"], trial).snapshots[0].states == bytes([SETTLED, *[MASKED] * 4])


def test_a_recording_has_the_frames_of_the_sampler(engines):
    decoding = diffusion.Decoding(confidence_threshold=0.0, spacing=1, draft_threshold=1.0)
    trial = trials.Trial(Canvas.after(ABC.encode("a"), 4), decoding, (1,))
    frames = [frame for frame, _ in trials.frames(engines["diffusion"], trial)]
    made = film.record(engines["diffusion"], trial)
    assert [each.calls for each in made.snapshots] == [*range(len(frames) + 1), len(frames)]
    for each, frame in zip(made.snapshots[1:], frames, strict=False):
        assert [state == MASKED for state in each.states] == frame.masked[0].tolist()
        assert each.characters == ABC.decode(frame.idx[0], frame.masked[0])
        new = [k for k, state in enumerate(each.states) if state == NEW]
        assert all(each.confidence[k] == int(9 * frame.confidence[0, k]) for k in new)
        assert all(each.confidence[k] == 0 for k, state in enumerate(each.states) if state == MASKED)
    assert set(made.snapshots[-1].states) == {SETTLED}
    assert made.snapshots[-1].confidence[0] == 9 and all(c < 9 for c in made.snapshots[-1].confidence[1:])
    seconds = [each.seconds for each in made.snapshots]
    assert seconds == sorted(seconds)


def test_a_draft_looks_new_until_a_pass_confirms_it(engines):
    recorder = film.Recorder(engines["diffusion"], Canvas.after(ABC.encode("a"), 1))
    idx, masked, probs = torch.tensor([[0, 1]]), torch.tensor([[False, False]]), torch.full((1, 2, 5), 0.2)
    shown = []
    for draft in (True, True, False):
        recorder.add(
            Frame(idx, masked, torch.tensor([[False, draft]]), torch.tensor([[0, 1]]), probs.double(), 1.0), 0.0
        )
        shown.append(recorder.snapshot().states[1])
    assert shown == [NEW, NEW, SETTLED]


def test_what_is_taken_back_is_masked_as_before(engines):
    canvas = Canvas.after(ABC.encode("a"), 1)
    recorder = film.Recorder(engines["diffusion"], canvas)
    before = recorder.snapshot()
    for masked in (False, True):
        idx, masked = torch.tensor([[0, 1]]), torch.tensor([[False, masked]])
        probs = torch.full((1, 2, 5), 0.2, dtype=torch.float64)
        recorder.add(Frame(idx, masked, torch.zeros_like(masked), torch.tensor([[0, 1]]), probs, 1.0), 0.0)
    assert replace(recorder.snapshot(), calls=0) == before


def test_a_masked_cell_is_the_greener_the_less_noise_the_flow_has_left():
    half = Snapshot(1, 1.0, "__", bytes([MASKED, MASKED]), bytes(2), certainty=bytes([0, 5]))
    made = Film("half", [half])
    brush, image = painter.Painter([made]), of(half, made)
    plain, green = (image.getpixel(brush.corner(painter.TOP, painter.LEFT + k)) for k in (0, 1))
    assert plain == painter.BEHIND[MASKED] and green == painter.blend(plain, painter.FLOW, 5 / 9)


def test_three_films_have_narrow_panels():
    wide, narrow = (painter.Painter([by_hand()] * count) for count in (2, 3))
    stills = by_hand().snapshots
    assert narrow.paint(stills[:3], "").width < 1.1 * wide.paint(stills[:2], "").width
    assert narrow.columns < wide.columns == film.COLUMNS
    second = wide.corner(painter.TOP, painter.LEFT + wide.panel + 1)
    assert wide.paint(stills[:2], "").getpixel(second) == painter.BEHIND[NEW]


def test_films_share_a_clock():
    assert {still.calls for (still,) in film.timeline([by_hand()], fps=10)[0]} == {0, 1, 2}
    slow, quick = by_hand((0.0, 4.0, 8.0)), by_hand((0.0, 1.0, 2.0))
    pictures, lasts, pace = film.timeline([slow, quick], fps=1)
    calls = [tuple(still.calls for still in stills) for stills in pictures]
    assert [*dict.fromkeys(calls)] == [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2)]
    assert lasts * len(pictures) == pytest.approx(8, abs=0.1)
    assert pace == "in real time" and film.timeline([quick, quick], fps=1)[2] == "4 times slower than real"
    assert film.timeline([by_hand((0.0, 50.0, 200.0))] * 2, fps=5)[2] == "9.9 times faster than real"


@pytest.mark.parametrize("fps", [1, 12, 24, 50])
@pytest.mark.parametrize("seconds", [0.01, 15.0, 4000.0])
@pytest.mark.parametrize("films", [1, 2])
def test_an_animation_is_bounded_whatever_was_measured(fps, seconds, films):
    pictures, lasts, _ = film.timeline([many(700, seconds)] * films, fps)
    assert len(pictures) <= film.PICTURES and lasts * len(pictures) <= film.LONGEST + 0.5
    assert 100 * lasts == pytest.approx(round(100 * lasts)) and lasts >= 0.02
    assert pictures[-1][0].calls == 700


def test_gif_has_a_picture_for_each_change_in_the_colours_of_the_states(tmp_path):
    painter.write_gif(tmp_path / "x.gif", [by_hand()], fps=10)
    with Image.open(tmp_path / "x.gif") as image:
        assert image.n_frames == 3
        assert sum(frame.info["duration"] for frame in ImageSequence.Iterator(image)) == 8100 + 2000
    made = by_hand()
    brush = painter.Painter([made])
    brush.paint((made.snapshots[0],), "")  # what it drew is gone
    image = brush.paint((made.snapshots[1],), "")
    corners = [image.getpixel(brush.corner(painter.TOP, painter.LEFT + k)) for k in range(4)]
    assert corners == [painter.PAPER, painter.BEHIND[NEW], painter.BEHIND[NEW], painter.PAPER]
    assert image.getpixel(brush.corner(painter.TOP + 1, painter.LEFT)) == painter.BEHIND[MASKED]


def test_what_is_certain_is_on_white_and_the_rest_is_underlined():
    image = of(by_hand().snapshots[-1], by_hand())
    brush = painter.Painter([by_hand()])
    corners = [brush.corner(painter.TOP, painter.LEFT + k) for k in range(2)]
    lines = [image.getpixel((x, y + brush.cell[1] - 3)) for x, y in corners]
    assert lines == [painter.PAPER, painter.shade(4)] and painter.shade(4) != painter.PAPER


def test_the_few_colours_of_a_gif_are_those_of_its_pictures(tmp_path):
    """Of masked cells of every greenness, of new ones and of the paper."""
    grown = Snapshot(1, 0.1, "_" * 10, bytes(10), bytes(10), certainty=bytes(range(10)))
    new = snapshot(2, 0.2, "a" * 10, [NEW] * 10)
    made = Film("grown", [snapshot(0, 0.0, "_" * 10, [MASKED] * 10), grown, new, replace(new, calls=3, seconds=2.0)])
    painter.write_gif(tmp_path / "x.gif", [made], 10)
    brush, shown = painter.Painter([made]), []
    with Image.open(tmp_path / "x.gif") as image:
        for frame, still in zip(ImageSequence.Iterator(image), made.snapshots, strict=True):
            places = [(0, 0), *(brush.corner(painter.TOP, painter.LEFT + k) for k in range(10))]
            exact = of(still, made)
            shown += [(frame.convert("RGB").getpixel(place), exact.getpixel(place)) for place in places]
    assert len({true for _, true in shown}) == 12
    assert all(abs(a - b) < 3 for one, true in shown for a, b in zip(one, true, strict=True))


def test_the_legend_shows_the_looks_of_a_cell():
    made = many(3, 1.0)
    colours = {colour for _, colour in of(made.snapshots[0], made).getcolors(1 << 20)}
    assert {painter.BEHIND[NEW], painter.BEHIND[MASKED], painter.shade(2)} <= colours
    assert "evidence" in page.legend(flows=True) and "evidence" not in page.legend()


@pytest.mark.slow
def test_memory_stays_small_for_a_long_film(tmp_path):
    made = many(400, 3.0)
    tracemalloc.start()
    painter.write_gif(tmp_path / "x.gif", [made], fps=50)
    assert tracemalloc.get_traced_memory()[1] < 30e6
    tracemalloc.stop()


CONTROLS = "a\tb\r\x0c\x00\x1b[31m\x7f\x9b"


def test_control_characters_have_stand_ins_everywhere(tmp_path):
    alphabet = Alphabet("".join(sorted({*CONTROLS, "\n"})))
    model = diffusion.Model(diffusion.Config(vocab_size=len(alphabet), block_size=32, n_layer=1, n_head=2, n_embd=16))
    engine = trials.Engine(diffusion, model.eval(), alphabet, CONTROLS)
    canvas = Canvas.after(alphabet.encode(CONTROLS + "\n"), 1)
    made = film.record(engine, trials.Trial(canvas, diffusion.Decoding(), (1,)))
    assert made.snapshots[0].characters[:-1] == "a→b" + "\ufffd" * 4 + "[31m\ufffd\ufffd\n"
    painter.write_gif(tmp_path / "x.gif", [made], 10)
    played = io.StringIO()
    terminal.play([made], 10, Console(file=played, width=80))
    for text in (page.render([made]), played.getvalue()):
        assert "\ufffd" in text and not set("\t\r\x0c\x00\x1b\x7f\x9b") & set(text) and "\\u001b" not in text


def test_a_glyph_that_the_font_lacks_is_named(tmp_path):
    odd = Film("x", [snapshot(0, 0.0, "天", (SETTLED,))])
    with pytest.raises(UserError, match="天.*--font"):
        painter.write_gif(tmp_path / "x.gif", [odd], 10)
    with pytest.raises(UserError, match="name a font that can be read"):
        painter.write_gif(tmp_path / "x.gif", [by_hand()], 10, font=__file__)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_no_half_of_a_gif(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    (tmp_path / "x.gif").write_text("old")
    monkeypatch.setattr("PIL.GifImagePlugin._write_frame_data", full)
    with pytest.raises(UserError, match=r"x\.gif: cannot be written: No space left"):
        painter.write_gif(tmp_path / "x.gif", [by_hand()], 10)
    assert [path.name for path in tmp_path.iterdir()] == ["x.gif"] and (tmp_path / "x.gif").read_text() == "old"


def data_of(text):
    return json.loads(re.search(r"const film = (.*)", text)[1])


def test_page_is_whole_and_holds_every_state(tmp_path):
    page.write_html(tmp_path / "x.html", [by_hand()])
    text = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert "http" not in text and "src=" not in text and not re.search(r"\$[a-z]", text)
    (made,), last = data_of(text)["films"], data_of(text)["real"]
    assert last == 2.0 == made["stills"][-1][1]
    assert made["stills"][0][2] == [[0, "a", 2, 9, 0], [1, "_", 0, 0, 0], [2, "_", 0, 0, 0], [3, "_", 0, 0, 0]]
    assert made["stills"][1][:2] == [1, 1.0] and made["stills"][1][2] == [[1, "b", 1, 4, 0], [2, "\n", 1, 3, 0]]
    page.write_html(tmp_path / "y.html", [Film("</script>$data", by_hand().snapshots)])
    assert (tmp_path / "y.html").read_text(encoding="utf-8").count("</script>") == 1


def contrast(one, other):
    """The contrast ratio of WCAG 2.1."""

    def luminance(colour):
        parts = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [0, 1], ids=["light", "dark"])
def test_characters_stand_out_in_both_themes(dark):
    theme = {part: pair[dark] for part, pair in page.COLOURS.items()}
    for behind in ("paper", "new", "flow"):
        assert contrast(theme["ink"], theme[behind]) >= 4.5
    assert contrast(theme["quiet"], theme["paper"]) >= 4.5


@pytest.fixture
def weights(make_weights):
    paths = {m.name: str(make_weights(m, f"{m.name}.pt")) for m in (gpt, diffusion, diffusion_flow)}
    return ["--blocks", "1"], paths


@pytest.mark.parametrize(
    "argv",
    [
        pytest.param("", marks=pytest.mark.slow),
        pytest.param("--flow", marks=pytest.mark.slow),
        pytest.param("--compare", marks=pytest.mark.slow),
        "--flow --compare",
    ],
)
def test_the_commands_of_the_order(argv, weights, tmp_path, capsys, monkeypatch):
    """Without a display they play in the terminal; with --save they leave the file, whatever the case of its suffix."""
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    flags, paths = weights
    name = "diffusion_flow" if "--flow" in argv else "diffusion"
    files = [paths[name], paths["gpt"]] if "--compare" in argv else [paths[name]]
    flags = [*argv.split(), *flags, "--weights", *files, "--fps", "50"]
    assert cli.run(visualize.main, visualize.Args, flags) == 0
    assert f"{METHODS[name].title}: " in capsys.readouterr().err
    for suffix in ("GIF", "html"):
        path = tmp_path / "out" / f"x.{suffix}"
        assert cli.run(visualize.main, visualize.Args, [*flags, "--save", str(path)]) == 0
        assert path.stat().st_size > 1000


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is a display")
@pytest.mark.parametrize("display", ["", "DISPLAY", "WAYLAND_DISPLAY"])
def test_where_there_is_a_display_a_browser_shows_the_page(display, weights, tmp_path, capsys, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    if display:
        monkeypatch.setenv(display, ":0")
    opened = []
    monkeypatch.setattr(visualize, "PAGE", tmp_path / "outputs" / "film.html")
    monkeypatch.setattr(visualize.webbrowser, "open", opened.append)
    flags, paths = weights
    argv = [*flags, "--weights", paths["diffusion"]]
    assert cli.run(visualize.main, visualize.Args, argv) == 0
    assert opened == (
        [visualize.PAGE.as_uri()] if display else []
    ) and visualize.PAGE.parent.exists() == visualize.PAGE.exists() == bool(display)
    assert ("forward pass" in capsys.readouterr().out) != bool(display)
    assert cli.run(visualize.main, visualize.Args, [*argv, "--terminal"]) == 0
    assert "forward pass" in capsys.readouterr().out and len(opened) == bool(display)


def test_a_film_begins_with_the_prompt_and_obeys_the_settings(weights, tmp_path, capsys):
    """GPT beside it is spared a spacing, and has the temperature."""
    flags, paths = weights
    flags = [*flags, "--compare", "--weights", paths["diffusion"], paths["gpt"], "--prompt", "be or"]
    made = []
    for temp in ("0", "2"):
        path = tmp_path / f"{temp}.html"
        more = ["--spacing", "0", "--temp", temp, "--save", str(path)]
        assert cli.run(visualize.main, visualize.Args, [*flags, *more]) == 0
        assert re.search(r"Masked diffusion: \d forward pass", capsys.readouterr().err)  # one for each window of 32
        made.append(path.read_text(encoding="utf-8"))
    stills = [json.loads(re.search("const film = (.*)", text)[1])["films"] for text in made]
    for films in stills:
        assert ["".join(sign for _, sign, *_ in film["stills"][0][2][:5]) for film in films] == ["be or"] * 2
    assert "<h1>Masked diffusion and GPT, writing</h1>" in made[0]
    gpt_films = [[change for still in films[1]["stills"] for change in still[2]] for films in stills]
    assert gpt_films[0] != gpt_films[1]
    assert (
        cli.run(visualize.main, visualize.Args, ["--method", "gpt", "--spacing", "2", "--weights", paths["gpt"]]) == 2
    )
    assert "has spacing" in capsys.readouterr().err


def test_three_methods_write_side_by_side_and_the_flow_shows_its_evidence(weights, tmp_path):
    """Only the flow's masked cells have evidence, which grows."""
    flags, paths = weights
    path = tmp_path / "three.html"
    names = "diffusion,diffusion_flow"
    files = ",".join(paths[name] for name in ("diffusion", "diffusion_flow", "gpt"))
    flags = [*flags, "--method", names, "--weights", files, "--compare", "--temp", "2"]
    assert cli.run(visualize.main, visualize.Args, [*flags, "--save", str(path)]) == 0
    text = path.read_text(encoding="utf-8")
    assert page.EVIDENCE in text and "<h1>Masked diffusion and Diffusion + flow and GPT, writing</h1>" in text
    films = data_of(text)["films"]
    changes = [[change for still in made["stills"] for change in still[2] if change[2] == MASKED] for made in films]
    assert {(sign, share) for _, sign, _, share, _ in changes[0]} == {("_", 0)}
    levels = [{each[4] for each in film} for film in changes]
    assert levels[0] == {0} < levels[1] and levels[2] == set() and "--level" in text


@pytest.mark.parametrize(
    "argv",
    [
        "--save x.mp4",
        "--fps 0",
        "--blocks 0",
        "--blocks 51",
        "--prompt-len -1",
        "--weights nope.pt",
        "--prompt-len 999",
        "--flow-step 0.3",
        "--temp -1",
        "--spacing -1",
        "--weights a.pt,b.pt",
        "--flow --method diffusion",
        "--weights a.pt --compare",
        "--save /dev/null/save.gif",
        "--font nope.ttf --save x.gif",
    ],
)
def test_bad_input_is_one_message(argv, weights, capsys):
    flags, paths = weights
    assert cli.run(visualize.main, visualize.Args, [*flags, "--weights", paths["diffusion"], *argv.split()]) == 2
    assert argv.split()[0].strip("-").replace("-", "_").split("_")[0] in capsys.readouterr().err
