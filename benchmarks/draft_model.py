"""GPT with a draft model: n-grams propose characters, one pass of GPT checks them all, and its distribution is kept exactly.

Speculative sampling (arXiv 2211.17192, 2302.01318): a proposed character is kept with probability min(1, GPT / n-gram); in
place of the first that is not, one is drawn from what the n-grams had given too little. No training, no loss: what any
parallel method has to beat. The whole context is computed at each call (no cache), which full passes count.
"""

from dataclasses import dataclass

import numpy as np
import torch

from lab.canvas import Canvas, Frame
from lab.cli import check
from lab.sampling import categorical, probabilities, sample_tokens, uniforms


class NGrams:
    """Interpolated n-grams with absolute discounting (Ney, Essen and Kneser 1994), counted in a text.

    ids: (n,) tokens below vocab_size; order: characters in the longest n-gram; discount: taken off each count.
    """

    def __init__(self, ids, vocab_size, order=5, discount=0.75):
        self.vocab_size, self.order, self.discount = vocab_size, order, discount
        self.tables, codes = [], np.zeros(len(ids) + 1, dtype=np.int64)
        for n in range(1, order + 1):  # an n-gram is a number with n digits in base vocab_size
            codes = codes[:-1] * vocab_size + ids[n - 1 :]
            self.tables.append(np.unique(codes, return_counts=True))

    def probs(self, context):
        """Context (B, n) tokens, the newest last -> probabilities of the next one, (B, V) float64."""
        context = context.numpy()
        probs = np.full((len(context), self.vocab_size), 1 / self.vocab_size)
        codes = np.zeros(len(context), np.int64)
        for n, (keys, counts) in enumerate(self.tables[: context.shape[1] + 1]):
            if n > 0:
                codes = codes + context[:, -n] * self.vocab_size ** (n - 1)
            wanted = codes[:, None] * self.vocab_size + np.arange(self.vocab_size)
            at = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
            found = np.where(keys[at] == wanted, counts[at], 0)
            total = found.sum(1, keepdims=True)
            rest = self.discount * (found > 0).sum(1, keepdims=True) * probs
            probs = np.where(total > 0, (np.maximum(found - self.discount, 0) + rest) / np.maximum(total, 1), probs)
        return torch.from_numpy(probs)


@dataclass(frozen=True)
class DraftModel:
    """A sampler of GPT's texts with the frames of `generate`."""

    ngrams: NGrams
    drafts: int  # characters proposed at each call

    def propose(self, idx, known, decoding, rngs, rows):
        """Characters after the first `known` (B,) of idx (B, L) -> guessed idx and what they were drawn from, (B, K, V)."""
        idx, drawn_from, width = idx.clone(), [], self.ngrams.order - 1
        for n in range(self.drafts):
            at = known + n
            width = min(width, int(at.min()))
            context = idx.gather(1, at[:, None] - torch.arange(width, 0, -1))
            probs = probabilities(self.ngrams.probs(context).log(), decoding.temp)[:, None]  # (B, 1, V)
            idx.scatter_(1, at[:, None], categorical(probs, rngs, rows))
            drawn_from.append(probs)
        return idx, torch.cat(drawn_from, dim=1)

    @torch.no_grad()
    def generate(self, model, canvas, decoding, rngs):
        """As gpt.generate, several characters a pass. Raises UserError on a masked span, a long text, or a top_k."""
        idx, masked, size = canvas.idx, canvas.masked, model.config.block_size
        L, K = idx.size(1), self.drafts
        check(decoding.top_k is None, "the draft model draws from all characters: no top_k")
        check(L <= size, f"the draft model writes at most {size} characters with the prompt, not {L}")
        offsets = torch.arange(K + 1)
        while masked.any():
            known = Canvas(idx, masked).prompt_lengths()
            rows, columns = known < L, known[:, None] + offsets  # (B,), (B, K + 1)
            guess, drafted = self.propose(torch.nn.functional.pad(idx, (0, K + 1)), known, decoding, rngs, rows)
            seen = min(L, int(known.max()) + K)
            logits = model(guess[:, :seen].to(model.lm_head.weight.device))
            wanted = (columns - 1).clamp(max=seen - 1)[..., None].expand(-1, -1, logits.size(-1))
            probs = probabilities(logits.cpu().gather(1, wanted), decoding.temp)  # (B, K + 1, V)
            characters = guess.gather(1, columns)
            kept = self.keep(probs, drafted, characters, rngs, rows)  # (B,)
            at = at_rank(kept, probs.size(-1))
            rest = torch.nn.functional.pad(drafted, (0, 0, 0, 1)).gather(1, at)
            left = (probs.gather(1, at) - rest).clamp(min=0)
            last = sample_tokens(left, None, rngs, rows)  # (B, 1)
            characters = torch.where(offsets == kept[:, None], last, characters)
            row, rank = ((offsets <= kept[:, None]) & (columns < L)).nonzero(as_tuple=True)
            idx, masked = idx.clone(), masked.clone()
            idx[row, columns[row, rank]] = characters[row, rank]
            masked[row, columns[row, rank]] = False
            yield Frame(idx, masked, torch.zeros_like(masked), columns.clamp(max=L - 1), probs, seen / size)

    def keep(self, probs, drafted, characters, rngs, rows):
        """How many proposed characters stand, (B,): those before the first that is refused."""
        proposed = characters[:, : self.drafts, None]
        ratio = (probs[:, : self.drafts].gather(-1, proposed) / drafted.gather(-1, proposed))[..., 0]
        return (uniforms(self.drafts, rngs, rows) < ratio).int().cumprod(1).sum(1)


def at_rank(rank, characters):
    """An index (B, 1, V) that gathers one position of each row."""
    return rank[:, None, None].expand(-1, 1, characters)
