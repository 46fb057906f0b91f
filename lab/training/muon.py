"""Muon, the optimiser of the matrices inside the blocks."""

import torch


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal by Newton-Schulz steps (Jordan 2024, kellerjordan.github.io/posts/muon).

    torch.optim.Muon does the same one matrix at a time in bfloat16, which costs three times as much on a CPU without
    bfloat16 units; here matrices of one shape go through together, in float32.
    """

    def __init__(self, matrices, lr, momentum=0.95):
        same = {}  # shape -> matrices
        for p in matrices:
            same.setdefault(p.shape, []).append(p)
        super().__init__([{"params": group} for group in same.values()], {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            matrices = group["params"]
            grads = torch.stack([p.grad for p in matrices])
            past = self.state[matrices[0]].setdefault("momentum", torch.zeros_like(grads))  # of all of the group
            past.lerp_(grads, 1 - group["momentum"])
            updates = orthogonal(grads.lerp(past, group["momentum"]))  # Nesterov
            rows, columns = matrices[0].shape
            scale = max(1, rows / columns) ** 0.5
            for p, update in zip(matrices, updates, strict=True):
                p.add_(update, alpha=-group["lr"] * scale)


def orthogonal(x, steps=5):
    """Nearly orthogonal matrices with the row and column spaces of x (n, rows, columns): Newton-Schulz, quintic.

    Each step multiplies x by a polynomial of x x^T. All of them commute, so that the steps are taken on the square matrix
    x x^T, and x is multiplied once, by their product (Gram Newton-Schulz, dao-lab.ai/blog/2026/gram-newton-schulz).
    """
    if x.size(-2) > x.size(-1):
        return orthogonal(x.mT, steps).mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    one = product = torch.eye(x.size(-2), device=x.device)
    gram = x @ x.mT
    for _ in range(steps):
        factor = 3.4445 * one - 4.7750 * gram + 2.0315 * gram @ gram
        gram = factor @ gram @ factor
        product = factor @ product
    return product @ x
