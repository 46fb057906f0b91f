"""Speculative decoding: an n-gram model proposes characters, one cached forward pass verifies them all.

A draft is accepted with probability min(1, p / q), p being the model's probability and q the draft model's; in place of the
first rejected one, a character is drawn from max(0, p - q): the text is distributed as the model's own (arXiv 2211.17192,
2302.01318). No training, no loss. GPT with it is what any parallel method has to beat. Streams take drafts, too: each character
is drawn exactly, given what is in view; how far each stream has come, and so what is in view, depends on what was accepted.
"""

import functools
from collections import Counter, defaultdict

import numpy as np
import torch
from torch.nn import functional as F

from lab.cli import check
from lab.decoding.canvas import Frame
from lab.decoding.sampling import choose_tokens, probabilities, uniforms
from lab.model.backbone import View, empty_layers
from streams import Order, forward_pass, order_of

NEVER = 10**6  # the pass of what is not written
MOST = 20_000  # contexts whose probabilities are kept: .4 GB for 2,500 characters


class NGrams:
    """Interpolated n-grams with absolute discounting (Ney, Essen and Kneser 1994), counted in a text.

    ids: (n,) tokens below vocab_size; order: characters in the longest n-gram, at least 2; discount: taken off each count.
    """

    def __init__(self, ids, vocab_size, order=5, discount=0.75):
        self.vocab_size = vocab_size
        self.order = order
        self.discount = discount
        self.counts = defaultdict(Counter)  # context, a tuple of tokens -> {token: how often it follows}
        ids = ids.tolist()
        for n in range(order):
            for i in range(n, len(ids)):
                self.counts[tuple(ids[i - n : i])][ids[i]] += 1

    @functools.lru_cache(MOST)  # noqa: B019 (as long as the command)
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

    @functools.lru_cache(MOST)  # noqa: B019 (as long as the command)
    def tempered(self, context, temp):
        """The same at a temperature, and its cumulative sums."""
        probs = probabilities(torch.from_numpy(self.probs(context)).log(), temp)
        return probs, probs.cumsum(0).numpy()

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


def check_limits(decoding, length, size):
    """Raise UserError for what drafts are not made for: top_k, and texts of more characters than a window has."""
    check(decoding.top_k is None, "the draft model draws from all characters: no top_k")
    check(length <= size, f"the draft model writes at most {size} characters with the prompt, not {length}")


@torch.inference_mode()
def generate(model, canvas, decoding, rngs, ngrams, drafts):
    """As gpt.generate, with so many characters proposed for each forward pass.

    Raises UserError on a masked span, a long text, or a top_k.
    """
    idx = canvas.idx
    known = canvas.prompt_lengths()
    B, L = idx.shape
    K = drafts
    config = model.config
    check_limits(decoding, L, config.block_size)
    cache = empty_layers(config, B, L, like=model.lm_head.weight)
    computed = int(known.max()) + K  # the prompts with the first drafts
    while (known < L).any():
        u = uniforms(2 * K + 1, rngs, known < L)  # to propose K, to verify K, and for the token after them
        texts = [text[:n].tolist() for text, n in zip(idx, known, strict=True)]
        proposed, q = ngrams.propose(texts, u[:, :K], decoding.temp)
        ahead = known[:, None] + torch.arange(K + 1)  # (B, K + 1)
        guess = F.pad(idx, (0, K + 1)).scatter(1, ahead[:, :K], proposed)
        columns = (known[:, None] + torch.arange(K - computed, K)).clamp(0, L - 1)  # each row at its own place
        visible = torch.arange(L) <= columns[..., None]
        x = guess.gather(1, columns)
        logits = model(x, View(visible, config.conv_width - 1, 0, cache, columns))
        p = probabilities(logits[:, -K - 1 :], decoding.temp)  # (B, K + 1, V)
        accepted, tokens = verify(p, q, proposed, u[:, K:])
        known = (known + accepted + 1).clamp(max=L)
        idx = guess.scatter(1, ahead, tokens)[:, :L]
        masked = torch.arange(L) >= known[:, None]
        yield Frame(idx, masked, torch.zeros_like(masked), ahead.clamp(max=L - 1), p, computed / config.block_size)
        computed = K + 1


def check_prompts(masked):
    """Raise UserError unless texts, masked (B, L), are masked behind prompts of one length."""
    behind = torch.arange(masked.size(1)) >= (~masked[0]).sum()
    check((masked == behind).all(), "streams with a draft model go on from prompts of one length")


@torch.inference_mode()
def generate_streams(model, canvas, decoding, rngs, ngrams, drafts):
    """As streams.generate, with so many characters proposed for each stream in a pass.

    canvas: masked behind prompts of one length. A stream goes on by as many as it accepts; the others see them in the next
    pass. Raises UserError on any other canvas, a long text, or a top_k.
    """
    idx = canvas.idx
    masked = canvas.masked
    K = drafts
    V = model.config.vocab_size
    B, L = idx.shape
    size = model.config.block_size
    check_limits(decoding, L, size)
    check_prompts(masked)
    cache = empty_layers(model.config, B, L, like=model.lm_head.weight)
    passes, begins = order_of(~masked, decoding.streams)
    passes = passes.masked_fill(masked, NEVER)
    starts = begins[0, masked[0]].unique()
    H = len(starts)
    # from here on a row for each stream, those of one text together: (B * H, ...)
    row = torch.arange(B).repeat_interleave(H)
    of_rows = row[:, None].expand(-1, K + 1)
    at = starts.repeat(B)  # where each goes on
    stop = F.pad(starts[1:], (0, 1), value=L).repeat(B)
    left = F.pad(starts[1:], (1, 0)).repeat(B)  # the n-grams look back on the prompt, or on what the stream wrote
    for n in range(L):
        if not masked.any():
            return
        u = uniforms(H * (2 * K + 1), rngs, masked.any(1)).view(B * H, 2 * K + 1)
        texts = [idx[b, i:j].tolist() for b, i, j in zip(row, left, at, strict=True)]
        proposed, q = ngrams.propose(texts, u[:, :K], decoding.temp)
        columns = at[:, None] + torch.arange(K + 1)
        inside = columns < stop[:, None]
        drafted = of_rows[inside], columns[inside]
        guess = idx.index_put(drafted, F.pad(proposed, (0, 1))[inside])
        order = Order(passes.index_put(drafted, torch.tensor(n)), begins)
        due = order.passes.clamp(min=0) == n  # the known text with the first drafts
        computed, logits = forward_pass(model, F.pad(guess, (1, 0), value=V)[:, :-1], order, due, cache)
        probs = probabilities(logits, decoding.temp)
        p = probs.new_zeros(B, L + K + 1, V).scatter(1, computed[..., None].expand_as(probs), probs)[of_rows, columns]
        accepted, tokens = verify(p, q, proposed, u[:, K:])
        new = inside & (torch.arange(K + 1) <= accepted[:, None])
        written = of_rows[new], columns[new]
        idx = idx.index_put(written, tokens[new])
        passes = passes.index_put(written, torch.tensor(n))
        masked = masked.index_put(written, torch.tensor(False))
        at = at + new.sum(1)
        yield Frame(idx, masked, torch.zeros_like(masked), computed, probs, computed.size(1) / size)


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
