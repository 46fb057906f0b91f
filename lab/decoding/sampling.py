"""Drawing tokens: in float64 on the CPU, each row from a generator of its own."""

import hashlib

import torch


def probabilities(logits, temp, evidence=0):
    """Logits (..., V) -> probabilities (..., V) in float64 on the CPU; temp 0 puts all on the likeliest token.

    temp: a number, or (B, 1, 1), all of them 0 or none; evidence: (..., V), logits that no temperature changes.
    """
    logits = logits.detach().to("cpu").double()
    temp = torch.as_tensor(temp, dtype=torch.float64)
    if not temp.any():
        likeliest = logits.argmax(-1)
        return torch.nn.functional.one_hot(likeliest, logits.size(-1)).double()
    shifted = logits - logits.amax(-1, keepdim=True)
    return torch.softmax(shifted / temp + evidence, dim=-1)


def uniforms(width, rngs, rows):
    """Numbers from 0 .. 1, (B, width) float64: each row's from its own generator, and none where rows (B,) is False.

    So what a row draws does not depend on how long the others go on.
    """
    u = torch.zeros(len(rows), width, dtype=torch.float64)
    for b in rows.nonzero().flatten().tolist():
        u[b] = torch.rand(width, generator=rngs[b], dtype=torch.float64)
    return u


def choose_tokens(probs, top_k, u):
    """The tokens that random numbers stand for, from the top_k likeliest of each position or from all (None).

    probs: (B, W, V), not necessarily normalised; u: (B, W), each from 0 .. 1 -> (B, W) tokens. Inverse of the cumulative
    distribution in float64 on the CPU (low-precision noise silently lowers the temperature, arXiv 2409.02908).
    """
    V = probs.size(-1)
    top, tokens = probs.topk(min(top_k or V, V))  # (B, W, k)
    cumulative = top.cumsum(-1)
    rank = torch.searchsorted(cumulative, u[..., None] * cumulative[..., -1:], right=True)
    return tokens.gather(-1, rank.clamp(max=top.size(-1) - 1))[..., 0]


def sample_tokens(probs, top_k, rngs, rows):
    """One token at each position: probs (B, W, V) -> (B, W); top_k as in `choose_tokens`, rngs and rows as in `uniforms`."""
    return choose_tokens(probs, top_k, uniforms(probs.size(1), rngs, rows))


def seed_of(*parts):
    """A seed that depends on every bit of the parts (numbers, bytes, texts): neighbouring numbers have unrelated streams.

    They are hashed, because torch's CPU generator keeps only the low 32 bits of its seed.
    """
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=4).digest(), "little")


def generator(*parts):
    """A torch.Generator with the seed of these parts."""
    return torch.Generator().manual_seed(seed_of(*parts))
