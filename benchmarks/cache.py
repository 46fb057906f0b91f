"""What does the key/value cache buy? GPT characters per second with and without it, on the shipped weights.

uv run -m benchmarks.cache
"""

import sys
from dataclasses import dataclass

import torch

import methods
from benchmarks.timing import compare, report
from lab import checkpoint, cli, machine, trials
from lab.canvas import Canvas
from lab.sampling import probabilities, sample_tokens


@dataclass(frozen=True)
class Args:
    chars: int = 500  # characters to write
    rounds: int = 5  # timed pairs


@torch.no_grad()
def write_uncached(writer, canvas, decoding, seed):
    """As many characters without a cache: the whole context, at most block_size characters, at every step."""
    idx, rng, size = canvas.idx, torch.Generator().manual_seed(seed), writer.model.config.block_size
    device = writer.model.lm_head.weight.device
    first = int((~canvas.masked).sum())
    for n in range(first, idx.size(1)):
        logits = writer.model(idx[:, max(0, n - size) : n].to(device))[:, -1:]
        probs = probabilities(logits, decoding.temp)
        idx[:, n] = sample_tokens(probs, decoding.top_k, [rng], torch.tensor([True]))[:, 0]
    return writer.alphabet.decode(idx[0])


def main(args):
    """Time both in turn."""
    device = machine.pick_device()
    writer = methods.load(checkpoint.default_path("gpt"), "gpt", device)
    decoding, prompt = methods.METHODS["gpt"].Args().decoding, writer.alphabet.encode(writer.opening[:16])

    def canvas():
        return Canvas.after(prompt, args.chars)

    def cached():
        trials.run(writer, trials.Trial(canvas(), decoding, (1337,)))

    def uncached():
        write_uncached(writer, canvas(), decoding, 1337)

    a, b, ratio = compare(cached, uncached, args.rounds)
    row = {"what": "GPT decoding, against the same without a cache", "unit": "characters per second"}
    row |= {"ours": args.chars / a, "theirs": args.chars / b, "ratio": ratio}
    report("cache", [row], chars=args.chars, device=str(device), rounds=args.rounds)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
