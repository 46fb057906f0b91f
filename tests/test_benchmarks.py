"""The benchmarks' own logic; what they measure is not tested here."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

import diffusion
import diffusion_flow
import gpt
from benchmarks import controls, frontier
from benchmarks.draft_model import DraftModel, NGrams
from benchmarks.first_minutes import Theirs
from lab.backbone import Config
from lab.canvas import Canvas
from lab.cli import UserError
from lab.trials import Writer

IDS = np.random.default_rng(0).integers(0, 3, 400)


def make_gpt(vocab_size=3, seed=0):
    torch.manual_seed(seed)
    model = gpt.Model(Config(vocab_size=vocab_size, block_size=16, n_layer=1, n_head=1, n_embd=8)).eval()
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
    np.testing.assert_allclose(ngrams.probs(torch.tensor([[0]]))[0], bigram)
    np.testing.assert_allclose(ngrams.probs(torch.zeros(1, 0, dtype=torch.long))[0], unigram)
    np.testing.assert_allclose(ngrams.probs(torch.tensor([[2]]))[0], unigram)  # 2 never occurred


def test_ngram_probabilities_sum_to_one():
    context = torch.tensor(list(itertools.product(range(3), repeat=4)))
    torch.testing.assert_close(NGrams(IDS, 3).probs(context).sum(1), torch.ones(81, dtype=torch.float64))


@pytest.mark.parametrize("temp", [1.0, 0.5])
def test_the_drafter_keeps_gpts_distribution(temp):
    """Four thousand texts of three characters, against their exact probabilities under GPT."""
    model, rows = make_gpt(), 4000
    draft_model = DraftModel(
        NGrams(IDS[:60] % 2, 3), drafts=2
    )  # a poor draft model, which never proposes character 2 often
    canvas = Canvas.after(torch.tensor([0, 1]), 3, rows)
    idx = last(draft_model.generate(model, canvas, gpt.Decoding(temp, None), generators(rows)))
    texts = torch.tensor([(0, 1, *rest) for rest in itertools.product(range(3), repeat=3)])
    log_p = torch.log_softmax(model(texts[:, :-1]).double() / temp, -1)
    exact = log_p.gather(-1, texts[:, 1:, None])[:, 1:, 0].sum(1).exp()
    found = (idx[:, None] == texts).all(-1).double().mean(0)
    assert exact.sum().item() == pytest.approx(1)
    assert ((found - exact).abs() < 4.5 * (exact * (1 - exact) / rows).sqrt()).all()


def test_at_temperature_zero_the_drafter_writes_gpts_text_in_fewer_calls():
    model, canvas, decoding = make_gpt(), Canvas.after(torch.tensor([0, 1]), 14), gpt.Decoding(0, None)
    greedy = list(gpt.generate(model, canvas, decoding, generators(1)))
    own = NGrams(greedy[-1].idx[0].repeat(20).numpy(), 3)
    drafted = list(DraftModel(own, drafts=4).generate(model, canvas, decoding, generators(1)))
    assert drafted[-1].idx.equal(greedy[-1].idx)
    assert len(drafted) < len(greedy)


def test_the_drafters_frames_settle_only_masked_characters():
    model, canvas = make_gpt(), Canvas.after(torch.tensor([0, 1]), 14, rows=3)
    before = canvas
    for frame in DraftModel(NGrams(IDS, 3), 3).generate(model, canvas, gpt.Decoding(1.0, None), generators(3)):
        assert (frame.idx == before.idx)[~before.masked].all()
        assert (before.masked & ~frame.masked).any()
        before = Canvas(frame.idx, frame.masked)
    assert not before.masked.any()


@pytest.mark.parametrize("case", ["spacing", "top_k", "long", "empty"])
def test_the_drafter_refuses(case):
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
        list(DraftModel(NGrams(IDS, 3), 3).generate(make_gpt(), canvas, decoding, generators(1)))


def test_their_model_is_read_in_our_characters():
    """Their first character is the mask, ours the last; without a mask the characters are the same."""

    class Echo(torch.nn.Module):
        def forward(self, idx):
            return torch.nn.functional.one_hot(idx, 4), None

    ours = torch.tensor([[0, 1, 2, 3]])  # 3: masked
    assert Theirs(Echo(), 3, True)(ours).argmax(-1).tolist() == [[0, 1, 2, 0]]
    assert Theirs(Echo(), 3, True)(ours)[0, 3].tolist() == [0, 0, 0]
    assert Theirs(Echo(), 4, False)(ours).argmax(-1).tolist() == [[0, 1, 2, 3]]


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


def test_differences_between_entrants_are_paired():
    """An configuration whose resamples go up and down with GPT's, .5 above it: no spread in the difference."""
    gpt_curve, other = curve([(0.2, 8.0, 1.0), (0.5, 9.0, 2.0)], 50), curve([(0.2, 8.0, 1.5), (0.5, 9.0, 2.5)], 50)
    noise = np.r_[0, np.random.default_rng(0).normal(size=50)]
    for _, found in (*gpt_curve, *other):
        found["generative_nll"] = found["generative_nll"] + noise
    rows = frontier.compare(
        {"GPT": gpt_curve, "other": other, "beyond": curve([(1.0, 5.0, 1.0), (2.0, 6.0, 1.0)])}, [8.5], 32
    )
    assert [row["name"] for row in rows] == ["GPT", "other"]
    assert rows[1]["minus GPT"] == pytest.approx([0.5, 0.5, 0.5])
    assert rows[1]["generative_nll_low"] < 2 < rows[1]["generative_nll_high"]


def make_masked(method, change=lambda writer: writer):
    """A writer of random weights, changed."""
    torch.manual_seed(0)
    model = method.Model(type(method.Args().config)(vocab_size=5, block_size=32, n_layer=1, n_head=1, n_embd=8)).eval()
    for weights in model.parameters():
        torch.nn.init.normal_(weights)
    return change(Writer(method.NAME, model, method.generate, alphabet=None, opening=""))


def taken_back(writer):
    """How often a position is masked again while a text of 200 characters is written."""
    canvas = Canvas.after(torch.tensor([0, 1]), 200).repeat(1)
    decoding = diffusion.Decoding(2.0, None, 0.95, draft_threshold=0.5, confirm_threshold=0.8)
    frames = list(writer.generate(writer.model, canvas, decoding, generators(1)))
    assert not frames[-1].masked.any() and any(frame.draft.any() for frame in frames)
    return sum((frame.masked & ~before.masked).sum().item() for before, frame in itertools.pairwise(frames))


def test_a_replaced_draft_is_never_masked_again():
    assert taken_back(make_masked(diffusion)) > 0
    assert taken_back(make_masked(diffusion, controls.replacing)) == 0
    assert taken_back(make_masked(diffusion)) > 0  # the change has gone with its writer


def evidence(writer, seed):
    """What the second call is told of the undecided positions: one row of numbers each, and the ratios."""
    seen = []
    writer.model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs))
    canvas, decoding = (
        Canvas.after(torch.tensor([0, 1]), 30).repeat(1),
        diffusion_flow.Decoding(1.0, None, 0.0, spacing=8),
    )
    list(writer.generate(writer.model, canvas, decoding, [torch.Generator().manual_seed(seed)]))
    _, y, snr = seen[1]
    assert (snr > 0).sum() > 5
    return y[0], snr[0]


def test_shuffled_evidence_is_the_same_elsewhere():
    y, snr = evidence(make_masked(diffusion_flow), seed=0)
    other, other_snr = evidence(make_masked(diffusion_flow, controls.shuffled), seed=0)
    assert not torch.equal(y, other) and torch.equal(snr > 0, other_snr > 0)
    assert torch.equal(snr.sort().values, other_snr.sort().values)
    rows = [torch.cat((a, b[:, None]), dim=1).tolist() for a, b in ((y, snr), (other, other_snr))]
    assert sorted(rows[0]) == sorted(rows[1])


def test_noiseless_evidence_depends_on_no_draw():
    for change, same in ((lambda writer: writer, False), (controls.noiseless, True)):
        (y, snr), (other, other_snr) = (evidence(make_masked(diffusion_flow, change), seed) for seed in (0, 1))
        assert torch.equal(y, other) == same and torch.equal(snr, other_snr)
