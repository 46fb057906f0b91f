"""Speculative decoding: an n-gram model proposes characters, one cached forward pass of GPT verifies them all.

A draft is accepted with probability min(1, p / q), p being GPT's probability and q the draft model's; in place of the first
rejected one, a character is drawn from max(0, p - q): the text is distributed as GPT's own (arXiv 2211.17192, 2302.01318).
No training, no loss: what any parallel method has to beat.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from lab.backbone import Cache
from lab.canvas import Frame
from lab.cli import check
from lab.sampling import choose_tokens, probabilities, uniforms


class NGrams:
    """Interpolated n-grams with absolute discounting (Ney, Essen and Kneser 1994), counted in a text.

    ids: (n,) tokens below vocab_size; order: characters in the longest n-gram, at least 2; discount: taken off each count.
    """

    def __init__(self, ids, vocab_size, order=5, discount=0.75):
        self.vocab_size, self.order, self.discount = vocab_size, order, discount
        self.counts = defaultdict(Counter)  # context, a tuple of tokens -> {token: how often it follows}
        self.known = {}  # (context, temperature) -> what `tempered` returns
        ids = ids.tolist()
        for n in range(order):
            for i in range(n, len(ids)):
                self.counts[tuple(ids[i - n : i])][ids[i]] += 1

    def probs(self, context):
        """Probabilities (V,) of the token that follows a context."""
        shorter = self.probs(context[1:]) if context else np.full(self.vocab_size, 1 / self.vocab_size)
        if context not in self.counts:
            return shorter
        followers = self.counts[context]
        counts = np.zeros(self.vocab_size)
        counts[list(followers)] = list(followers.values())
        reserved = self.discount * len(followers)
        return (np.maximum(counts - self.discount, 0) + reserved * shorter) / counts.sum()

    def tempered(self, context, temp):
        """The same at a temperature, and its cumulative sums."""
        if (context, temp) not in self.known:
            probs = probabilities(torch.from_numpy(self.probs(context)).log(), temp)
            self.known[context, temp] = probs, probs.cumsum(0).numpy()
        return self.known[context, temp]

    def propose(self, texts, u, temp):
        """Continue texts, lists of tokens, by random numbers u (B, K) -> drafts (B, K), what they are drawn from (B, K, V)."""
        (B, K), drawn_from = u.shape, []
        for text, shares in zip(texts, u.tolist(), strict=True):
            for share in shares:
                probs, cumulative = self.tempered(tuple(text[1 - self.order :]), temp)
                text.append(min(int(cumulative.searchsorted(share, "right")), self.vocab_size - 1))
                drawn_from.append(probs)
        return torch.tensor([text[-K:] for text in texts]), torch.stack(drawn_from).view(B, K, -1)


@dataclass(frozen=True)
class DraftModel:
    """A sampler of GPT's texts that takes several characters from a forward pass."""

    ngrams: NGrams
    drafts: int  # K, characters proposed for each pass

    @torch.inference_mode()
    def generate(self, model, canvas, decoding, rngs):
        """As gpt.generate. Raises UserError on a masked span, a long text, or a top_k."""
        idx, known, weight = canvas.idx, canvas.prompt_lengths(), model.lm_head.weight
        B, L = idx.shape
        K, size = self.drafts, model.config.block_size
        check(decoding.top_k is None, "the draft model draws from all characters: no top_k")
        check(L <= size, f"the draft model writes at most {size} characters with the prompt, not {L}")
        cache = Cache(model.config, B, like=weight)
        while (known < L).any():
            u = uniforms(2 * K + 1, rngs, known < L)  # to propose K, to verify K, and for the token after them
            texts = [row[:n].tolist() for row, n in zip(idx, known, strict=True)]
            drafts, q = self.ngrams.propose(texts, u[:, :K], decoding.temp)
            columns = known[:, None] + torch.arange(K + 1)  # (B, K + 1)
            guess = F.pad(idx, (0, K + 1)).scatter(1, columns[:, :K], drafts)
            first = int(known.min())
            x = cache.unread(guess, first, min(L - 1, int(known.max()) + K))
            logits = model(x.to(weight.device), cache)[:, first - 1 - cache.length :].cpu()  # from position `first` on
            offsets = (columns - first).clamp(max=logits.size(1) - 1)
            p = probabilities(logits[torch.arange(B)[:, None], offsets], decoding.temp)  # (B, K + 1, V)
            accepted, tokens = verify(p, q, drafts, u[:, K:])
            known = (known + accepted + 1).clamp(max=L)
            idx = guess.scatter(1, columns, tokens)[:, :L]
            masked = torch.arange(L) >= known[:, None]
            yield Frame(idx, masked, torch.zeros_like(masked), columns.clamp(max=L - 1), p, x.size(1) / size)


def verify(p, q, drafts, u):
    """Accept drafts up to the first rejected one -> how many (B,), and the drafts with a new token after those (B, K + 1).

    p: (B, K + 1, V) GPT's probabilities; q: (B, K, V) what the drafts (B, K) were drawn from; u: (B, K + 1) random numbers.
    """
    K, rows = drafts.size(1), torch.arange(len(drafts))
    p_draft = p[:, :K].gather(-1, drafts[..., None])[..., 0]
    q_draft = q.gather(-1, drafts[..., None])[..., 0]
    accepted = (u[:, :K] < p_draft / q_draft).int().cumprod(1).sum(1)
    q = F.pad(q, (0, 0, 0, 1))  # after K accepted drafts the new token is drawn from p
    rest = (p[rows, accepted] - q[rows, accepted]).clamp(min=0)  # (B, V)
    token = choose_tokens(rest[:, None], None, u[:, K:])
    return accepted, F.pad(drafts, (0, 1)).scatter(1, accepted[:, None], token)
