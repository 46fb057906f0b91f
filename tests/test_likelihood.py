"""Likelihoods, against sums made by hand and against the enumeration of every mask."""

import itertools

import pytest
import torch
from torch.nn import functional as F

import diffusion
import gpt
from lab import likelihood
from lab.backbone import Config
from lab.corpus import windows


def make_model(method, block_size=8):
    torch.manual_seed(0)
    model = method.Model(Config(n_letters=5, block_size=block_size, n_layer=1, n_head=2, n_embd=16)).eval()
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
    assert likelihood.next_character(model, held).mean().item() == pytest.approx(
        torch.stack(nll).mean().item(), rel=1e-5
    )


def test_sliding_windows_score_the_second_half_of_each():
    model, text = make_model(gpt), torch.randint(5, (41,), generator=torch.Generator().manual_seed(0))
    held = windows(text.numpy(), 9, every=4)
    expected = [F.cross_entropy(model(text[None, s : s + 8])[0, 4:], text[s + 5 : s + 9]) for s in range(0, 33, 4)]
    nll = likelihood.next_character_sliding(model, held)
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
    bound = likelihood.masked_bound(model, x, repeats=4000)
    assert bound.shape == (1,)
    assert bound.item() == pytest.approx(exact, rel=0.01)


def test_the_bound_is_the_same_twice():
    model, x = make_model(diffusion), torch.randint(5, (6, 8))
    assert torch.equal(likelihood.masked_bound(model, x), likelihood.masked_bound(model, x))
