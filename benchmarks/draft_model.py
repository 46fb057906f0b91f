"""Speculative decoding: an n-gram model proposes characters, one cached forward pass of GPT verifies them all.

A draft is accepted with probability min(1, p / q), p being GPT's probability and q the draft model's; in place of the first
rejected one, a character is drawn from max(0, p - q): the text is distributed as GPT's own (arXiv 2211.17192, 2302.01318).
No training, no loss: what any parallel method has to beat.
"""

from collections import Counter, defaultdict

import numpy as np
import torch
from torch.nn import functional as F

from lab.cli import check
from lab.decoding.canvas import Frame
from lab.decoding.sampling import choose_tokens, probabilities, uniforms
from lab.model.backbone import Cache


class NGrams:
    """Interpolated n-grams with absolute discounting (Ney, Essen and Kneser 1994), counted in a text.

    ids: (n,) tokens below vocab_size; order: characters in the longest n-gram, at least 2; discount: taken off each count.
    """

    def __init__(self, ids, vocab_size, order=5, discount=0.75):
        self.vocab_size = vocab_size
        self.order = order
        self.discount = discount
        self.counts = defaultdict(Counter)  # context, a tuple of tokens -> {token: how often it follows}
        self.known = {}  # (context, temperature) -> what `tempered` returns
        ids = ids.tolist()
        for n in range(order):
            for i in range(n, len(ids)):
                self.counts[tuple(ids[i - n : i])][ids[i]] += 1

    def probs(self, context):
        """Probabilities (V,) of the token that follows a context."""
        uniform = np.full(self.vocab_size, 1 / self.vocab_size)
        shorter = self.probs(context[1:]) if context else uniform
        if context not in self.counts:
            return shorter
        followers = self.counts[context]
        counts = np.zeros(self.vocab_size)
        counts[list(followers)] = list(followers.values())
        reserved = self.discount * len(followers)
        return (np.maximum(counts - self.discount, 0) + reserved * shorter) / counts.sum()

    def tempered(self, context, temp):
        """The same at a temperature, and its cumulative sums."""
        key = context, temp
        if key not in self.known:
            probs = probabilities(torch.from_numpy(self.probs(context)).log(), temp)
            self.known[key] = probs, probs.cumsum(0).numpy()
        return self.known[key]

    def propose(self, texts, u, temp):
        """Continue texts, lists of tokens, by random numbers u (B, K) -> drafts (B, K), what they are drawn from (B, K, V)."""
        drawn_from = []
        for text, shares in zip(texts, u.tolist(), strict=True):
            for share in shares:
                context = tuple(text[1 - self.order :])
                probs, cumulative = self.tempered(context, temp)
                token = int(cumulative.searchsorted(share, "right"))
                text.append(min(token, self.vocab_size - 1))
                drawn_from.append(probs)
        K = u.size(1)
        drafts = torch.tensor([text[-K:] for text in texts])
        return drafts, torch.stack(drawn_from).view(*u.shape, -1)


@torch.inference_mode()
def generate(model, canvas, decoding, rngs, ngrams, drafts):
    """As gpt.generate, with so many characters proposed for each forward pass.

    Raises UserError on a masked span, a long text, or a top_k.
    """
    idx = canvas.idx
    known = canvas.prompt_lengths()
    B, L = idx.shape
    K = drafts
    size = model.config.block_size
    check(decoding.top_k is None, "the draft model draws from all characters: no top_k")
    check(L <= size, f"the draft model writes at most {size} characters with the prompt, not {L}")
    weight = model.lm_head.weight
    cache = Cache(model.config, B, like=weight)
    rows = torch.arange(B)[:, None]
    while (known < L).any():
        u = uniforms(2 * K + 1, rngs, known < L)  # to propose K, to verify K, and for the token after them
        texts = [text[:n].tolist() for text, n in zip(idx, known, strict=True)]
        proposed, q = ngrams.propose(texts, u[:, :K], decoding.temp)
        columns = known[:, None] + torch.arange(K + 1)  # (B, K + 1)
        guess = F.pad(idx, (0, K + 1)).scatter(1, columns[:, :K], proposed)
        first = int(known.min())
        last = min(L - 1, int(known.max()) + K)
        x = cache.next_input(guess, first, last)
        logits = model(x.to(weight.device), cache).cpu()
        logits = logits[:, first - 1 - cache.length :]  # those of position `first` and after it
        offsets = (columns - first).clamp(max=logits.size(1) - 1)
        p = probabilities(logits[rows, offsets], decoding.temp)  # (B, K + 1, V)
        accepted, tokens = verify(p, q, proposed, u[:, K:])
        known = (known + accepted + 1).clamp(max=L)
        idx = guess.scatter(1, columns, tokens)[:, :L]
        masked = torch.arange(L) >= known[:, None]
        no_drafts = torch.zeros_like(masked)
        yield Frame(idx, masked, no_drafts, columns.clamp(max=L - 1), p, x.size(1) / size)


def verify(p, q, drafts, u):
    """Accept drafts up to the first rejected one -> how many (B,), and the drafts with a new token after those (B, K + 1).

    p: (B, K + 1, V) GPT's probabilities; q: (B, K, V) what the drafts (B, K) were drawn from; u: (B, K + 1) random numbers.
    """
    B, K = drafts.shape
    p_draft = p[:, :K].gather(-1, drafts[..., None])[..., 0]  # (B, K)
    q_draft = q.gather(-1, drafts[..., None])[..., 0]
    is_accepted = u[:, :K] < p_draft / q_draft
    accepted = is_accepted.int().cumprod(1).sum(1)
    q = F.pad(q, (0, 0, 0, 1))  # after K accepted drafts the new token is drawn from p
    at_rejected = torch.arange(B), accepted
    rest = (p[at_rejected] - q[at_rejected]).clamp(min=0)  # (B, V)
    token = choose_tokens(rest[:, None], None, u[:, K:])
    return accepted, F.pad(drafts, (0, 1)).scatter(1, accepted[:, None], token)
