"""Likelihoods, against sums made by hand and against the enumeration of every mask."""

import itertools
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

import evaluate_likelihood
import methods
from diffusion import METHOD as diffusion
from diffusion_flow import METHOD as diffusion_flow
from gpt import METHOD as gpt
from lab import cli
from lab.decoding import unmasking
from lab.decoding.canvas import Canvas
from lab.measuring import trials
from lab.model import likelihood
from lab.model.backbone import Config
from lab.model.corpus import Alphabet, windows
from streams import METHOD as streams


def make_model(method, block_size=8):
    torch.manual_seed(0)
    model = method.Model(Config(vocab_size=5, block_size=block_size, n_layer=1, n_head=2, n_embd=16)).eval()
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.5)
    return model


def test_every_character_but_the_first_counts_once_with_the_window_before_it():
    model, text = make_model(gpt), torch.randint(5, (41,), generator=torch.Generator().manual_seed(0))
    nll = []
    for i in range(1, 41):
        start = (i - 1) // 8 * 8
        nll.append(F.cross_entropy(model(text[None, start:i])[0, -1], text[i]))
    held = windows(text.numpy(), 9)
    assert likelihood.exact_nll(model, held).mean().item() == pytest.approx(torch.stack(nll).mean().item(), rel=1e-5)


def test_sliding_windows_score_the_second_half_of_each():
    model, text = make_model(gpt), torch.randint(5, (41,), generator=torch.Generator().manual_seed(0))
    held = windows(text.numpy(), 9, every=4)
    expected = [F.cross_entropy(model(text[None, s : s + 8])[0, 4:], text[s + 5 : s + 9]) for s in range(0, 33, 4)]
    nll = likelihood.sliding_nll(model, held)
    assert nll.tolist() == pytest.approx(torch.stack(expected).tolist(), rel=1e-4)


def test_the_bound_equals_the_enumeration_of_every_mask():
    """Mean over mask counts 1 .. 4, over all masks of that count, of the mean cross-entropy of what is masked."""
    model, x = make_model(diffusion, block_size=4), torch.tensor([[0, 3, 1, 4]])
    by_count = {k: [] for k in range(1, 5)}
    for mask in itertools.product((False, True), repeat=4):
        masked = torch.tensor([mask])
        if masked.any():
            nll = F.cross_entropy(model(x.masked_fill(masked, 5)).mT, x, reduction="none")
            by_count[int(masked.sum())].append(nll[masked].mean().item())
    exact = sum(sum(values) / len(values) for values in by_count.values()) / 4
    bound = likelihood.nelbo(model, F.pad(x, (0, 1)), repeats=4000)
    assert bound.shape == (1,)
    assert bound.item() == pytest.approx(exact, rel=0.01)


def test_the_bound_is_the_same_twice():
    model, x = make_model(diffusion), torch.randint(5, (6, 9))
    assert torch.equal(likelihood.nelbo(model, x), likelihood.nelbo(model, x))


def test_characters_given_their_left_side():
    """One in the middle by hand, two by their mean; and a masked model whose head is zero knows nothing of them."""
    model, x = make_model(gpt), torch.randint(5, (2, 8))
    own = [F.cross_entropy(model(x[:, :i])[:, -1], x[:, i], reduction="none") for i in (3, 4)]
    positions = torch.arange(8)
    close = partial(torch.testing.assert_close, rtol=1e-5, atol=1e-5)  # the model computes in float32
    close(likelihood.nll_given_prefix(model, x, positions == 3), own[0])
    both = likelihood.nll_given_prefix(model, x, (positions == 3) | (positions == 4))
    close(both, (own[0] + own[1]) / 2)
    blind = diffusion.Model(model.config)
    nll, calls = likelihood.path_nll(blind, x, positions == 3, lambda probs, masked: masked)
    assert nll.exp().tolist() == pytest.approx([5, 5])
    assert calls.tolist() == [1, 1]


def test_an_entropy_budget_is_spent_on_the_surest():
    """Entropies 0, ln 2, ln 2, ln 4 nats: the sum without the largest taken must stay within the budget."""
    probs = torch.tensor([[[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25] * 4, [0.5, 0.5, 0, 0]]])
    masked = torch.tensor([[True, True, True, True]])

    def strategy(text):
        return methods.strategy(*methods.named(text))

    assert strategy("budget=0.1")(probs, masked).tolist() == [[True, True, False, False]]
    assert strategy("budget=0.7")(probs, masked).tolist() == [[True, True, False, True]]
    assert strategy("budget=1.5")(probs, masked).tolist() == [[True, True, True, True]]
    assert strategy("budget=0.1")(probs, masked & (torch.arange(4) > 1)).tolist() == [[False, False, False, True]]


def test_a_random_rule_takes_as_many_masked_positions_as_it_says_each_as_often_as_another():
    strategy, masked = (
        methods.strategy(*methods.named("random=2")),
        torch.tensor([[True, True, False, True, True]]).repeat(4000, 1),
    )
    taken = strategy(None, masked)
    assert (taken.sum(1) == 2).all() and not taken[:, 2].any()
    assert taken.float().mean(0).tolist() == pytest.approx([0.5, 0.5, 0, 0.5, 0.5], abs=0.04)
    assert not torch.equal(taken, strategy(None, masked))
    assert methods.strategy(*methods.named("random=9"))(None, masked).equal(masked)


def test_path_likelihood_from_left_to_right_is_the_chain_rule():
    model, x = make_model(diffusion), torch.randint(5, (3, 8))
    nll, calls = likelihood.path_nll(model, x, torch.arange(8) >= 2, methods.strategy(*methods.named("left")))
    expected = torch.zeros(3)
    for i in range(2, 8):
        logits = model(x.masked_fill(torch.arange(8) >= i, 5))[:, i]
        expected += F.cross_entropy(logits, x[:, i], reduction="none")
    assert nll.tolist() == pytest.approx((expected / 6).tolist(), rel=1e-4)
    assert calls.tolist() == [6.0] * 3


def test_path_likelihoods_of_all_texts_sum_to_one():
    """The product is a distribution: over every text of three characters after one that is given."""
    model, strategy = make_model(diffusion, block_size=4), methods.strategy(*methods.named("spacing=1"))
    texts = torch.tensor([(0, *rest) for rest in itertools.product(range(5), repeat=3)])
    nll, _ = likelihood.path_nll(model, texts, torch.arange(4) >= 1, strategy)
    assert (-nll * 3).exp().sum().item() == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize(
    "settings", [{"spacing": 2, "confidence_threshold": 0.0}, {"spacing": 0, "confidence_threshold": 0.4}]
)
def test_path_likelihood_is_that_of_the_sampler(settings):
    """Calls and probability of a text that the sampler wrote are those that the path gives the same text."""
    model = make_model(diffusion, block_size=16)
    decoding = diffusion.Decoding(
        temp=1.0, cool_to=1.0, top_k=None, draft_threshold=1.0, target_chunk_len=12, **settings
    )
    canvas, log_p = Canvas.after(torch.zeros(4, dtype=torch.long), 12), []
    before = canvas.masked
    engine = trials.Engine(diffusion, model, Alphabet("abcde"), "")

    def note(frame, _):
        nonlocal before
        new = before & ~frame.masked
        log_p.append(frame.probs.gather(-1, frame.idx[..., None])[..., 0].log()[new].sum().item())
        before = frame.masked

    (sample,) = trials.run(engine, trials.Trial(canvas, decoding, (3,)), watch=note)
    text = engine.alphabet.encode(sample.text)[None]
    masked = torch.arange(text.size(1)) >= 4
    nll, calls = likelihood.path_nll(model, text, masked, partial(unmasking.select_positions, decoding=decoding))
    assert calls.item() == sample.nfe
    assert nll.item() * 12 == pytest.approx(-sum(log_p), rel=1e-5)


def test_strategies_that_are_none_are_refused():
    wrong = ["spacing", "spacing=-1", "spacing=0.5", "spacing=2.5", "spacing=x", "random=1.5", "left=5", "threshold=2"]
    for strategies in [*wrong, "budget=0", "sideways", "two-stage=0.7"]:
        with pytest.raises(cli.UserError, match=f"--strategies {strategies}:"):
            evaluate_likelihood.Args(strategies=strategies)
    assert evaluate_likelihood.Args(strategies="left, spacing=5").chosen == ["left", "spacing=5"]


@pytest.mark.parametrize(
    ("method", "kinds"),
    [
        (gpt, {"left"}),
        (diffusion, {"left", "spacing=5"}),
        (streams, {"streams=2"}),
        (replace(diffusion, is_exact=True), set()),  # one of a user's own, of whose order nothing is known
    ],
)
def test_a_method_is_scored_in_the_orders_that_it_writes_in(method, kinds):
    model = method.Model(method.Config(vocab_size=5, block_size=8, n_layer=1, n_head=2, n_embd=16)).eval()
    engine, masked = SimpleNamespace(method=method, model=model), torch.arange(8) > 0
    windows = torch.zeros(2, 8, dtype=torch.long)
    found = {text: methods.path_nll(engine, windows, masked, text) for text in ("left", "spacing=5", "streams=2")}
    assert {text for text, costs in found.items() if costs is not None} == kinds


@pytest.fixture
def evaluate(make_weights, own_root, monkeypatch):
    """evaluate(*names) -> exit status of a run on weights files of these names, whose method begins the name."""
    text = own_root / "text.txt"
    text.write_text(" ".join("abcdefghijklmnopqrstuvwxyz"[i % 26 : i % 26 + 4] for i in range(900)) + "\n")
    monkeypatch.setattr(cli, "ROOT", own_root)

    def run(*names, flags=("--windows", "2", "--most", "2", "--repeats", "1", "--strategies", "left,spacing=5")):
        files = [make_weights(methods.METHODS[name.partition("-")[0]], name) for name in names]
        argv = ["--weights", ",".join(map(str, files)), "--data", str(text), *flags]
        return cli.run(evaluate_likelihood.main, evaluate_likelihood.Args, argv)

    return run


def test_weights_of_any_name_are_evaluated_into_a_folder_of_their_own(evaluate, own_root):
    for _ in range(2):
        assert evaluate("diffusion-a.pt", "diffusion-b.pt", "gpt-mine.pt") == 0
    assert len(list((own_root / "likelihood_reports").iterdir())) == 2
    assert not (own_root / "results").exists()
    (found, _) = (json.loads(path.read_text()) for path in own_root.glob("likelihood_reports/*/likelihood.json"))
    weights = [(row["module"], Path(row["weights"]).name) for row in found["rows"]]
    expected = [("diffusion", "diffusion-a.pt"), ("diffusion", "diffusion-b.pt"), ("gpt", "gpt-mine.pt")]
    assert list(dict.fromkeys(weights)) == expected
    assert [row["strategy"] for row in found["paths"]] == ["left", "spacing=5", "left", "spacing=5", "left"]


def test_models_of_another_text_are_refused_before_anything_is_written(evaluate, own_root, capsys):
    (own_root / "other.txt").write_text("0123456789" * 900)
    assert evaluate("gpt-mine.pt", flags=("--data", str(own_root / "other.txt"))) == 2
    assert "characters that the model does not know: '01" in capsys.readouterr().err
    assert not (own_root / "likelihood_reports").exists()


@pytest.mark.parametrize("name", ["gpt-mine.pt", "diffusion-mine.pt"])
def test_a_text_of_some_of_the_characters_that_a_model_knows_is_evaluated(name, evaluate, own_root):
    """In the model's alphabet: a letter more, in the part of the text that is not read, changes nothing."""
    words, figures = " ".join("bcdfghij"[i % 5 : i % 5 + 4] for i in range(900)), []
    for number, start in enumerate(["bbbb", "abz\n"]):
        (own_root / "other.txt").write_text(start + words)
        flags = ["--most", "2", "--windows", "2", "--strategies", "left", "--output-dir", str(own_root / str(number))]
        assert evaluate(name, flags=("--data", str(own_root / "other.txt"), *flags)) == 0
        found = json.loads((own_root / str(number) / "likelihood.json").read_text())
        figures.append([row["nats"] for row in found["rows"] + found["paths"]])
    assert figures[0] == figures[1]


def test_a_file_in_the_place_of_the_folder_is_refused_before_anything_is_measured(evaluate, own_root, capsys):
    (own_root / "file").write_text("not a folder")
    assert evaluate("gpt-mine.pt", flags=("--output-dir", str(own_root / "file"))) == 2
    (own_root / "likelihood.json").mkdir()
    assert evaluate("gpt-mine.pt", flags=("--output-dir", str(own_root))) == 2
    assert not capsys.readouterr().out  # no table


@pytest.mark.parametrize("flag", ["--windows", "--most", "--repeats"])
def test_sizes_of_an_evaluation_have_limits(evaluate, capsys, flag):
    assert evaluate("gpt-mine.pt", flags=(flag, "99999999999")) == 2
    assert "must lie in 1.." in "".join(capsys.readouterr())


def test_calibration_finds_the_temperature_of_the_text():
    """A model whose logits are 1.3 times what the text was drawn from: calibrated, it is that model again."""
    model, rng = gpt.Model(Config(vocab_size=5, block_size=32, n_layer=1, n_head=2, n_embd=16)), torch.Generator()
    model.lm_head.weight.data = torch.randn(model.lm_head.weight.shape, generator=rng.manual_seed(0))
    right, idx = model.lm_head.weight.detach().clone(), torch.zeros(64, 33, dtype=torch.long)
    with torch.no_grad():
        for n in range(32):
            probs = model(idx[:, : n + 1])[:, -1].softmax(-1)
            idx[:, n + 1 :] = probs.multinomial(1, generator=rng)
        model.lm_head.weight *= 1.3
    before = gpt.loss(model, idx, model.config, None)[0]
    temp, loss = likelihood.calibrate(model, lambda: gpt.loss(model, idx, model.config, None)[0].item())
    assert temp == pytest.approx(1.3, abs=0.11) and loss < before
    assert torch.allclose(model.lm_head.weight * temp, right * 1.3)


@pytest.mark.parametrize(("best", "found"), [(0.2, 0.8), (0.85, 0.85), (1.55, 1.55), (9.0, 1.6)])
def test_calibration_stays_within_its_limits(best, found):
    model = gpt.Model(Config(vocab_size=5, block_size=8, n_layer=1, n_head=2, n_embd=16))
    torch.nn.init.ones_(model.lm_head.weight)
    temp, loss = likelihood.calibrate(model, lambda: (model.lm_head.weight - 1 / best).abs().mean().item())
    assert temp == found and loss == pytest.approx(abs(1 / found - 1 / best), abs=1e-6)
    assert torch.allclose(model.lm_head.weight, torch.tensor(1 / found))


def test_calibration_leaves_the_flow_alone():
    """It is fitted to plain masks, which flow_head does not read."""
    model = diffusion_flow.Model(diffusion_flow.Config(vocab_size=5, block_size=8, n_layer=1, n_head=2, n_embd=16))
    for head in (model.lm_head, model.flow_head):
        head.weight.data.fill_(1.2)
    assert likelihood.calibrate(model, lambda: (model.lm_head.weight - 1).abs().sum().item())[0] == 1.2
    assert (model.lm_head.weight == 1).all() and (model.flow_head.weight == torch.tensor(1.2)).all()
