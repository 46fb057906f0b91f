"""The transformer that all three methods share: RMSNorm, blocks (convolution, attention, MLP), RMSNorm.

What surrounds it (embedding, head, loss, sampler) is the method and stands in the method's own file.
Sources: RoPE (arXiv 2104.09864), QK-norm (2302.05442), ReLU^2 (2109.08668); a short depthwise convolution
before attention gives each position its neighbours at once, which attention alone takes hundreds of steps to learn.
"""

import math
from dataclasses import dataclass

import torch
import tyro
from torch import nn
from torch.nn import functional as F

from lab.cli import check, check_range


@dataclass(frozen=True)
class Config:
    """Sizes and dropout of a model; stored in its checkpoint."""

    vocab_size: tyro.conf.Suppress[int] = 0  # V, size of the alphabet; the corpus says
    block_size: int = 256  # longest context, characters
    n_layer: int = 6  # transformer blocks
    n_head: int = 4  # attention heads
    n_embd: int = 128  # C, channels
    conv_width: int = 7  # characters that the convolution before attention sees
    dropout: float = 0.0  # share of each update to the residual stream that training drops

    def __post_init__(self):
        check_range(self, 1, 1000, "n_layer", "n_head", "conv_width")
        check_range(self, 1, 10**6, "block_size", "n_embd")
        check(0 <= self.dropout < 1, f"dropout must be at least 0 and below 1, not {self.dropout}")
        even = self.n_embd % (2 * self.n_head) == 0
        check(even, f"n_embd {self.n_embd} must be a multiple of twice n_head {self.n_head}")


def norm(x):
    """RMSNorm over channels, without a learned gain (arXiv 1910.07467).

    F.rms_norm is the same, but slower for the one position of a cached pass on a CPU.
    """
    rms = torch.linalg.vector_norm(x, dim=-1, keepdim=True) * x.size(-1) ** -0.5
    return x / (rms + 1e-6)


def rotary(length, head_size):
    """Cosines and sines of the RoPE angles of positions 0 .. length - 1: (2, length, D / 2)."""
    freqs = 10000.0 ** (-torch.arange(0, head_size, 2) / head_size)
    angles = torch.arange(length)[:, None] * freqs
    return torch.stack((angles.cos(), angles.sin()))


def rotate(x, angles):
    """Turn each pair of channels of x (..., T, D) by its position's angle."""
    (cos, sin), (x1, x2) = angles, x.chunk(2, dim=-1)
    return torch.cat((x1 * cos + x2 * sin, x2 * cos - x1 * sin), dim=-1).type_as(x)


class Cache:
    """Keys, values and convolution inputs of the positions read so far, for decoding one position at a time.

    length: positions held, at most size, which is config.block_size; like: a tensor of the dtype and device wanted.
    """

    def __init__(self, config, rows, like):
        D = config.n_embd // config.n_head
        self.length, self.size = 0, config.block_size
        empty = like.new_empty(2, config.n_layer, rows, config.n_head, config.block_size, D)
        self.keys, self.values = empty[0].unbind(), empty[1].unbind()
        self.tails = like.new_zeros(config.n_layer, rows, config.conv_width - 1, config.n_embd).unbind()

    def unread(self, idx, n):
        """The tokens of idx (B, L) before position n that are to be read, (B, t), before token n is predicted.

        A full cache begins again with the newest half of the context: the model only ever sees windows like those
        that it was trained on.
        """
        if self.length == self.size:
            self.length, new = 0, max(1, self.size // 2)
            for tail in self.tails:
                tail.zero_()
        else:
            new = 1 if self.length else min(n, self.size)
        return idx[:, n - new : n]


class Convolution(nn.Module):
    """Depthwise convolution over characters, zero at the start of training, so that a block begins without it."""

    def __init__(self, config, is_causal):
        super().__init__()
        self.width, self.is_causal = config.conv_width, is_causal
        self.weight = nn.Parameter(torch.zeros(config.n_embd, 1, config.conv_width))

    def forward(self, x, tail=None):
        """x: (B, T, C); tail: (B, width - 1, C) inputs before x, overwritten by the newest ones."""
        left = self.width - 1 if self.is_causal else self.width // 2
        if tail is None:
            padded = F.pad(x, (0, 0, left, self.width - 1 - left))
        else:
            padded = torch.cat((tail, x), dim=1)
            tail.copy_(padded[:, padded.size(1) - left :])
            if x.size(1) == 1:  # a product and a sum: the convolution's set-up would cost ten times as much
                return (padded * self.weight[:, 0].T).sum(1, keepdim=True)
        return F.conv1d(padded.mT, self.weight, groups=x.size(-1)).mT


def attend(q, k, v, is_causal):
    """softmax(q k^T / sqrt(D)) v, of (B, H, T, D) each.

    Spelt out in bfloat16 on a CPU, where the backward pass of F.scaled_dot_product_attention takes a third of a
    training step of the masked models.
    """
    if q.dtype == torch.bfloat16 and q.device.type == "cpu" and not is_causal:
        return (q * q.size(-1) ** -0.5 @ k.mT).softmax(-1) @ v
    return F.scaled_dot_product_attention(q, k, v, is_causal=is_causal)


class Attention(nn.Module):
    """Multi-head attention with rotary positions and normalised queries and keys."""

    def __init__(self, config, is_causal):
        super().__init__()
        C = config.n_embd
        self.n_head, self.is_causal = config.n_head, is_causal
        self.qkv, self.out = nn.Linear(C, 3 * C, bias=False), nn.Linear(C, C, bias=False)

    def forward(self, x, angles, cache=None):
        """x: (B, T, C); cache: this layer's (keys, values), each (B, H, block_size, D), and the length it holds."""
        B, T, C = x.shape
        qk, v = self.qkv(x).view(B, T, 3, self.n_head, -1).permute(2, 0, 3, 1, 4).split((2, 1))  # (2, B, H, T, D)
        (q, k), v = rotate(norm(qk), angles), v[0]
        if cache is not None:
            keys, values, length = cache
            keys[:, :, length : length + T], values[:, :, length : length + T] = k, v
            k, v = keys[:, :, : length + T], values[:, :, : length + T]
        y = attend(q, k, v, self.is_causal and T > 1)
        return self.out(y.transpose(1, 2).reshape(B, T, C))


def dropout(x, p):
    """F.dropout for training; on a CPU from a random byte for each element, so that p counts in steps of 1/256.

    F.dropout draws a float for each: there a fifth of a training step.
    """
    if x.device.type != "cpu":
        return F.dropout(x, p)
    dropped = min(255, round(256 * p))
    words = torch.randint(-(2**63), 2**63 - 1, (math.ceil(x.numel() / 8),))
    noise = words.view(torch.uint8)[: x.numel()].view(x.shape)
    return torch.where(noise < dropped, 0.0, x * (256 / (256 - dropped)))


class Block(nn.Module):
    """Convolution, attention and MLP, each added to the residual stream."""

    def __init__(self, config, is_causal):
        super().__init__()
        C, self.dropout = config.n_embd, config.dropout
        self.conv, self.attn = Convolution(config, is_causal), Attention(config, is_causal)
        self.up, self.down = nn.Linear(C, 4 * C, bias=False), nn.Linear(4 * C, C, bias=False)

    def forward(self, x, angles, cache=None, tail=None):
        def drop(update):
            return dropout(update, self.dropout) if self.training and self.dropout else update

        x = x + drop(self.conv(norm(x), tail))
        x = x + drop(self.attn(norm(x), angles, cache))
        return x + drop(self.down(F.relu(self.up(norm(x))).square()))


class Backbone(nn.Module):
    """Blocks between two RMSNorms; `is_causal` (attention and convolution look left only) is its one switch."""

    def __init__(self, config, is_causal):
        super().__init__()
        angles = rotary(config.block_size, config.n_embd // config.n_head)
        self.register_buffer("angles", angles, persistent=False)
        self.blocks = nn.ModuleList(Block(config, is_causal) for _ in range(config.n_layer))
        for block in self.blocks:  # a block starts as the identity: gradients reach every layer from step 0
            nn.init.zeros_(block.attn.out.weight)
            nn.init.zeros_(block.down.weight)

    def forward(self, x, cache=None):
        """x: (B, T, C) embeddings -> (B, T, C) features; with a cache, x follows the positions that it holds.

        Filling an empty cache may take any T; after that T is 1.
        """
        start = cache.length if cache else 0
        angles = self.angles[:, start : start + x.size(1)]
        x = norm(x)
        for i, block in enumerate(self.blocks):
            kv, tail = ((cache.keys[i], cache.values[i], start), cache.tails[i]) if cache else (None, None)
            x = block(x, angles, kv, tail)
        if cache:
            cache.length += x.size(1)
        return norm(x)
