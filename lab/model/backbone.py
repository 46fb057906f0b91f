"""The transformer that all methods share: RMSNorm, blocks (convolution, attention, MLP), RMSNorm.

What surrounds it (embedding, head, loss, sampler) is the method and stands in the method's own file.
Sources: RoPE (arXiv 2104.09864), QK-norm (2302.05442), ReLU^2 (2109.08668); a short depthwise convolution
before attention gives each position its neighbours at once, which attention alone takes hundreds of steps to learn.
"""

import itertools
import math
from dataclasses import dataclass
from typing import NamedTuple

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
        check_range(self, 1, 10**6, "n_layer", "n_head", "conv_width", "block_size", "n_embd")
        check(0 <= self.dropout < 1, f"dropout must be at least 0 and below 1, not {self.dropout}")
        check(self.n_embd % (2 * self.n_head) == 0, f"n_embd {self.n_embd} is no multiple of 2 x n_head {self.n_head}")


def zero_linear(inputs, outputs):
    """A linear layer without bias whose weights begin at zero."""
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.zeros_(layer.weight)
    return layer


def l2_normalize(x):
    """x (..., C) divided by its norm over channels."""
    return x / torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min(1e-6)


def norm(x):
    """RMSNorm over channels, without a learned gain (arXiv 1910.07467).

    F.rms_norm is the same, but slower for the one position of a cached pass on a CPU.
    """
    return l2_normalize(x) * x.size(-1) ** 0.5


def rotary(length, head_size):
    """Cosines and sines of the RoPE angles of positions 0 .. length - 1, for each channel: (2, length, D)."""
    freqs = 10000.0 ** (-torch.arange(0, head_size, 2) / head_size)
    angles = torch.arange(length)[:, None] * freqs
    cos = torch.cat((angles.cos(), angles.cos()), dim=-1)
    sin = torch.cat((angles.sin(), -angles.sin()), dim=-1)
    return torch.stack((cos, sin))


def rotate(x, cos, sin):
    """Turn each pair of channels of x (..., T, D), the i-th of either half, by its position's angle."""
    x1, x2 = x.chunk(2, dim=-1)
    return (x * cos + torch.cat((x2, x1), dim=-1) * sin).type_as(x)


class Cache:
    """A KV cache that holds the convolutions' inputs too: no position of a text is computed twice.

    start: the first position that it holds; length: how many, at most size = config.block_size.
    like: a tensor of the dtype and device wanted.
    """

    def __init__(self, config, rows, like):
        self.start = 0
        self.length = 0
        self.size = config.block_size
        self.conv_pad = config.conv_width - 1
        D = config.n_embd // config.n_head
        self.keys = like.new_zeros(config.n_layer, rows, config.n_head, self.size, D)
        self.values = torch.zeros_like(self.keys)
        self.inputs = like.new_zeros(config.n_layer, rows, self.conv_pad + self.size, config.n_embd)
        self.layers = [*zip(self.keys, self.values, self.inputs, strict=True)]

    def next_input(self, idx, n):
        """The tokens of idx (B, L) to feed, (B, t), before token n is predicted: the prefill at first.

        A cache that is too short for n begins again with the newest half of the context: the model only ever sees windows
        like those that it was trained on.
        """
        if n - self.start > self.size:
            self.start = n - max(1, self.size // 2)
            self.length = 0
        return idx[:, self.start + self.length : n]

    def append(self, T):
        """Make room for T positions -> these, and a Layer for each block that holds all up to them."""
        first = self.length
        self.length = last = first + T
        stop = self.conv_pad + last
        return slice(first, last), [Layer(k[:, :, :last], v[:, :, :last], x[:, first:stop]) for k, v, x in self.layers]


class Layer(NamedTuple):
    """What a cache holds for one block, whose last T positions are the new ones."""

    keys: torch.Tensor  # (B, H, P + T, D)
    values: torch.Tensor  # the same
    inputs: torch.Tensor  # (B, width - 1 + T, C), of the convolution

    def attend(self, q, k, v):
        """Attention of the new positions to all, of (B, H, T, D) each."""
        T = q.size(2)
        self.keys[:, :, -T:] = k
        self.values[:, :, -T:] = v
        held = self.keys.size(2)
        visible = None if T == 1 else q.new_ones(T, held, dtype=torch.bool).tril(held - T)
        return attend(q, self.keys, self.values, visible)

    def convolve(self, x, weight):
        """Depthwise convolution at the new positions, x (B, T, C) being its inputs there; weight: (C, width)."""
        self.inputs[:, -x.size(1) :] = x
        windows = self.inputs.unfold(1, weight.size(1), 1)  # (B, T, C, width)
        return (windows * weight).sum(-1)  # the set-up of conv1d costs ten times as much


class View:
    """What each position sees, to its left and to its right, where that is neither all nor all on the left.

    visible: (B, S, T) bool; left, right: how far a convolution reaches. With `empty_layers` as cache only the positions in
    columns (B, S) are computed; it has what else they see.
    """

    def __init__(self, visible, left, right, cache=None, columns=None):
        B, _, T = visible.shape
        self.visible = visible[:, None]
        self.cache = cache
        self.columns = columns
        self.left = left
        self.right = right
        self.rows = torch.arange(B, device=visible.device)[:, None]
        positions = torch.arange(T, device=visible.device).expand(B, T) if columns is None else columns
        near = positions[..., None] + torch.arange(-left, right + 1, device=visible.device)  # (B, S, width)
        self.in_view = visible.gather(2, near.clamp(0, T - 1)) & (near >= 0) & (near < T)
        self.near = near.where(self.in_view, T) + self.rows[..., None] * (T + 1)  # T: where a cache holds zeros

    def append(self, T):
        """The positions of a pass, and what each block works on: without a cache this."""
        if self.cache is None:
            return slice(T), itertools.repeat(self)
        return self.columns[:, None], [ViewLayer(self, *held) for held in self.cache]

    def attend(self, q, k, v):
        """Attention to what is in view, of (B, H, S, D) each."""
        return attend(q, k, v, self.visible)

    def convolve(self, x, weight):
        """Depthwise convolution over what is in view of x (B, T, C); weight: (C, width)."""
        padded = F.pad(x, (0, 0, self.left, self.right))
        total = 0
        for k, column in enumerate(weight.T):  # compiled to one loop; unfolded it takes nine times as long
            total = total + padded[:, k : k + x.size(1)] * (self.in_view[:, :, k, None] * column)
        return total


def empty_layers(config, rows, T, like):
    """A cache of passes that compute the T positions of a window in any order: of each block what a ViewLayer holds.

    like: a tensor of the dtype and device wanted.
    """
    keys = like.new_zeros(config.n_layer, rows, T, config.n_head, config.n_embd // config.n_head)
    inputs = like.new_zeros(config.n_layer, rows, T + 1, config.n_embd)
    return [*zip(keys, keys.clone(), inputs, strict=True)]


class ViewLayer(NamedTuple):
    """A View in one block, and what the cache holds there by position."""

    view: View
    keys: torch.Tensor  # (B, T, H, D)
    values: torch.Tensor  # the same
    inputs: torch.Tensor  # (B, T + 1, C), of the convolution; the last one stays 0

    def attend(self, q, k, v):
        """Attention of the new positions to what is in view, of (B, H, S, D) each."""
        rows, columns = self.view.rows, self.view.columns
        self.keys[rows, columns] = k.transpose(1, 2)
        self.values[rows, columns] = v.transpose(1, 2)
        return self.view.attend(q, self.keys.transpose(1, 2), self.values.transpose(1, 2))

    def convolve(self, x, weight):
        """Depthwise convolution at the new positions, x (B, S, C) being its inputs there; weight: (C, width)."""
        rows = self.view.rows
        self.inputs[rows, self.view.columns] = x
        windows = F.embedding(self.view.near, self.inputs.flatten(0, 1))  # (B, S, width, C)
        return (windows * weight.T).sum(2)


class Convolution(nn.Module):
    """Depthwise convolution over characters, zero at the start of training, so that a block begins without it."""

    def __init__(self, config, is_causal, ahead):
        super().__init__()
        self.left = config.conv_width - 1 if is_causal else config.conv_width // 2
        self.right = config.conv_width - 1 - self.left + ahead
        self.weight = nn.Parameter(torch.zeros(config.n_embd, 1, config.conv_width + ahead))

    def forward(self, x, layer=None):
        """x: (B, T, C); layer: what its positions see, where that is not all or all on the left."""
        if layer is not None:
            return layer.convolve(x, self.weight[:, 0])
        padded = F.pad(x, (0, 0, self.left, self.right))
        return F.conv1d(padded.mT, self.weight, groups=x.size(-1)).mT


def attend(q, k, v, visible=None, is_causal=False):
    """softmax(sqrt(D) q k^T) v, of (B, H, T, D) each, q and k of unit norm, so that their scores have variance 1.

    visible: (..., T of q, T of k) bool; is_causal: as lower triangle of ones. Written out in bfloat16 on a CPU, where the
    backward pass of F.scaled_dot_product_attention takes a third of a training step.
    """
    scale = q.size(-1) ** 0.5
    if q.dtype != torch.bfloat16 or q.device.type != "cpu":
        return F.scaled_dot_product_attention(q, k, v, visible, is_causal=is_causal, scale=scale)
    scores = q * scale @ k.mT
    if is_causal:
        visible = torch.ones_like(scores[0, 0], dtype=torch.bool).tril()
    if visible is not None:
        scores = scores.masked_fill(~visible, -torch.inf)
    return scores.softmax(-1) @ v


class Attention(nn.Module):
    """Multi-head attention with rotary positions and normalised queries and keys."""

    def __init__(self, config, is_causal):
        super().__init__()
        C = config.n_embd
        self.n_head = config.n_head
        self.is_causal = is_causal
        self.qkv = nn.Linear(C, 3 * C, bias=False)
        self.out = zero_linear(C, C)

    def forward(self, x, angles, layer=None):
        """x: (B, T, C), with a cache's Layer behind what it holds; angles: cosines and sines of its positions."""
        B, T, C = x.shape
        qkv = self.qkv(x).view(B, T, 3, self.n_head, -1).permute(2, 0, 3, 1, 4)  # (3, B, H, T, D)
        q, k = rotate(l2_normalize(qkv[:2]), *angles)
        v = qkv[2]
        y = layer.attend(q, k, v) if layer else attend(q, k, v, is_causal=self.is_causal)
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
    """Convolution, attention and MLP, each added to the residual stream; all three begin at zero."""

    def __init__(self, config, is_causal, ahead):
        super().__init__()
        C = config.n_embd
        self.dropout = config.dropout
        self.conv = Convolution(config, is_causal, ahead)
        self.attn = Attention(config, is_causal)
        self.up = nn.Linear(C, 4 * C, bias=False)
        self.down = zero_linear(4 * C, C)

    def forward(self, x, angles, layer=None):
        def drop(update):
            return dropout(update, self.dropout) if self.training and self.dropout else update

        x = x + drop(self.conv(norm(x), layer))
        x = x + drop(self.attn(norm(x), angles, layer))
        return x + drop(self.down(F.relu(self.up(norm(x))).square()))


class Backbone(nn.Module):
    """Blocks between two RMSNorms; `is_causal` (attention and convolution look left only) is its one switch.

    ahead: how many more characters, to the right, a convolution reaches where a View is given.
    """

    def __init__(self, config, is_causal, ahead=0):
        super().__init__()
        angles = rotary(config.block_size, config.n_embd // config.n_head)
        self.register_buffer("angles", angles, persistent=False)
        self.blocks = nn.ModuleList(Block(config, is_causal, ahead) for _ in range(config.n_layer))

    def forward(self, x, cache=None):
        """x: (B, T, C) embeddings -> (B, T, C) features; with a cache or a View, of the positions that it says."""
        T = x.size(1)
        positions, layers = cache.append(T) if cache else (slice(T), [None] * len(self.blocks))
        x = norm(x)
        for block, layer in zip(self.blocks, layers):
            x = block(x, self.angles[:, positions], layer)
        return norm(x)
