"""Sweeps over a written text: what they redraw, what they leave alone, what they cost, and what they converge to."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from diffusion import METHOD as diffusion
from diffusion_flow import METHOD as diffusion_flow
from lab.decoding.canvas import Canvas
from lab.decoding.revision import STRIDE
from lab.measuring import trials
from lab.model.corpus import Alphabet

ALPHABET = Alphabet("abcde")
MASKED = pytest.mark.parametrize("method", [diffusion, diffusion_flow], ids=lambda method: method.name)


def engine_of(method, block_size=32):
    torch.manual_seed(0)
    config = method.Config(vocab_size=5, block_size=block_size, n_layer=1, n_head=2, n_embd=16, conv_width=3)
    model = method.Model(config).eval()
    for weight in model.parameters():
        nn.init.normal_(weight, std=0.5)
    return trials.Engine(method, model, ALPHABET, "")


def canvas_of(*texts):
    idx, masked = zip(*map(ALPHABET.encode_masked, texts), strict=True)
    return Canvas(torch.stack(idx), torch.stack(masked))


@MASKED
def test_without_sweeps_nothing_changes_and_with_them_the_same_text_is_gone_over(method):
    """The calls of the first writing are the same; each sweep adds nine, each of which redraws every ninth position alone."""
    engine, canvas = engine_of(method), canvas_of("a" + "_" * 27)
    plain = list(trials.frames(engine, trials.Trial(canvas, replace(method.decoding, temp=1.0), (1,))))
    revised = list(trials.frames(engine, trials.Trial(canvas, replace(method.decoding, temp=1.0, revise=2), (1,))))
    assert len(revised) == len(plain) + 2 * STRIDE
    for (before, _), (after, _) in zip(plain, revised, strict=False):
        assert before.idx.equal(after.idx) and before.probs.equal(after.probs)
    assert not revised[-1][0].masked.any() and not revised[-1][0].idx.equal(plain[-1][0].idx)
    for n, ((before, _), (after, _)) in enumerate(zip(revised[len(plain) - 1 :], revised[len(plain) :], strict=False)):
        again = before.masked[0].nonzero().flatten()
        assert (again % STRIDE == n % STRIDE).all() and len(again) >= 3
        kept = ~before.masked
        assert after.idx[kept].equal(before.idx[kept]) and after.idx[0, 0] == 0


@MASKED
def test_a_text_does_not_depend_on_those_beside_it_and_every_call_is_counted(method):
    engine, decoding = engine_of(method), replace(method.decoding, temp=1.0, spacing=2, revise=1)
    texts = ["a" + "_" * 59, "ab___" * 12, "_" + "b" * 59]
    together = trials.run(engine, trials.Trial(canvas_of(*texts), decoding, (1, 2, 3)))
    for seed, text, sample in zip((1, 2, 3), texts, together, strict=True):
        (alone,) = trials.run(engine, trials.Trial(canvas_of(text), decoding, (seed,)))
        assert (alone.text, alone.nfe) == (sample.text, sample.nfe)
        assert all(sign in ("_", found) for sign, found in zip(text, alone.text, strict=True))
    assert together[2].nfe == 2  # one character: written, and redrawn once


@pytest.mark.parametrize(
    "settings", [{"steps": 5}, {"confidence_threshold": 0.9, "draft_threshold": 0.3, "spacing": 0}]
)
def test_whatever_way_it_was_written_a_sweep_takes_nine_calls(settings):
    engine, canvas = engine_of(diffusion), canvas_of("a" + "_" * 27)
    plain, revised = (
        trials.run(engine, trials.Trial(canvas, diffusion.Decoding(**settings, revise=n), (1,)))[0] for n in (0, 1)
    )
    assert revised.nfe == plain.nfe + STRIDE and len(revised.text) == 28


class Neighbours(nn.Module):
    """The exact conditionals of a Markov chain of two characters that stay the same with probability .9, at both sides."""

    def __init__(self):
        super().__init__()
        self.config = diffusion.Config(vocab_size=2, block_size=64, n_layer=1, n_head=2, n_embd=16)
        self.lm_head = nn.Linear(1, 1)

    def forward(self, idx):
        same = torch.tensor([[0.9, 0.1], [0.1, 0.9], [0.5, 0.5]])  # given a neighbour: a, b or masked
        edge = torch.full((len(idx), 1), 2)
        left, right = torch.cat((edge, idx[:, :-1]), 1), torch.cat((idx[:, 1:], edge), 1)
        return (same[left] * same[right]).log()


def test_sweeps_mend_what_was_drawn_blindly():
    """All at once characters are drawn independently, half of the neighbours differing; sweeps bring the chain's tenth."""
    engine = trials.Engine(diffusion, Neighbours(), Alphabet("ab"), "")
    idx, masked = engine.alphabet.encode_masked("_" * 60)
    shares = []
    for revise in (0, 30):
        decoding = diffusion.Decoding(temp=1.0, cool_to=1.0, spacing=0, revise=revise)
        found = trials.run(engine, trials.Trial(Canvas(idx, masked).repeat(40), decoding, tuple(range(40))))
        shares.append(sum(a != b for s in found for a, b in zip(s.text, s.text[1:], strict=False)) / 40 / 59)
    assert shares == [pytest.approx(0.5, abs=0.05), pytest.approx(0.1, abs=0.03)]
