"""Do samplers sample what they say, and what do losses measure? Other packages on an exact toy and on our weights.

    uv run -m benchmarks.peers --only diffusers    one package
    uv run -m benchmarks.peers                     all of them

Each runs in an environment of its own, which `uv run --with NAME==VERSION` makes; adapters/NAME.py hands it the network.
"""

import importlib
import itertools
import math
import sys
from dataclasses import dataclass
from functools import partial

import lab.start  # noqa: F401 (before PyTorch)

import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F

import methods
from benchmarks.adapters import Network
from benchmarks.adapters.environments import PACKAGES, is_installed, run_in_its_own
from benchmarks.output import Output, show
from lab import cli
from lab.measuring import experiment, quality, records

START = (0.5, 0.3, 0.2)  # of the toy, a Markov chain of three symbols
STEP = ((0.8, 0.1, 0.1), (0.2, 0.7, 0.1), (0.1, 0.3, 0.6))
PASSES = (4, 16, 64)  # that a sampler is asked for
PROMPT = 16  # known characters of the texts from the shipped weights
BLIND = (50, 65)  # length and symbols for the network that knows nothing


@dataclass(frozen=True, kw_only=True)
class Args(Output):
    only: cli.comma_list(str) = ()  # packages, as the files of adapters/ are called; default all
    texts: int = 64  # of 240 characters, from the shipped weights
    draws: int = 4096  # from the toys; 64 times as many for losses


def toy(length):
    """All sequences of the toy (3^L, L), their probabilities (3^L,), and the Network that knows them."""
    sequences = torch.cartesian_prod(*[torch.arange(3)] * length)
    steps = torch.tensor(STEP)[sequences[:, :-1], sequences[:, 1:]]
    joint = torch.tensor(START)[sequences[:, 0]] * steps.prod(1)
    return sequences, joint, Network(partial(exact, sequences, joint), 3, length)


def exact(sequences, joint, x):
    """The right answer by enumeration: log p of each symbol at each position, given what is known: (B, L, 3)."""
    fits = ((x[:, None] == sequences) | (x[:, None] == 3)).all(-1) * joint  # (B, 3^L)
    probs = torch.einsum("bs,slv->blv", fits, F.one_hot(sequences).float())
    return F.normalize(probs, p=1, dim=-1).clamp(min=1e-30).log()


def watch(net, sampler, x):
    """Let a sampler fill in a text (L,) -> the text, and what it did.

    passes: until the text no longer changes; left: masks that the last of them fills in; masks: at the end; known: share of
    the known characters that are kept, by chance some by a sampler that takes none.
    """
    net.shown.clear()
    (out,) = sampler(net, x[None].clone())
    states = torch.cat([*net.shown, out[None]])  # (passes + 1, L)
    changes = (states[1:] != states[:-1]).any(1)
    passes = int((changes * torch.arange(1, len(states))).max())
    masks = (states == net.mask).sum(1)
    left = (masks[passes - 1] - masks[-1]).clamp(min=0)
    kept = (out == x)[x != net.mask].double().mean()
    return out, {"passes": passes, "left": left.item(), "masks": masks[-1].item(), "known": kept.item()}


def distance(texts, sequences, joint):
    """Total variation between drawn texts (n, L) and the toy's probabilities; a text with a mask left is outside of them."""
    shares = (texts[:, None] == sequences).all(-1).float().mean(0)
    return ((shares - joint).abs().sum() + 1 - shares.sum()).item() / 2


def quality_of(texts, engine, evaluator):
    """Generative NLL and trigram entropy of the texts without a mask; None where all have one."""
    whole = [engine.alphabet.decode(text) for text in texts if (text < len(engine.alphabet)).all()]
    if not whole:
        return {"nll": None, "entropy": None}
    nll = [quality.generative_nll(text, evaluator, PROMPT) for text in whole]
    trigrams = pd.Series([gram for text in whole for gram in quality.grams(text[PROMPT:], 3)])
    return {"nll": np.mean(nll), "entropy": quality.entropy(trigrams.value_counts().to_numpy())}


def samplers(adapter, args):
    """A row for each sampler and number of passes."""
    engine = methods.load("diffusion")
    evaluator = methods.load(path=experiment.EVALUATOR)
    mask = len(engine.alphabet)
    net = Network(torch.inference_mode()(engine.model), mask, 256)
    canvas = F.pad(engine.alphabet.encode(engine.prompt(PROMPT)), (0, 240), value=mask)
    together = getattr(adapter, "ROWS", args.draws)  # texts of the toy
    for (name, sampler), n in itertools.product(adapter.SAMPLERS.items(), PASSES):
        torch.manual_seed(0)
        sample = partial(sampler, n=n)
        row = {"sampler": name, "asked": n}
        for length in (2, 3):
            sequences, joint, net_of_toy = toy(length)
            masked = torch.full((args.draws, length), 3)
            drawn = torch.cat([sample(net_of_toy, part) for part in masked.split(together)])
            row[f"tv_{length}"] = distance(drawn, sequences, joint)
        texts, did = zip(*(watch(net, sample, canvas) for _ in range(args.texts)), strict=True)
        row |= pd.DataFrame(did).mean().to_dict() | quality_of(texts, engine, evaluator)
        show([row])
        yield row


def losses(adapter, args):
    """A row for each loss: its value where the answer is known, and the weight of a position where it is masked.

    toy: of the exact network over texts of two positions, by the entropy per position; blind: of a network that knows
    nothing, by ln V; at_10, at_50, at_90: the weight that falls on texts with so many per cent of masks, 5 more or less,
    by that of the bound, which weighs each share of masks the same; visible: the mean weight of a known position.
    Weights are read from the gradient at equal logits.
    """
    for name, loss in getattr(adapter, "LOSSES", {}).items():
        torch.manual_seed(0)
        sequences, joint, net = toy(2)
        entropy = torch.special.entr(joint).sum() / 2
        texts = sequences[joint.multinomial(64 * args.draws, replacement=True)]
        row = {"loss": name, "toy": (loss(net, texts) / entropy).item()} | blind(loss, args.draws)
        show([row])
        yield row


def blind(loss, texts):
    """What `losses` says of a network that knows nothing, over random texts."""
    length, V = BLIND
    equal = []  # the logits of each pass

    def predict(x):
        equal.append(torch.zeros(*x.shape, V, requires_grad=True))
        return equal[-1]

    x0 = torch.randint(V, (texts, length))
    net = Network(predict, V, length)
    value = loss(net, x0)
    gradient = torch.cat(torch.autograd.grad(value, equal))  # (texts, length, V)
    masked = torch.cat(net.shown) == V
    target = gradient.abs().argmax(-1, keepdim=True)  # the gradient is w (1 / V - 1) there, w / V elsewhere
    weight = -gradient.gather(-1, target)[..., 0] * masked.numel() / (1 - 1 / V)
    share = masked.float().mean(1, keepdim=True)
    row = {"blind": value.item() / math.log(V)}
    for percent in (10, 50, 90):
        near = masked & ((share - percent / 100).abs() < 0.05)
        row[f"at_{percent}"] = (weight * near).mean().item() / 0.1
    return row | {"visible": weight[~masked].mean().item()}


def main(args):
    """Measure each package where it is installed, or in a new environment where it will be; store."""
    path = args.folder / "peers.json"
    for name in args.only or PACKAGES:
        if not is_installed(name):
            run_in_its_own(name)
            continue
        adapter = importlib.import_module(f"benchmarks.adapters.{name}")
        row = records.stamp(args) | {"pinned": PACKAGES[name]}
        row |= {"samplers": [*samplers(adapter, args)], "losses": [*losses(adapter, args)]}
        known = records.read_json(path)["packages"] if path.exists() else {}
        args.write("peers", {"packages": known | {name: row}})


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
