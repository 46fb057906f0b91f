"""Gaps of unknown length: on a Markov chain whose every probability is known, and in the commands."""

import pytest
import torch
from torch import nn

import methods
from diffusion import METHOD as diffusion
from gpt import METHOD as gpt
from lab import command
from lab.cli import UserError
from lab.decoding import gaps
from lab.decoding.sampling import generator
from lab.measuring.trials import Engine
from lab.model.corpus import Alphabet

CHAIN = torch.tensor([[0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.7, 0.2, 0.1]], dtype=torch.float64)  # p(next | character)
POWERS = [torch.linalg.matrix_power(CHAIN, n) for n in range(40)]


class Markov(nn.Module):
    """The exact conditionals of the chain, given the nearest known characters on both sides (there is one on the left)."""

    def __init__(self, block_size=32):
        super().__init__()
        self.config = diffusion.Config(vocab_size=3, block_size=block_size, n_layer=1, n_head=2, n_embd=16)
        self.lm_head = nn.Linear(1, 1)

    def forward(self, idx):
        probs = torch.ones(*idx.shape, 3, dtype=torch.float64)
        for row, found in zip(idx.tolist(), probs, strict=True):
            known = [k for k, token in enumerate(row) if token < 3]
            for k in range(len(row)):
                left, right = [j for j in known if j < k], [j for j in known if j > k]
                if left:
                    found[k] = POWERS[k - left[-1]][row[left[-1]]]
                if right:
                    found[k] *= POWERS[right[0] - k][:, row[right[0]]]
        return probs.log()


TOY = Engine(diffusion, Markov(), Alphabet("abc"), "abc")


@pytest.mark.parametrize(("left", "right"), [("a", "a"), ("abcab", "ca"), ("abc", "c_ab"), ("cab", "_" * 3 + "b")])
def test_the_probabilities_of_the_lengths_are_those_of_the_chain(left, right):
    """p(length) is proportional to p(the right side's first known character, so many steps from the left's last)."""
    tokens = [torch.tensor(["abc_".index(character) for character in side]) for side in (left, right)]
    found = gaps.length_log_probs(TOY.model, *tokens, most=7).softmax(0)
    steps = len(right) - len(right.lstrip("_"))
    first, last = right.lstrip("_")[0], left[-1]
    exact = torch.stack([POWERS[n + 1 + steps]["abc".index(last), "abc".index(first)] for n in range(1, 8)])
    assert found.tolist() == pytest.approx((exact / exact.sum()).tolist(), rel=1e-6)


def test_the_likeliest_length_is_taken_and_others_are_drawn_as_often_as_they_are_probable():
    assert gaps.with_masks(TOY, "ab*ab", 7, 0, generator(1)) == "ab_ab"
    drawn = [len(gaps.with_masks(TOY, "ab*ab", 7, 1, generator(seed))) - 4 for seed in range(1000)]
    exact = torch.stack([POWERS[n + 1][1, 0] for n in range(1, 8)])
    seen = torch.tensor(drawn).bincount(minlength=8)[1:] / 1000
    assert seen.tolist() == pytest.approx((exact / exact.sum()).tolist(), abs=0.05)


def test_two_gaps_and_masks_of_known_length_in_one_text():
    assert gaps.with_masks(TOY, "ab*ab_*_b", 2, 0, generator(1)).startswith("ab_ab_")
    long = "abc" * 30
    found = gaps.with_masks(TOY, f"{long}*{long}", 4, 0, generator(1))
    assert found == f"{long}___{long}"


@pytest.mark.parametrize("text", ["ab*", f"ab*{16 * '_'}abc"])
def test_a_gap_whose_length_nothing_tells_may_have_any(text):
    drawn = [len(gaps.with_masks(TOY, text, 4, 1, generator(n))) - len(text) + 1 for n in range(400)]
    assert all(80 < drawn.count(length) < 120 for length in (1, 2, 3, 4))


def test_a_gap_has_a_character_at_least():
    with pytest.raises(UserError, match="longest_gap"):
        gaps.with_masks(TOY, "a*b", 0, 0, generator(1))


def test_where_the_sign_is_a_character_it_is_no_gap():
    engine = Engine(diffusion, Markov(), Alphabet("ab*"), "")
    assert gaps.with_masks(engine, "a*_b", 4, 0, generator(1)) == "a*_b"


def test_the_commands_fill_gaps(make_weights, capsys):
    weights = str(make_weights(diffusion))
    assert command.run(diffusion, ["--weights", weights, "--infill", "to * or n_t", "--longest-gap", "3"]) == 0
    out = capsys.readouterr().out.rstrip("\n")
    assert out.startswith("to ") and " or n" in out and 11 <= len(out) <= 13 and "*" not in out
    assert command.run(gpt, ["--weights", str(make_weights(gpt)), "--infill", "to * or"]) == 2
    assert "GPT cannot" in capsys.readouterr().err


def test_from_python_the_shipped_weights_find_a_word():
    text = methods.load("diffusion").write("First *:\nBefore we proceed any further, hear me speak.\n", 0)
    assert text.startswith("First ") and text.endswith(":\nBefore we proceed any further, hear me speak.\n")
