"""GPT with a draft model: characters are proposed, one cached call of GPT checks them all, and its distribution is kept exactly.

    uv run -m benchmarks.draft_model

Speculative sampling (arXiv 2211.17192, 2302.01318): a proposed character is kept with probability min(1, GPT / draft model);
in place of the first that is not, one is drawn from what the draft model had given too little. No training, no loss: what
any parallel method has to beat. Three draft models: n-grams of the training text, the text so far, a GPT of one layer.
"""

import itertools
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import lab.start  # noqa: F401 (before PyTorch)

import numpy as np
import torch
from torch.nn import functional as F

import gpt
import methods
from benchmarks.timing import Output, compare, show
from lab import cli, experiment, machine, trials
from lab.backbone import Cache
from lab.canvas import Canvas, Frame
from lab.cli import check, check_range, listed
from lab.corpus import Corpus
from lab.sampling import choose_tokens, probabilities, uniforms


class NGrams:
    """Interpolated n-grams with absolute discounting (Ney, Essen and Kneser 1994), counted in a text.

    ids: (n,) tokens below vocab_size; order: characters in the longest n-gram; discount: taken off each count.
    probs: (rows, V); rows: {context, a tuple of tokens: its row}.
    """

    def __init__(self, ids, vocab_size, order=5, discount=0.75):
        V, codes, probs = vocab_size, np.zeros(len(ids) + 1, dtype=np.int64), np.full((1, vocab_size), 1 / vocab_size)
        self.order, self.rows, self.warm = order, {}, {}
        for n in range(order):  # context and next token as one number, of digits in base V
            codes = codes[:-1] * V + ids[n:]
            keys, counts = np.unique(codes, return_counts=True)
            numbers, at = np.unique(keys // V, return_inverse=True)
            contexts = list(map(tuple, (numbers[:, None] // V ** np.arange(n)[::-1] % V).tolist()))
            shorter = probs[[self.rows.get(context[1:], 0) for context in contexts]]
            found = np.zeros(shorter.shape)
            found[at, keys % V] = counts
            rest = discount * (found > 0).sum(1, keepdims=True) * shorter
            self.rows |= {context: len(probs) + row for row, context in enumerate(contexts)}
            table = (np.maximum(found - discount, 0) + rest) / found.sum(1, keepdims=True)
            probs = np.concatenate((probs, table))
        self.probs = torch.from_numpy(probs)

    def start(self, rows):
        """The draft model of a sampler: it keeps nothing from call to call."""
        return self.propose

    def row(self, text):
        """The row of probs for the longest known context that ends this list of tokens."""
        contexts = (tuple(text[n:]) for n in range(max(0, len(text) + 1 - self.order), len(text) + 1))
        return next(self.rows[context] for context in contexts if context in self.rows)

    def propose(self, idx, known, u, temp):
        """Draw characters after the first `known` (B,) of idx (B, L) by u (B, K) -> guessed idx, what they are drawn from."""
        if temp not in self.warm:
            probs = probabilities(self.probs.log(), temp)
            self.warm[temp] = probs, probs.cumsum(1).numpy()
        (probs, cumulative), (B, K), idx, rows = self.warm[temp], u.shape, idx.clone(), []
        for b, n in enumerate(known.tolist()):
            text = idx[b, max(0, n - self.order) : n].tolist()
            for share in u[b].tolist():
                rows.append(self.row(text))
                token = cumulative[rows[-1]].searchsorted(share, "right")
                text.append(min(int(token), probs.size(1) - 1))
            idx[b, n : n + K] = torch.tensor(text[-K:])
        return idx, probs[torch.tensor(rows)].view(B, K, -1)


def look_up(vocab_size, idx, known, u, temp, longest=8):
    """As NGrams.propose: the text goes on as it did where its last characters stood before (the newest such place)."""
    idx, most = idx.clone(), 0
    for b, n in enumerate(known.tolist()):
        text = "".join(map(chr, idx[b, :n].tolist()))
        for length in range(min(longest, n - 1), 1, -1):
            at = text.rfind(text[-length:], 0, -1)
            if at >= 0:
                found = list(map(ord, text[at + length :][: u.size(1)]))
                idx[b, n : n + len(found)] = torch.tensor(found)
                most = max(most, len(found))
                break
    columns = known[:, None] + torch.arange(most)
    return idx, F.one_hot(idx.gather(1, columns), vocab_size).double()


def small_gpt(model, rows):
    """A function as NGrams.propose, which draws from a small GPT with a cache of its own."""
    cache = Cache(model.config, rows, like=model.lm_head.weight)

    def propose(idx, known, u, temp):
        idx, K, probs, first = idx.clone(), u.size(1), [], int(known.min())
        for n in range(first, min(int(known.max()) + K, idx.size(1) - K - 1)):
            probs.append(probabilities(model(cache.next_input(idx, n), cache)[:, -1:], temp))
            k = n - known[:, None]  # (B, 1), which of its drafts a row makes here, if any
            drawn = choose_tokens(probs[-1], None, u.gather(1, k.clamp(0, K - 1)))
            idx[:, n : n + 1] = torch.where((k >= 0) & (k < K), drawn, idx[:, n : n + 1])
        columns = (known[:, None] - first + torch.arange(K)).clamp(max=len(probs) - 1)
        return idx, torch.cat(probs, dim=1)[torch.arange(len(idx))[:, None], columns]

    return propose


@dataclass(frozen=True)
class DraftModel:
    """A sampler of GPT's texts with the frames of `generate`."""

    start: Callable  # rows -> a function as NGrams.propose
    drafts: int  # characters proposed at each call, at most

    @torch.inference_mode()
    def generate(self, model, canvas, decoding, rngs):
        """As gpt.generate, several characters a pass. Raises UserError on a masked span, a long text, or a top_k."""
        idx, masked, size, device = canvas.idx, canvas.masked, model.config.block_size, model.lm_head.weight.device
        (B, L), K, known = idx.shape, self.drafts, canvas.prompt_lengths()
        check(decoding.top_k is None, "the draft model draws from all characters: no top_k")
        check(L <= size, f"the draft model writes at most {size} characters with the prompt, not {L}")
        cache, propose = Cache(model.config, B, like=model.lm_head.weight), self.start(B)
        while masked.any():
            rows, n = known < L, int(known.min())
            u = uniforms(2 * K + 1, rngs, rows)  # for the drafts, for their trial, for the character after them
            guess, drafted = propose(F.pad(idx, (0, K + 1)), known, u[:, :K], decoding.temp)
            offsets = torch.arange(drafted.size(1) + 1)
            columns = known[:, None] + offsets  # (B, k + 1)
            x = cache.next_input(guess, n, min(L - 1, int(known.max()) + drafted.size(1)))
            logits = model(x.to(device), cache)[:, n - 1 - cache.length :].cpu()  # of position n and those after it
            wanted = (columns - n).clamp(max=logits.size(1) - 1)[..., None].expand(-1, -1, logits.size(2))
            probs = probabilities(logits.gather(1, wanted), decoding.temp)  # (B, k + 1, V)
            kept, characters = judge(probs, drafted, guess.gather(1, columns), u[:, K:])
            new = (offsets <= kept[:, None]) & (columns < L)
            columns = columns.clamp(max=L - 1)
            row, rank = new.nonzero(as_tuple=True)
            idx, masked = idx.clone(), masked.clone()
            idx[row, columns[row, rank]] = characters[row, rank]
            masked[row, columns[row, rank]] = False
            known = known + new.sum(1)
            yield Frame(idx, masked, torch.zeros_like(masked), columns, probs, x.size(1) / size)


def judge(probs, drafted, characters, u):
    """How many drafts stand, those before the first that is refused, (B,), and the characters with a new one after them.

    probs: (B, k + 1, V) of GPT; drafted: (B, k, V) what the drafts were drawn from; characters: (B, k + 1), the drafts and
    anything; u: (B, k + 1 or more) random numbers, the last one for the new character.
    """
    k, rank = drafted.size(1), torch.arange(len(probs))
    q, p = (x[:, :k].gather(-1, characters[:, :k, None])[..., 0] for x in (drafted, probs))
    kept = (u[:, :k] < p / q).int().cumprod(1).sum(1)
    left = (probs[rank, kept] - F.pad(drafted, (0, 0, 0, 1))[rank, kept]).clamp(min=0)  # (B, V)
    last = choose_tokens(left[:, None], None, u[:, -1:])
    return kept, torch.where(torch.arange(k + 1) == kept[:, None], last, characters)


@dataclass(frozen=True, kw_only=True)
class Args(Output):
    chars: int = 240  # characters of each text
    temp: float = gpt.Decoding.temp  # temperature of GPT and of the draft models
    drafts: listed(int) = (2, 4, 8)  # characters proposed at each call
    seeds: int = 5  # texts
    rounds: int = 5  # timed pairs, each a text by GPT alone and one with drafts
    compiled: bool = False  # compile the models first

    def __post_init__(self):
        check_range(self, 1, 240, "chars")
        check_range(self, 1, 1000, "seeds", "rounds")
        check(all(1 <= n <= 64 for n in self.drafts), f"--drafts must lie in 1..64, not {self.drafts}")


def draft_models(corpus, device):
    """The draft models by name."""
    V, small = len(corpus.alphabet), methods.load("gpt", cli.ROOT / "weights" / "gpt_1_layer.pt", device)
    found = {
        f"{order}-grams of the training text": NGrams(np.asarray(corpus.train), V, order).start for order in (5, 6)
    }
    return found | {"the text so far": lambda rows: partial(look_up, V), "1-layer GPT": partial(small_gpt, small.model)}


def main(args):
    """Write texts with each draft model and number of drafts; print and store calls, and seconds against GPT alone."""
    device, corpus = machine.pick_device(), Corpus()
    engine, rows = methods.load("gpt", device=device), []
    experiment.check_text(corpus.alphabet, corpus.path, engine)
    if args.compiled:
        engine.model.compile()
    canvas = Canvas.after(engine.alphabet.encode(engine.opening[:16]), args.chars)
    trial = trials.Trial(canvas, gpt.Decoding(args.temp), (0,))
    plain = partial(trials.run, engine, trial)
    for (name, start), drafts in itertools.product(draft_models(corpus, device).items(), args.drafts):
        drafting = engine.sampled_by(DraftModel(start, drafts).generate)
        texts = [trials.run(drafting, replace(trial, seeds=(seed,)))[0] for seed in range(args.seeds)]
        calls = sum(text.nfe for text in texts)
        rate = 1000 * calls / args.chars / args.seeds
        row = {"draft model": name, "drafts": drafts, "calls per 1,000 characters": rate}
        row["positions per call"] = sum(text.full_passes for text in texts) * engine.model.config.block_size / calls
        ours, theirs, ratio = compare(partial(trials.run, drafting, trial), plain, args.rounds)
        rates = {"characters per second": args.chars / ours, "of GPT alone": args.chars / theirs, "ratio": ratio}
        rows.append(row | rates)
        show(rows[-1:])
    show(rows)
    args.write("draft_model", {"rows": rows}, device=str(device))


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
