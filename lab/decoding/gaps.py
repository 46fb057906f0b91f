"""Gaps of unknown length: how many characters are missing follows from what stands on the right.

By Bayes' rule, all lengths being equally likely beforehand, p(length | left, right) is proportional to p(right | left, length),
which the chain rule gives: each character of the right side given those before it, with so many masks between the sides. The
probability of the filling itself would not do: it falls with every character, and says nothing of what the gap leads to.
"""

import torch

from lab.cli import check
from lab.decoding.sampling import choose_tokens, probabilities

GAP = "*"  # the sign of a gap, unless the model knows it as a character
SCORED = 16  # characters of the right side that tell the length, a pass for each


@torch.no_grad()
def length_log_probs(model, left, right, most):
    """Log-probabilities, up to a constant, of a gap's lengths 1 .. most: (most,) float64.

    left: (P,), right: (R,) tokens, vocab_size where not known. A pass for each known one of the first SCORED of the right.
    """
    hidden, device = model.config.vocab_size, model.lm_head.weight.device
    right = right[:SCORED]
    left = left[max(0, len(left) + len(right) + most - model.config.block_size) :]
    lengths, log_probs = torch.arange(1, most + 1), torch.zeros(most, dtype=torch.float64)
    rows = torch.full((most, len(left) + most + len(right)), hidden)
    rows[:, : len(left)] = left
    for k, token in enumerate(right.tolist()):
        if token != hidden:
            places = torch.arange(most), len(left) + lengths + k
            log_probs += probabilities(model(rows.to(device)).cpu()[places], temp=1)[:, token].log()
            rows[places] = token
    return log_probs


def has_gap(text, alphabet):
    """Whether a text has a GAP sign that is none of its characters."""
    return GAP in text and GAP not in alphabet.characters


def check_gap(method, most, size):
    """Raise UserError where a method cannot tell the length of a gap, or of one so long in a window of `size`."""
    check(method.is_masked, f"{GAP}: {method.title} cannot tell the length of a gap; use diffusion.py")
    check(1 <= most <= size - SCORED, f"longest_gap must lie in 1..{size - SCORED}, not {most}")


def with_masks(engine, text, most, temp, rng):
    """A text in which each GAP sign has become masks, 1 .. most of them: the likeliest number, or at temp above 0 one drawn.

    From left to right: of two gaps the first is told by the text up to the second. Where nothing known follows, all lengths are
    as likely. Raises UserError.
    """
    alphabet, size = engine.alphabet, engine.model.config.block_size
    while has_gap(text, alphabet):
        left, right = text.split(GAP, 1)
        right_known = right.partition(GAP)[0]
        check_gap(engine.method, most, size)
        idx, masked = alphabet.encode_masked(left + alphabet.mask + right_known)
        idx = idx.masked_fill(masked, len(alphabet))
        log_probs = length_log_probs(engine.model, idx[: len(left)], idx[len(left) + 1 :], most)
        u = torch.rand(1, 1, generator=rng, dtype=torch.float64)
        length = 1 + int(choose_tokens(probabilities(log_probs, temp)[None, None], None, u))
        text = left + alphabet.mask * length + right
    return text
