"""Drawing tokens: in float64 on the CPU, each row from a generator of its own."""

import hashlib

import torch


def probabilities(logits, temp):
    """Logits (..., V) -> probabilities (..., V) in float64 on the CPU; temp 0 puts all on the likeliest token."""
    logits = logits.detach().to("cpu").double()
    if temp == 0:
        return torch.nn.functional.one_hot(logits.argmax(-1), logits.size(-1)).double()
    return torch.softmax((logits - logits.amax(-1, keepdim=True)) / temp, dim=-1)


def uniforms(width, rngs, rows):
    """Numbers from 0 .. 1, (B, width) float64: each row's from its own generator, and none where rows (B,) is False.

    So what a row draws does not depend on how long the others go on.
    """
    u = torch.zeros(len(rows), width, dtype=torch.float64)
    for b in rows.nonzero().flatten().tolist():
        u[b] = torch.rand(width, generator=rngs[b], dtype=torch.float64)
    return u


def categorical(probs, rngs, rows):
    """One draw from each distribution: probs (B, W, K), not necessarily normalised -> (B, W) indices.

    Inverse of the cumulative distribution in float64 on the CPU (low-precision noise silently lowers the
    temperature, arXiv 2409.02908). rows: as in `uniforms`.
    """
    u = uniforms(probs.size(1), rngs, rows)[..., None]  # (B, W, 1)
    cumulative = probs.cumsum(-1)
    below = cumulative <= u * cumulative[..., -1:]
    return below.sum(-1).clamp(max=probs.size(-1) - 1)


def sample_tokens(probs, top_k, rngs, rows):
    """One token at each position, from its top_k likeliest or from all (None): probs (B, W, V) -> (B, W) tokens."""
    V = probs.size(-1)
    top, tokens = probs.topk(min(top_k or V, V))  # (B, W, k)
    return tokens.gather(-1, categorical(top, rngs, rows)[..., None])[..., 0]


def generator(*parts):
    """A torch.Generator whose stream depends on every bit of the parts (numbers, bytes, texts).

    They are hashed, because torch's CPU generator keeps only the low 32 bits of its seed.
    """
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=4).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little"))
