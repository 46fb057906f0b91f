"""The benchmarks' own logic; what they measure is not tested here."""

import contextlib
import importlib
import itertools
import math
import tracemalloc
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import methods
from benchmarks import budgets, busy, first_minutes, frontier, gpu, origin_flow, readme, speed, timing
from benchmarks.draft_model import DraftModel, NGrams, look_up, small_gpt
from diffusion import METHOD as diffusion
from gpt import METHOD as gpt
from lab import corpus, machine, records, trials
from lab.backbone import Config
from lab.canvas import Canvas
from lab.cli import UserError
from lab.trials import Engine

IDS = np.random.default_rng(0).integers(0, 3, 400)


def make_gpt(vocab_size=3, seed=0, dropout=0.0):
    torch.manual_seed(seed)
    sizes = {"block_size": 16, "n_layer": 1, "n_head": 1, "n_embd": 8, "dropout": dropout}
    model = gpt.Model(Config(vocab_size=vocab_size, **sizes)).eval()
    torch.nn.init.normal_(model.lm_head.weight)
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
    np.testing.assert_allclose(ngrams.probs[ngrams.row([0])], bigram)
    np.testing.assert_allclose(ngrams.probs[ngrams.row([])], unigram)
    np.testing.assert_allclose(ngrams.probs[ngrams.row([2])], unigram)  # 2 never occurred


def test_ngram_probabilities_sum_to_one():
    probs = NGrams(IDS, 3).probs
    torch.testing.assert_close(probs.sum(1), torch.ones(len(probs), dtype=torch.float64))


START = {  # all poor: the first never proposes character 2 often, the second is sure of itself, the third never learned
    "n-grams": NGrams(IDS[:60] % 2, 3).start,
    "the text so far": lambda rows: partial(look_up, 3),
    "small GPT": partial(small_gpt, make_gpt(seed=1)),
}


@pytest.mark.parametrize("temp", [1.0, 0.5])
@pytest.mark.parametrize("start", START.values(), ids=START)
def test_the_draft_model_keeps_gpts_distribution(start, temp):
    """Four thousand texts of three characters, against their exact probabilities under GPT."""
    model, rows = make_gpt(), 4000
    torch.nn.init.normal_(model.lm_head.weight, std=0.3)  # no text is too rare for the normal approximation below
    draft_model = DraftModel(start, drafts=2)
    canvas = Canvas.after(torch.tensor([0, 1]), 3, rows)
    idx = last(draft_model.generate(model, canvas, gpt.Decoding(temp, None), generators(rows)))
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
    drafted = list(DraftModel(ngrams.start, drafts=4).generate(model, canvas, decoding, generators(1)))
    assert drafted[-1].idx.equal(greedy[-1].idx)
    assert len(drafted) < len(greedy)


def test_the_draft_models_frames_settle_only_masked_characters():
    model, canvas = make_gpt(), Canvas.after(torch.tensor([0, 1]), 14, rows=3)
    before = canvas
    for frame in DraftModel(NGrams(IDS, 3).start, 3).generate(model, canvas, gpt.Decoding(1.0, None), generators(3)):
        assert (frame.idx == before.idx)[~before.masked].all()
        assert (before.masked & ~frame.masked).any()
        before = Canvas(frame.idx, frame.masked)
    assert not before.masked.any()


@pytest.mark.parametrize("case", ["spacing", "top_k", "long", "empty"])
def test_the_draft_model_refuses(case):
    canvas, decoding = Canvas.after(torch.tensor([0, 1]), 4), gpt.Decoding(1.0, None)
    if case == "spacing":
        canvas.masked[0, 5] = False
    if case == "top_k":
        decoding = replace(decoding, top_k=2)
    if case == "long":
        canvas = Canvas.after(torch.tensor([0, 1]), 20)
    if case == "empty":
        canvas = Canvas.after(torch.zeros(0, dtype=torch.long), 4)
    with pytest.raises(UserError):
        list(DraftModel(NGrams(IDS, 3).start, 3).generate(make_gpt(), canvas, decoding, generators(1)))


def curve(points, draws=4):
    """(temperature, measures) from (temperature, entropy, generative NLL); every resample is the sample itself."""
    found = []
    for temp, entropy, nll in points:
        measures = dict.fromkeys(frontier.MEASURES, np.zeros(1 + draws))
        measures |= {"trigram_entropy": np.full(1 + draws, entropy), "generative_nll": np.full(1 + draws, nll)}
        found.append((temp, measures))
    return found


def test_figures_are_read_off_where_the_entropy_passes_the_target():
    points = [(0.2, 7.0, 1.0), (0.5, 9.0, 2.0), (1.0, 10.0, 4.0)]
    each = frontier.at_entropy(curve(points), 9.25)
    assert each["generative_nll"][0] == pytest.approx(2.5)
    assert each["temp"][0] == pytest.approx(0.625)
    assert frontier.at_entropy(curve(points), 10.1) is None
    assert frontier.at_entropy(curve(points), 6.9) is None


def test_a_curve_that_turns_is_read_off_on_its_last_rise():
    """At its coldest this sampler is broken, and diverse again."""
    points = [(0.15, 9.4, 9.0), (0.25, 9.0, 2.0), (0.35, 9.2, 3.0), (0.5, 9.6, 4.0)]
    assert frontier.at_entropy(curve(points), 9.1)["generative_nll"][0] == pytest.approx(2.5)
    assert frontier.at_entropy(curve(points), 9.5)["generative_nll"][0] == pytest.approx(3.75)


def test_each_resample_is_read_off_on_its_own():
    found = curve([(0.2, 8.0, 1.0), (0.5, 9.0, 2.0)], draws=1)
    found[0][1]["trigram_entropy"] = np.array([8.0, 8.5])
    assert frontier.at_entropy(found, 8.75)["generative_nll"].tolist() == pytest.approx([1.75, 1.5])


def test_differences_between_configurations_are_paired():
    """A configuration that goes up and down with GPT's when a prompt is left out, .5 above it: no spread in the difference."""
    gpt_curve, other = curve([(0.2, 8.0, 1.0), (0.5, 9.0, 2.0)], 50), curve([(0.2, 8.0, 1.5), (0.5, 9.0, 2.5)], 50)
    noise = np.r_[0, np.random.default_rng(0).normal(size=50)]
    for _, found in (*gpt_curve, *other):
        found["generative_nll"] = found["generative_nll"] + noise
    rows = frontier.compare(
        {"GPT": gpt_curve, "other": other, "beyond": curve([(1.0, 5.0, 1.0), (2.0, 6.0, 1.0)])}, [8.5]
    )
    assert [row["name"] for row in rows] == ["GPT", "other"]
    assert rows[1]["minus GPT"] == pytest.approx([0.5, 0.5, 0.5])
    assert rows[1]["generative_nll_low"] < 2 < rows[1]["generative_nll_high"]


@pytest.fixture
def own_pages(tmp_path, monkeypatch):
    """A folder in place of the project's, with a page that quotes a benchmark."""
    for module in (timing, readme):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(readme, "PLACES", {"speed": readme.speed})
    (tmp_path / "README.md").write_text("<!-- speed -->\nnothing yet\n<!-- end -->\n", encoding="utf-8")
    return tmp_path


ROWS = [{"what": "writing", "unit": "seconds", "ours": 2.0, "theirs": 3.0, "ratio": 1.5}]


def test_a_users_run_leaves_the_results_and_the_pages_alone(own_pages):
    before = (own_pages / "README.md").read_bytes()
    timing.Output().write("speed", {"rows": ROWS})
    assert {path.name for path in own_pages.iterdir()} == {"README.md", "benchmark_reports"}
    assert (own_pages / "README.md").read_bytes() == before
    assert (own_pages / "benchmark_reports" / "speed.json").exists()


def test_a_maintainers_run_renews_both(own_pages):
    timing.Output(renew=True).write("speed", {"rows": ROWS})
    assert (own_pages / "results" / "speed.json").exists()
    assert "| writing    | seconds | 2      | 3         | **1.5**" in (own_pages / "README.md").read_text("utf-8")


@pytest.mark.parametrize("name", ["frontier", "infilling", "shipped", "speed"])
def test_every_benchmark_writes_where_git_looks_away_unless_told(name):
    args = importlib.import_module(f"benchmarks.{name}").Args
    assert issubclass(args, timing.Output)
    assert args().folder == timing.ROOT / "benchmark_reports" and args(renew=True).folder == timing.ROOT / "results"
    assert "/benchmark_reports/" in (timing.ROOT / ".gitignore").read_text("utf-8").splitlines()


def test_ratios_are_taken_pair_by_pair(monkeypatch):
    """Two functions, one three times as slow, on a machine that is ten times slower in the second round."""
    seconds = iter([1.0, 3.0, 10.0, 30.0, 1.0, 3.0])
    monkeypatch.setattr(timing, "clock", lambda function: next(seconds))
    assert timing.compare(lambda: None, lambda: None, 3) == (1.0, 3.0, 3.0)


@pytest.mark.parametrize("unit, figures", [(speed.RATE, (12.0, 4.0)), ("seconds", (1 / 12, 1 / 4))])
def test_a_row_is_a_rate_or_seconds_for_one(monkeypatch, unit, figures):
    monkeypatch.setattr(speed, "compare", lambda ours, theirs, rounds: (2.0, 6.0, 3.0))
    row = speed.row("writing", unit, None, None, 24, 1)
    assert (row["ours"], row["theirs"]) == pytest.approx(figures) and row["ratio"] == 3


@pytest.mark.parametrize("method", [gpt, diffusion], ids=["gpt", "diffusion"])
def test_the_timed_step_learns(method, monkeypatch):
    config = replace(method.config, vocab_size=5, block_size=16, n_layer=1, n_head=1, n_embd=8, dropout=0.0)
    monkeypatch.setattr(speed.machine, "tune_malloc", lambda: None)
    losses, loss = [], method.loss

    def watched(*args):
        total, parts = loss(*args)
        losses.append(total.item())
        return total, parts

    monkeypatch.setattr(method, "loss", watched)
    step = speed.stepper(method, config, 4, torch.device("cpu"), compiled=False, bf16=False)
    for _ in range(20):
        step()
    assert losses[-1] < losses[0] - 0.01


def test_the_operators_of_a_cached_call_are_all_counted():
    """A block multiplies by four matrices, the head by one."""
    engine = Engine("gpt", make_gpt(), gpt.generate, corpus.Alphabet("abc"), "abc", gpt.Decoding())
    trial = trials.Trial(Canvas.after(torch.tensor([0, 1]), 12), gpt.Decoding(), (1,))
    rows = speed.operators("call", lambda: trials.run(engine, trial), 12, shown=20)
    found = {row["operator"]: row for row in rows}
    assert found["aten::mm"]["in one"] == 5
    assert sum(row["share"] for row in found.values()) == pytest.approx(1)


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
    return records.read_json(timing.ROOT / "results" / f"{name}.json")


def test_the_plots_name_six_configurations_and_what_is_better(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr("matplotlib.axes.Axes.annotate", lambda self, text, *place, **style: said.append(text))
    frontier.draw(result("frontier"), tmp_path)
    names = ["frontier_flow.png", "frontier_nfe.png", "frontier_seconds.png", "frontier_seconds_together.png"]
    assert [path.name for path in sorted(tmp_path.iterdir())] == names
    quick = [name for name in frontier.LABELLED if name not in ("GPT, draft model", "diffusion, threshold .85")]
    assert [text for text in said if text] == [
        x for names in (frontier.LABELLED,) * 2 + (quick,) for x in ("Pareto frontier", *names, "better")
    ]


def test_an_arrow_leads_from_the_flow_off_to_the_flow(tmp_path, monkeypatch):
    arrows = []
    monkeypatch.setattr(
        "matplotlib.axes.Axes.annotate", lambda self, text, end, start, **style: arrows.append((start, end))
    )
    places = {
        "flow off, two stages": (200, 1.2),
        "flow, two stages": (150, 1.3),
        "flow until .1, two stages": (100, 1.4),
    }
    points = [{"name": name, "nfe": x, "generative_nll": y} for name, (x, y) in places.items()]
    frontier.draw_flows([*points, {"name": "flow, spacing 8", "nfe": 14, "generative_nll": 1.3}], tmp_path, "nats")
    assert arrows == [((200, 1.2), (150, 1.3)), ((200, 1.2), (100, 1.4))]


def test_without_timings_there_are_no_plots_of_seconds(tmp_path):
    frontier.draw(result("frontier") | {"seconds": []}, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["frontier_flow.png", "frontier_nfe.png"]


def test_plots_need_the_configurations_that_they_name(tmp_path):
    found = result("frontier") | {"matched": []}
    with pytest.raises(UserError, match="choose other --entropies"):
        frontier.draw(found, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("method", "copies"), ((gpt, 1), (diffusion, 2)))
def test_the_flop_of_a_window_are_those_of_its_products(method, copies):
    """Forward, and twice that backward: blocks and head a position, scores and their use a pair of positions."""
    config = Config(vocab_size=64, block_size=128, n_layer=2, n_head=4, n_embd=64, conv_width=1)
    linear = 128 * (2 * 12 * 64**2 + 64 * 64)
    pairs = 2 * 2 * 128**2 * 64
    exact = 2 * 3 * copies * (linear + pairs)
    assert budgets.flop_of_window(method, config) == pytest.approx(exact, rel=0.03)


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


@pytest.mark.parametrize("flag", ["chars", "drafts", "rounds"])
def test_a_benchmark_of_nothing_is_refused(flag):
    with pytest.raises(UserError, match=f"{flag} must lie in"):
        speed.Args(**{flag: 0})


def test_a_ratio_says_how_many_times_ours_is_better_whatever_the_unit():
    for unit, best in ((busy.RATE, 8), (busy.STEPS, 8), ("seconds of CPU", 2)):
        found = busy.row("what", unit, partial(int, best), partial(int, 4), 3)
        assert found["ratio"] == 2 and found["ours"] == best and found["theirs"] == 4


def test_the_busy_process_lasts_as_long_as_it_is_wanted(monkeypatch):
    started, real = [], busy.subprocess.Popen
    monkeypatch.setattr(busy.subprocess, "Popen", lambda *words: started.append(real(*words)) or started[-1])
    with busy.spinning(2):
        assert len(started) == 2 and all(process.poll() is None for process in started)
    assert all(process.poll() is not None for process in started)


def test_a_checkout_writes_in_a_process_of_its_own_and_one_without_our_code_is_refused(tmp_path):
    first, rate = busy.work(busy.ROOT, "gpt", "write", 1, 1, 4)
    assert first > 0 and rate > 0
    with pytest.raises(UserError, match="No module named 'methods'"):
        busy.work(tmp_path, "gpt", "write", 1, 1, 4)


def test_both_checkouts_are_measured_quiet_and_busy(monkeypatch, tmp_path, capsys):
    asked, busy_now = [], []
    monkeypatch.setattr(
        busy, "work", lambda *asks: asked.append((*asks, len(busy_now))) or (30.0, 2.0 + asks[0].name.count("older"))
    )
    monkeypatch.setattr(busy, "cpu_seconds", lambda folder, *_: 9.0 if folder.name == "older" else 1.0)
    monkeypatch.setattr(busy, "spinning", lambda n: contextlib.nullcontext(busy_now.append(n)))
    monkeypatch.setattr(busy.Output, "folder", tmp_path)
    (tmp_path / "older").mkdir()
    (tmp_path / "older" / "gpt.py").touch()
    busy.main(busy.Args(before=tmp_path / "older", rounds=2))
    rows = records.read_json(tmp_path / "busy.json")["rows"]
    ratios = {row["what"]: row["ratio"] for row in rows}
    assert ratios["gpt.py, writing, alone"] == ratios["diffusion.py, training, beside a process that spins"] == 2 / 3
    assert ratios["gpt.py, help"] == ratios["gpt.py, a refusal"] == 9
    assert {ask[2:5] for ask in asked if ask[1] == "gpt"} >= {("write", 32, 1), ("write", 1, 0), ("step", 1, 0)}


@pytest.mark.parametrize("content", [None, "1 / 0", "import nothing_like_this", "Model = 1"])
def test_a_checkout_of_something_else_is_refused_before_anything_is_timed(tmp_path, monkeypatch, content):
    monkeypatch.setattr(speed, "DEFAULT", tmp_path / "data.txt")
    if content is not None:
        (tmp_path / "gpt.py").write_text(content)
    with pytest.raises(UserError, match=r"gpt\.py: not a file of the project"):
        speed.load_origin(tmp_path)


def test_the_pages_need_one_file_of_each_name(monkeypatch, tmp_path):
    monkeypatch.setattr(readme, "ROOT", tmp_path)
    with pytest.raises(UserError, match=r"results/speed\.json: 0 such files"):
        readme.results("speed")


@pytest.mark.slow
def test_the_benchmark_of_a_gpu_works_before_it_meets_one(monkeypatch, tmp_path):
    """On a CPU, in eager mode, with the shipped weights and a text of their characters."""
    monkeypatch.setattr(machine, "can_compile", lambda device: False)
    opening = methods.load("gpt").opening
    (tmp_path / "data.txt").write_text(opening * 200, encoding="utf-8")
    monkeypatch.setattr(gpu, "Corpus", lambda: corpus.Corpus(tmp_path / "data.txt"))
    monkeypatch.setattr(timing, "ROOT", tmp_path)
    gpu.main(gpu.Args(device="cpu", minutes=0.005, batches=(1, 2), chars=20))
    found = records.read_json(tmp_path / "benchmark_reports" / "gpu.json")
    assert [row["module"] for row in found["training"]] == ["gpt", "diffusion", "diffusion_flow"]
    assert [row["batch"] for row in found["writing"]] == [1, 2] * 3
    assert all(row["nats"] > 0 for row in found["training"]) and all(row["seconds"] > 0 for row in found["writing"])


@pytest.mark.parametrize("settings", [{"flow_step": math.nan}, {"flow_step": -5}, {"flow_until": math.nan}])
def test_the_flow_of_the_origin_takes_shares(settings):
    with pytest.raises(UserError, match=next(iter(settings))):
        origin_flow.Decoding(**settings)


def test_one_training_of_others_is_read_at_each_time(monkeypatch):
    """Steps of 20 seconds: three fit into a minute, and what happens between two readings does not count."""
    taken = []
    monkeypatch.setattr(first_minutes, "clock", lambda step: step() or 20.0)
    found = [(n, model, steps) for n, model, steps in first_minutes.train_others((3, 1), "m", lambda: taken.append(1))]
    assert found == [(1, "m", 3), (3, "m", 9)] and len(taken) == 9


def test_reading_held_out_text_drops_nothing_and_leaves_a_model_in_training():
    model, text = make_gpt(dropout=0.5).train(), SimpleNamespace(test=IDS.astype(np.uint8))
    torch.nn.init.normal_(model.backbone.blocks[0].down.weight)
    one, two = (first_minutes.held_out_loss(model, text, is_masked=False) for _ in range(2))
    assert one == two and model.training
