"""The benchmarks' own logic; what they measure is not tested here."""

import importlib
import itertools
import json
import math
import re
import shutil
import tracemalloc
from collections import Counter
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import CHARACTERS, OPENING
from matplotlib.text import Text

import methods
import streams
from benchmarks import (
    frontier,
    frontier_plots,
    learning_curves,
    output,
    readme,
    restoring,
    search,
    tables,
)
from benchmarks.adapters import origin_flow
from benchmarks.configurations import FAMILIES, PAIRS, Configuration
from benchmarks.draft_model import NGrams, generate, generate_streams
from diffusion import METHOD as diffusion
from gpt import METHOD as gpt
from lab import cli
from lab.cli import UserError
from lab.decoding.canvas import Canvas
from lab.measuring import plots, records
from lab.model import corpus, machine
from lab.model.backbone import Config
from lab.progress import Bar

IDS = np.random.default_rng(0).integers(0, 3, 400)


def make_gpt(vocab_size=3, seed=0, dropout=0.0):
    torch.manual_seed(seed)
    sizes = {"block_size": 16, "n_layer": 1, "n_head": 1, "n_embd": 8, "dropout": dropout}
    model = gpt.Model(Config(vocab_size=vocab_size, **sizes)).eval()
    for parameter in model.parameters():  # many begin at zero
        torch.nn.init.normal_(parameter)
    return model


def generators(n):
    return [torch.Generator().manual_seed(seed) for seed in range(n)]


def last(frames):
    *_, frame = frames
    return frame.idx


def test_ngrams_interpolate_discounted_counts():
    """Text 0 1 0 1 1: after 0 comes 1 twice; unigrams 0: 2, 1: 3 of 5; by hand with a discount of a half."""
    ngrams = NGrams(np.array([0, 1, 0, 1, 1]), 3, order=2, discount=0.5)
    unigram = np.array([1.5, 2.5, 0]) / 5 + 0.5 * 2 / 5 / 3
    bigram = np.array([0, 1.5, 0]) / 2 + 0.5 * 1 / 2 * unigram
    np.testing.assert_allclose(ngrams.probs((0,)), bigram)
    np.testing.assert_allclose(ngrams.probs(()), unigram)
    np.testing.assert_allclose(ngrams.probs((2,)), unigram)  # 2 never occurred


def test_ngram_probabilities_sum_to_one():
    ngrams = NGrams(IDS, 3)
    assert len(ngrams.counts) > 100
    assert [ngrams.probs(context).sum() for context in ngrams.counts] == pytest.approx([1.0] * len(ngrams.counts))


def test_drafts_are_drawn_after_the_last_characters():
    """Of a text that turns in a circle the 3-grams know what follows, and say so."""
    ngrams = NGrams(np.array([0, 1, 2] * 50), 3, order=3)
    drafts, q = ngrams.propose([[2, 0], [0, 1, 2, 0, 1]], torch.full((2, 4), 0.5), temp=1.0)
    assert drafts.tolist() == [[1, 2, 0, 1], [2, 0, 1, 2]]
    assert q.shape == (2, 4, 3) and (q.gather(-1, drafts[..., None]) > 0.9).all()


@pytest.mark.parametrize("temp", [1.0, 0.5])
def test_the_draft_model_keeps_gpts_distribution(temp):
    """Four thousand texts of three characters, against their exact probabilities under GPT.

    The n-grams are poor: they hardly ever propose character 2.
    """
    model, rows = make_gpt(), 4000
    torch.nn.init.normal_(model.lm_head.weight, std=0.3)  # no text is too rare for the normal approximation below
    canvas = Canvas.after(torch.tensor([0, 1]), 3, rows)
    ngrams = NGrams(IDS[:60] % 2, 3)
    idx = last(generate(model, canvas, gpt.Decoding(temp, None), generators(rows), ngrams, drafts=2))
    texts = torch.tensor([(0, 1, *rest) for rest in itertools.product(range(3), repeat=3)])
    log_p = torch.log_softmax(model(texts[:, :-1]).double() / temp, -1)
    exact = log_p.gather(-1, texts[:, 1:, None])[:, 1:, 0].sum(1).exp()
    found = (idx[:, None] == texts).all(-1).double().mean(0)
    assert exact.sum().item() == pytest.approx(1)
    assert ((found - exact).abs() < 4.5 * (exact * (1 - exact) / rows).sqrt()).all()


def test_at_temperature_zero_the_draft_model_writes_gpts_text_in_fewer_calls():
    model, canvas, decoding = make_gpt(), Canvas.after(torch.tensor([0, 1]), 14), gpt.Decoding(0, None)
    greedy = list(gpt.generate(model, canvas, decoding, generators(1)))
    ngrams = NGrams(greedy[-1].idx[0].repeat(20).numpy(), 3)
    drafted = list(generate(model, canvas, decoding, generators(1), ngrams, drafts=4))
    assert drafted[-1].idx.equal(greedy[-1].idx)
    assert len(drafted) < len(greedy)


def test_the_draft_models_frames_settle_only_masked_characters():
    model, canvas = make_gpt(), Canvas.after(torch.tensor([0, 1]), 14, rows=3)
    before = canvas
    for frame in generate(model, canvas, gpt.Decoding(1.0, None), generators(3), NGrams(IDS, 3), 3):
        assert (frame.idx == before.idx)[~before.masked].all()
        assert (before.masked & ~frame.masked).any()
        before = Canvas(frame.idx, frame.masked)
    assert not before.masked.any()


def test_texts_with_drafts_go_on_each_from_its_own_place():
    """Together they are the texts that each is alone, and a pass computes the drafts and one token more."""
    model, ngrams, decoding = make_gpt(), NGrams(IDS, 3), gpt.Decoding(1.0, None)
    idx, masked = torch.randint(3, (3, 16)), torch.arange(16) >= torch.tensor([[1], [4], [9]])
    frames = list(generate(model, Canvas(idx, masked), decoding, generators(3), ngrams, drafts=3))
    for row, rng in enumerate(generators(3)):
        alone = Canvas(idx[row : row + 1], masked[row : row + 1])
        assert last(generate(model, alone, decoding, [rng], ngrams, drafts=3)).equal(frames[-1].idx[row : row + 1])
    assert {frame.computed for frame in frames[1:]} == {4 / model.config.block_size}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_streams_with_drafts_write_what_one_full_pass_says_of_their_order(count):
    """Each goes on by as many as it accepts: the passes that these frames tell are the order of one pass over the text."""
    torch.manual_seed(0)
    sizes = {"vocab_size": 3, "block_size": 36, "n_layer": 2, "n_head": 2, "n_embd": 16, "conv_width": 3, "ahead": 2}
    model = streams.Model(streams.Config(**sizes)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    idx, masked = torch.randint(3, (2, 36)), (torch.arange(36) >= 5).repeat(2, 1)
    canvas, decoding = Canvas(idx, masked), streams.Decoding(temp=1.0, streams=count)
    frames = list(generate_streams(model, canvas, decoding, generators(2), NGrams(IDS, 3, order=3), drafts=3))
    passes, begins = streams.order_of(~masked, count)
    before, longest = masked, int(passes.max()) + 1
    for n, frame in enumerate(frames):
        passes, before = torch.where(before & ~frame.masked, n, passes), frame.masked
    final = frames[-1].idx
    shown = streams.shown(torch.nn.functional.pad(final, (1, 0), value=3)[:, :-1], begins, 3)
    with torch.no_grad():
        full = model(shown, streams.visible_to(streams.Order(passes, begins))).double().softmax(-1)
    for n, frame in enumerate(frames):
        new = (passes == n).gather(1, frame.columns)
        said = full.gather(1, frame.columns[..., None].expand_as(frame.probs))
        torch.testing.assert_close(frame.probs[new], said[new], rtol=0, atol=2e-6)
    assert final[~masked].equal(idx[~masked]) and not before.any()
    assert len(frames) < longest


def test_what_stands_under_a_mask_changes_no_drafts():
    """The later streams begin behind characters that are not written yet."""
    torch.manual_seed(0)
    model = streams.Model(streams.Config(vocab_size=3, block_size=36, n_layer=1, n_head=2, n_embd=8)).eval()
    torch.nn.init.normal_(model.lm_head.weight)
    masked = (torch.arange(36) >= 3)[None]
    ngrams, decoding = NGrams(np.array([0, 1, 2] * 50), 3, order=3), streams.Decoding(temp=1.0, streams=3)
    texts = [torch.zeros(1, 36, dtype=torch.long), torch.zeros(1, 36, dtype=torch.long).masked_fill(masked, 2)]
    frames = [generate_streams(model, Canvas(idx, masked), decoding, generators(1), ngrams, 3) for idx in texts]
    assert all(one.masked.equal(other.masked) for one, other in zip(*frames, strict=True))


def test_at_temperature_zero_one_stream_with_drafts_writes_its_own_text():
    canvas = Canvas.after(torch.tensor([0, 1]), 14)
    decoding = streams.Decoding(temp=0, streams=1)
    torch.manual_seed(0)
    model = streams.Model(streams.Config(vocab_size=3, block_size=16, n_layer=1, n_head=2, n_embd=8))
    torch.nn.init.normal_(model.lm_head.weight)
    plain = list(streams.generate(model, canvas, decoding, generators(1)))[-1].idx
    ngrams = NGrams(plain[0].repeat(20).numpy(), 3)
    drafted = list(generate_streams(model, canvas, decoding, generators(1), ngrams, drafts=4))
    assert drafted[-1].idx.equal(plain) and len(drafted) < 14


def test_a_text_without_masks_takes_no_pass_with_drafts():
    model = streams.Model(streams.Config(vocab_size=3, block_size=16, n_layer=1, n_head=2, n_embd=8))
    canvas = Canvas.after(torch.tensor([0, 1]), 0)
    assert list(generate_streams(model, canvas, streams.Decoding(), generators(1), NGrams(IDS, 3), 3)) == []


@pytest.mark.parametrize("case", ["gap", "top_k", "long", "empty"])
def test_the_draft_model_refuses(case):
    canvas = Canvas.after(torch.tensor([0, 1]), 4)
    if case == "gap":
        canvas.masked[0, 4] = False
    if case == "long":
        canvas = Canvas.after(torch.tensor([0, 1]), 20)
    if case == "empty":
        canvas = Canvas.after(torch.zeros(0, dtype=torch.long), 4)
    decoding = gpt.Decoding(1.0, 2 if case == "top_k" else None)
    with pytest.raises(UserError):
        list(generate(make_gpt(), canvas, decoding, generators(1), NGrams(IDS, 3), 3))


@pytest.mark.parametrize("case", ["gap", "uneven", "top_k", "long"])
def test_streams_with_a_draft_model_refuse(case):
    model = streams.Model(streams.Config(vocab_size=3, block_size=16, n_layer=1, n_head=2, n_embd=8))
    canvas = Canvas.after(torch.zeros(2, 2, dtype=torch.long), 20 if case == "long" else 4)
    if case == "gap":
        canvas.masked[:, 4] = False
    if case == "uneven":
        canvas.masked[0, 2] = False
    decoding = streams.Decoding(temp=1.0, streams=2, top_k=2 if case == "top_k" else None)
    with pytest.raises(UserError):
        list(generate_streams(model, canvas, decoding, generators(2), NGrams(IDS, 3), 3))


def curve(points, draws=4):
    """A configuration's curve from (temperature, entropy, generative NLL); without any prompt it is the same."""
    temps, entropy, nll = np.repeat(np.transpose(points)[..., None], 1 + draws, axis=2)
    found = dict.fromkeys(frontier.MEASURES, np.zeros_like(nll))
    return found | {"temp": temps, "trigram_entropy": entropy, "generative_nll": nll}


def test_figures_are_read_off_where_the_entropy_passes_the_target():
    points = [(0.2, 7.0, 1.0), (0.5, 9.0, 2.0), (1.0, 10.0, 4.0)]
    each = frontier.at_entropy(curve(points), 9.25)
    assert each["generative_nll"][0] == pytest.approx(2.5)
    assert each["temp"][0] == pytest.approx(0.625)
    assert frontier.at_entropy(curve(points), 10.1) is None
    assert frontier.at_entropy(curve(points), 6.9) is None


def test_a_curve_that_turns_is_read_off_on_its_last_rise():
    """At its coldest this sampler is broken, and diverse again."""
    points = [(0.1, 8.9, 9.0), (0.15, 9.4, 9.0), (0.25, 9.0, 2.0), (0.35, 9.2, 3.0), (0.5, 9.6, 4.0)]
    assert frontier.at_entropy(curve(points), 9.1)["generative_nll"][0] == pytest.approx(2.5)
    assert frontier.at_entropy(curve(points), 9.5)["generative_nll"][0] == pytest.approx(3.75)


def test_without_a_prompt_the_figures_are_read_off_anew():
    found = curve([(0.2, 8.0, 1.0), (0.5, 9.0, 2.0)], draws=1)
    found["trigram_entropy"][0] = 8.0, 8.5
    assert frontier.at_entropy(found, 8.75)["generative_nll"].tolist() == pytest.approx([1.75, 1.5])


def test_a_curve_that_a_prompt_lifts_is_read_off_beyond_its_ends():
    """Without that prompt the entropy lies above the target at every temperature, or below."""
    found = curve([(0.2, 8.0, 1.0), (0.5, 9.0, 2.0)], draws=2)
    found["trigram_entropy"][:, 1:] = np.array([[8.6, 7.5], [9.0, 8.0]])
    assert frontier.at_entropy(found, 8.5)["generative_nll"].tolist() == pytest.approx([1.5, 0.75, 3.0])


def test_differences_between_configurations_are_paired():
    """A configuration that goes up and down with GPT's when a prompt is left out, .5 above it: no spread in the difference."""
    gpt_curve, other = curve([(0.2, 8.0, 1.0), (0.5, 9.0, 2.0)], 50), curve([(0.2, 8.0, 1.5), (0.5, 9.0, 2.5)], 50)
    noise = np.r_[0, np.random.default_rng(0).normal(size=50)]
    for found in (gpt_curve, other):
        found["generative_nll"] = found["generative_nll"] + noise
    beyond = curve([(1.0, 5.0, 1.0), (2.0, 6.0, 1.0)])
    rows = frontier.compare({"GPT": gpt_curve, "other": other, "beyond": beyond}, [8.5], ["GPT"])
    assert [row["name"] for row in rows] == ["GPT", "other"]
    assert rows[1]["minus GPT"] == pytest.approx([0.5, 0.5, 0.5])
    assert rows[1]["generative_nll_low"] < 2 < rows[1]["generative_nll_high"]


def test_seconds_are_those_of_a_thousand_characters(monkeypatch):
    """Four texts of 50 characters in two seconds."""
    clock = iter([1.0, 3.0])
    monkeypatch.setattr(frontier.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(frontier.trials, "run", lambda engine, trial: None)
    trial = frontier.trials.Trial(Canvas.after(torch.tensor([0, 1]), 50, 4), None, (1, 2, 3, 4))
    assert frontier.writing_seconds(None, trial) == 10


def test_seconds_are_medians_over_rounds_after_two_that_are_not_counted(monkeypatch):
    """One configuration takes 5, 7 and 9 seconds; many texts are timed in a third of the rounds, the slow one once, one text."""
    engine = methods.load("gpt")
    configs = [Configuration("GPT", engine, {}, (0.5,)), Configuration("slow", engine, {}, (0.5,), single_seed=True)]
    turns = []

    def writing_seconds(engine, trial):
        assert trial.decoding.temp == 0.7
        turns.append(trial.seeds[0] // len(trial.seeds))
        return 1 + 2 * turns[-1]

    monkeypatch.setattr(frontier, "writing_seconds", writing_seconds)
    args = frontier.Args(batch=4, prompts=5, max_new_tokens=8, rounds=3)
    rows = frontier.seconds(configs, {"GPT": 0.7, "slow": 0.7}, args, ["To be"] * 5)
    found = {(row["name"], row["batch"], row["compiled"]): row["seconds"] for row in rows}
    gpt_rows = {("GPT", 1, False): 7, ("GPT", 1, True): 7, ("GPT", 4, True): 5}
    assert found == gpt_rows | {("slow", 1, False): 5, ("slow", 1, True): 5}
    assert [turns.count(turn) for turn in range(5)] == [5, 5, 5, 2, 2]


@pytest.fixture
def own_pages(tmp_path, monkeypatch):
    """A folder in place of the project's, with a page that quotes a benchmark."""
    for module in (output, tables, readme):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(tables, "summary", lambda: ())
    (tmp_path / "README.md").write_text(PAGE, encoding="utf-8")
    return tmp_path


PAGE = """<!-- speed.rows | {what} | {ours:digits} | {theirs:digits} | {gain} | **{ratio:.1f}** | -->
| measured | ours | against | gain | times faster |
|---|---|---|---|---|
| something else | 1 | 2 | 3 | 4 |
<!-- end -->
"""
ROWS = [{"what": "writing", "unit": "seconds", "ours": 0.012345, "theirs": 12345.6, "ratio": 1.5}]


def test_a_users_run_leaves_the_results_and_the_pages_alone(own_pages):
    output.Output().write("speed", {"rows": ROWS})
    assert {path.name for path in own_pages.iterdir()} == {"README.md", "benchmark_reports"}
    assert (own_pages / "README.md").read_text("utf-8") == PAGE
    assert (own_pages / "benchmark_reports" / "speed.json").exists()


def test_a_maintainers_run_renews_the_results_and_readme_the_pages(own_pages):
    """A missing value is an empty cell."""
    output.Output(renew=True).write("speed", {"rows": ROWS})
    readme.main()
    cells = "| writing | 0.0123 | 12,346 |  | **1.5** |"
    assert (own_pages / "README.md").read_text("utf-8") == PAGE.replace("| something else | 1 | 2 | 3 | 4 |", cells)


@pytest.mark.parametrize("name", ["frontier", "infilling", "restoring", "shipped"])
def test_every_benchmark_writes_where_git_looks_away_unless_told(name):
    args = importlib.import_module(f"benchmarks.{name}").Args
    assert issubclass(args, output.Output)
    assert args().folder == output.ROOT / "benchmark_reports" and args(renew=True).folder == output.ROOT / "results"
    assert "/benchmark_reports/" in (output.ROOT / ".gitignore").read_text("utf-8").splitlines()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_corpus(own_root, monkeypatch):
    """Peaks of encoding a text and drawing from it, of 2 and 12 million characters."""
    monkeypatch.setattr(corpus, "BLOCK", 1 << 18)
    letters, peaks = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz     \n", dtype=np.uint8), []
    for millions in (2, 12):
        path = own_root / f"{millions}.txt"
        path.write_bytes(letters[np.random.default_rng(0).integers(len(letters), size=millions * 10**6)].tobytes())
        tracemalloc.start()
        text = corpus.Corpus(path)
        for _ in range(20):
            text.batch(8, 257, machine.Rng(0))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0]


def result(name):
    return records.read_json(output.ROOT / "results" / f"{name}.json")


def test_the_plots_name_each_configuration_and_show_the_bar(tmp_path, monkeypatch):
    """Groups and bar in the legend, and beside the plot a name for each point, none over another."""
    named, texts = [], []
    monkeypatch.setattr(
        "matplotlib.figure.Figure.legend", lambda self, handles, labels, *place, **style: named.append(labels)
    )

    def measured(fig, file, **style):
        fig.draw_without_rendering()
        (axes,) = fig.axes
        texts.append({text.get_text(): Text.get_window_extent(text) for text in axes.texts})

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", measured)
    found = result("frontier")
    only = FAMILIES["streams"]
    frontier_plots.draw(found, tmp_path, "streams", only)
    files = [f"streams_{what}.png" for what in ("nfe", "seconds", "seconds_together")]
    assert [path.name for path in sorted(tmp_path.iterdir())] == files
    for labels, boxes in zip(named, texts, strict=True):
        others = {"other real text of the same length", "a GPT costs no more, its text is more probable"}
        assert {*labels} - others == {"GPT", "streams", "flow off", "flow", "diffusion"} and others <= {*labels}
        known = {row["name"] for row in found["matched"] if row["entropy"] == 9.2 and re.search(only, row["name"])}
        assert boxes.keys() == known
        assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes.values(), 2))


def test_the_bar_is_what_gpts_reach(tmp_path, monkeypatch):
    """From the cheapest GPT on, as low as the best of those that cost no more."""
    bars = []
    monkeypatch.setattr(
        "matplotlib.axes.Axes.fill_between", lambda self, across, up, *top, **style: bars.append((across[:-1], up))
    )
    places = {"GPT": (4, 0.9), "1-layer GPT": (2, 1.1), "GPT, slow": (8, 1.0), "4 streams": (1, 0.5)}
    points = [{"name": name, "nfe": x, "generative_nll": y} for name, (x, y) in places.items()]
    with plots.figure(tmp_path / "bar.png", "", "", "") as axes:
        frontier_plots.picture(axes, points, "nfe", 1.5)
    assert bars == [([2, 4, 8], [1.1, 0.9, 0.9, 0.9])]


def test_an_interval_is_drawn_where_it_lies_and_none_where_it_is_not_known(tmp_path):
    points = [{"x": 1, "y": 2, "y_low": 1.5, "y_high": 4}, {"x": 5, "y": 3}, {"x": 6}]
    with plots.figure(tmp_path / "points.png", "", "", "") as axes:
        plots.scatter(axes, points, "x", "y", "all")
        ((line, _, (bars,)),) = axes.containers
    assert line.get_xydata()[:2].tolist() == [[1, 2], [5, 3]] and np.isnan(line.get_ydata()[2])
    assert [ends.tolist() for ends in bars.get_segments()] == [[[1, 1.5], [1, 4]], [], []]


def test_without_timings_there_are_no_plots_of_seconds(tmp_path):
    frontier_plots.draw(result("frontier") | {"seconds": []}, tmp_path, "frontier")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["frontier_nfe.png"]


def test_seconds_of_an_earlier_run_may_be_of_more_configurations(tmp_path):
    """As with --only and --rounds 0."""
    found = result("frontier")
    found |= {key: [row for row in found[key] if "GPT" in row["name"]] for key in ("matched", "points")}
    frontier_plots.draw(found, tmp_path, "gpt")
    assert len([*tmp_path.iterdir()]) == 3


def test_the_frontier_of_few_prompts_is_drawn_without_intervals(tmp_path):
    found = result("frontier")
    unknown = {"generative_nll_low": None, "generative_nll_high": None}
    frontier_plots.draw(found | {"matched": [row | unknown for row in found["matched"]]}, tmp_path, "few")
    assert len([*tmp_path.iterdir()]) == 3


def test_a_point_lies_at_its_cost_at_the_middle_entropy(tmp_path, monkeypatch):
    """One text's seconds are those of an eager pass, those of many of a compiled one."""
    drawn = []
    monkeypatch.setattr(frontier_plots, "picture", lambda axes, points, x, real: drawn.append((x, points)))
    found = result("frontier")
    frontier_plots.draw(found, tmp_path, "all")
    seconds = {(row["name"], row["batch"], row["compiled"]): row["seconds"] for row in found["seconds"]}
    (_, passes), (alone, one), (together, many) = drawn
    assert {point["entropy"] for point in passes} == {9.2} and len(passes) < len(
        {row["name"] for row in found["matched"]}
    )
    assert all(point[alone] == seconds[point["name"], 1, False] for point in one)
    assert all(point[together] == seconds[point["name"], 32, True] for point in many)


def test_what_is_compared_stands_in_one_table():
    """What is compared with another stands in a table beside it."""
    for other, names in PAIRS.items():
        for name in names:
            assert any(re.search(only, name) and re.search(only, other) for only in FAMILIES.values()), (name, other)


def test_configurations_are_chosen_by_a_pattern_of_their_names():
    names = ("GPT", "1-layer GPT", "4 streams", "diffusion, spacing 8", "diffusion, spacing 8, cooled")
    configs = [SimpleNamespace(name=name) for name in names]
    assert [config.name for config in frontier.chosen(configs, "^GPT$|streams|spacing 8$")] == [*names[:1], *names[2:4]]
    assert frontier.chosen(iter(configs), "") == configs
    with pytest.raises(UserError, match="GPT; 1-layer GPT"):
        frontier.chosen(configs, "GPT-5")
    with pytest.raises(UserError, match="--only [(]: .*position 0"):
        frontier.chosen(configs, "(")


def test_weights_of_ones_own_stand_on_a_frontier_of_their_own(make_weights, own_root, monkeypatch, capsys):
    """Each by the name of its file, at every temperature; compared with each other, not timed without rounds."""
    monkeypatch.setattr(output, "ROOT", own_root)
    text = own_root / "text.txt"
    text.write_text(f"{CHARACTERS}{OPENING}" + "to be or not to be\n" * 300, encoding="utf-8")
    own = [make_weights(methods.METHODS[name], f"{name}_1.pt") for name in ("gpt", "diffusion")]
    evaluator = make_weights(gpt, "evaluator.pt", n_embd=24)
    flags = (
        f"--weights {','.join(map(str, own))} --data {text} --evaluator {evaluator} --output-dir {own_root / 'texts'}"
    )
    flags += " --rounds 0 --seeds 1 --prompts 5 --batch 5 --max-new-tokens 40 --entropies 4,0.5 --name mine"
    assert cli.run(frontier.main, frontier.Args, flags.split()) == 0
    found = json.loads((own_root / "benchmark_reports" / "mine.json").read_text(encoding="utf-8"))
    assert Counter(row["name"] for row in found["points"]) == {"gpt_1": 6, "diffusion_1": 7} and found["seconds"] == []
    assert found["settings"]["weights"]["gpt_1"].startswith("gpt_1.pt sha256")
    assert [(row["name"], row["entropy"]) for row in found["matched"]] == [("gpt_1", 4), ("diffusion_1", 0.5)]
    twice = flags.replace(str(own[1]), f"{own[1]},{evaluator}")
    assert cli.run(frontier.main, frontier.Args, twice.split()) == 2
    assert "would judge its own texts" in capsys.readouterr().err
    (own_root / "other").mkdir()
    twice = flags.replace(str(own[1]), str(shutil.copy(own[0], own_root / "other")))
    assert cli.run(frontier.main, frontier.Args, twice.split()) == 2
    assert "tell them apart" in capsys.readouterr().err


@pytest.mark.parametrize(("method", "copies"), ((gpt, 1), (diffusion, 2)))
def test_a_window_costs_the_flop_of_its_products(method, copies):
    """Forward, and twice that backward: blocks and head a position, scores and their use a pair of positions."""
    config = Config(vocab_size=64, block_size=128, n_layer=2, n_head=4, n_embd=64, conv_width=1)
    linear = 128 * (2 * 12 * 64**2 + 64 * 64)
    pairs = 2 * 2 * 128**2 * 64
    exact = 2 * 3 * copies * (linear + pairs)
    assert learning_curves.flop_of_window(method, config) == pytest.approx(exact, rel=0.03)


def make_origin_flow():
    torch.manual_seed(0)
    model = origin_flow.Model(Config(vocab_size=3, block_size=16, n_layer=1, n_head=1, n_embd=8))
    torch.nn.init.normal_(model.lm_head.weight)
    return model


def test_the_origins_flow_counts_on_every_second_step_until_its_last():
    model, idx, weights = make_origin_flow(), torch.randint(3, (2, 17)), []
    for done in (0, 1, 1999, 5999, 6000, 6001):
        total, parts = origin_flow.loss(model, idx, model.config, machine.Rng(0, done))
        weights.append(parts["flow_weight"])
        assert total.item() == pytest.approx((parts["batch_ce_loss"] + weights[-1] * parts["batch_flow_loss"]).item())
    assert weights == pytest.approx([0, 0.0002, 0.1, 0.1, 0, 0])


@pytest.mark.parametrize("step", [0, 1, 6000])
def test_every_parameter_of_the_origins_flow_takes_part_in_every_step(step):
    """Else several processes, each with a part of the batch, cannot train it."""
    model = make_origin_flow()
    origin_flow.loss(model, torch.randint(3, (2, 17)), model.config, machine.Rng(0, step))[0].backward()
    assert all(p.grad is not None for p in model.parameters())


def test_without_its_flow_the_origins_model_writes_as_diffusion_does():
    model, canvas = make_origin_flow().eval(), Canvas.after(torch.tensor([0, 1]), 20, rows=2)

    def text(method, **settings):
        return last(method.generate(model, canvas, method.Decoding(**settings), generators(2)))

    assert torch.equal(text(origin_flow, flow_until=1.0), text(diffusion))
    assert not torch.equal(text(origin_flow), text(diffusion))


def test_the_pages_need_one_file_of_each_name(monkeypatch, tmp_path):
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    with pytest.raises(UserError, match=r"results/speed\.json: 0 such files"):
        tables.rows("speed.rows")


@pytest.mark.slow
def test_learning_curves_of_logs(monkeypatch, tmp_path):
    """Of results/, with a text of the shipped characters."""
    (tmp_path / "data.txt").write_text(methods.load("gpt").opening * 200, encoding="utf-8")
    monkeypatch.setattr(learning_curves, "Corpus", lambda: corpus.Corpus(tmp_path / "data.txt"))
    monkeypatch.setattr(output, "ROOT", tmp_path)
    learning_curves.main(output.Output())
    reports = tmp_path / "benchmark_reports"
    gpt_row, *masked = records.read_json(reports / "budgets.json")["rows"]
    assert gpt_row["val_loss_at_equal_flop"] == pytest.approx(gpt_row["val_loss"], abs=0.01)
    assert all(row["flop"] > 1.9 * gpt_row["flop"] for row in masked)
    assert all(row["val_loss_at_equal_flop"] > row["val_loss"] for row in masked)
    assert (reports / "budgets_flop.png").exists()


@pytest.mark.parametrize("settings", [{"flow_step": math.nan}, {"flow_step": -5}, {"flow_until": math.nan}])
def test_the_flow_of_the_origin_takes_shares(settings):
    with pytest.raises(UserError, match=next(iter(settings))):
        origin_flow.Decoding(**settings)


@pytest.mark.parametrize("scorer", ["gpt", "n-grams"])
def test_a_wide_beam_finds_the_most_probable_character_of_each_position_given_both_sides(scorer):
    """Over all fillings of three gaps, by their joint probabilities with the known characters."""
    idx, masked = torch.from_numpy(IDS[:12]).long(), torch.zeros(12, dtype=torch.bool)
    masked[[3, 4, 8]] = True
    model, ngrams = make_gpt(), NGrams(IDS[12:], 3, order=3)
    log_probs = search.gpt_scorer(model, 27) if scorer == "gpt" else partial(search.by_ngrams, ngrams)
    found = search.beam_search(log_probs, idx, masked, 27)
    votes = torch.zeros(12, 3, dtype=torch.float64)
    for filling in itertools.product(range(3), repeat=3):
        text = idx.clone()
        text[masked] = torch.tensor(filling)
        if scorer == "gpt":
            each = model(text[None, :-1])[0].double().log_softmax(-1).gather(-1, text[1:, None])
        else:
            each = torch.tensor(
                [ngrams.probs(tuple(text[max(0, k - 2) : k].tolist()))[text[k]] for k in range(1, 12)]
            ).log()
        votes[torch.arange(12), text] += each.sum().exp().detach()
    assert found.equal(votes.argmax(-1)) and found[~masked].equal(idx[~masked])


def test_damage_has_its_kind_and_share():
    rng, text = torch.Generator().manual_seed(0), ("x" * 19 + "\n") * 50 + "an open end"
    for share in (0.05, 0.3, 0.5):
        for kind in restoring.KINDS:
            masked = restoring.damage(text, kind, share, rng)
            assert masked.double().mean().item() == pytest.approx(share, abs=0.04) and not masked[0]
        ends = masked[:1000].view(50, 20)  # the last kind
        assert not ends[:, -1].any() and (ends[:, :-1].int().diff(dim=1) >= 0).all() and not masked[1000:].any()


def test_words_are_right_when_all_their_missing_characters_are():
    masked = torch.tensor([sign == "_" for sign in "to _e or n__ to be"])
    assert restoring.shares_right("to be or not to be", "to be or nut to be", masked) == (2 / 3, 1 / 2)


def test_every_method_restores_every_kind_of_damage(make_weights, own_root, monkeypatch):
    """Texts with the characters of the tiny weights; each row is of as many windows, and the figures are drawn."""
    monkeypatch.setattr(output, "ROOT", own_root)
    text = own_root / "text.txt"
    text.write_text("\n abcdefghijklmnopqrstuvwxyz" + "to be or not to be\n" * 200, encoding="utf-8")
    weights = ",".join(str(make_weights(method, f"{name}.pt")) for name, method in methods.METHODS.items())
    argv = f"--windows 6 --shares .3 --data {text} --weights {weights} --name tiny".split()
    assert cli.run(restoring.main, restoring.Args, argv) == 0
    found = json.loads((own_root / "benchmark_reports" / "tiny.json").read_text(encoding="utf-8"))
    ways = Counter(row["method"] for row in found["rows"])
    assert ways.keys() == {
        "diffusion, spaced", "diffusion, one pass", "flow model, spaced", "one stream",
        "GPT, left side", "GPT, both sides", "n-grams, both sides",
    } and {*ways.values()} == {3}  # fmt: skip
    for row in found["rows"]:
        assert row["right_low"] <= row["right"] <= row["right_high"]
        assert row["texts"] == 6 and row["passes"] >= 1 and row["seconds"] > 0
    known = {row["method"]: row["right"] for row in found["rows"] if row["kind"] == "scattered"}
    assert known["n-grams, both sides"] > 0.9 > known["diffusion, one pass"]  # one sentence; weights that are noise
    assert found["calibration"][0]["predictions"] > 100 and found["reliability"]
    assert {path.name for path in (own_root / "benchmark_reports").iterdir()} == {
        "tiny.json", "tiny.png", "tiny_reliability.png"
    }  # fmt: skip


def test_ways_of_restoring_are_compared_text_by_text():
    """The baseline restores every second text and another way all: right by as much more in each of the others."""
    texts = ["ab" * 8 + sign for sign in "cdcdcdcdcdcd"]
    ways = [
        ("another", lambda text, masked: (text, 2)),
        (restoring.BASELINE, lambda text, masked: (text if text[-1] == "d" else "x" * len(text), 1)),
    ]
    with Bar("restoring", len(texts)):
        another, baseline = restoring.measure(texts, "scattered", 0.5, ways)
        (alone,) = restoring.measure(texts, "scattered", 0.5, ways[:1])
    assert (another["right"], another["passes"], baseline["right"], baseline["texts"]) == (1, 2, 0.5, 12)
    assert another["difference"] == 0.5 and "difference" not in baseline
    assert 0 < another["difference_low"] < 0.5 < another["difference_high"] < 1
    assert alone["right"] == 1 and "difference" not in alone
