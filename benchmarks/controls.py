"""What does each part of a sampler do? The samplers with one part changed; and what becomes of a doubted draft.

    uv run -m benchmarks.controls

Two-stage decoding masks a doubted draft again. Overwriting it with the likeliest character at once would save a call (LLaDA2.1,
arXiv 2602.08676; against it: "Remask, don't replace", 2604.18738). Both write the same prompts here, with the same seeds.
The flow's changed forms, `shuffled` and `noiseless`, are configurations of benchmarks.frontier.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

import torch

import diffusion
import diffusion_flow
import methods
from benchmarks.timing import write_results
from lab import cli, stats, trials
from lab.cli import check


@dataclass(frozen=True)
class Args(trials.Args):
    seeds: cli.listed(int) = (1, 2, 3, 4, 5)
    max_new_tokens: int = 240
    batch: int = 40
    timed: int = 0
    output_dir: Path = cli.ROOT / "eval_generate_reports"


def changed(writer, module, **parts):
    """A Writer whose sampler has other functions in place of those of this module that bear these names.

    They are in place while it writes: let it end before another one of this module begins.
    """

    def generate(*args):
        with mock.patch.multiple(module, **parts):
            yield from writer.generate(*args)

    return replace(writer, generate=generate)


def replacing(writer):
    """Two stages, but a doubted draft becomes the likeliest character at once, and stays a draft."""
    settle = diffusion.settle

    def settle_at_once(probs, idx, masked, draft, decoding, rngs):
        idx, still, drafts = settle(probs, idx, masked, draft, decoding, rngs)
        doubted = draft & still
        return torch.where(doubted, probs.argmax(-1), idx), still & ~doubted, drafts | doubted

    return changed(writer, diffusion, settle=settle_at_once)


def shuffled(writer):
    """The flow, but after each step its evidence is dealt out anew among the positions that carry some."""
    flow_on = diffusion_flow.flow_on

    def flow_elsewhere(probs, evidence, snr, guided, decoding, rngs):
        evidence, snr = flow_on(probs, evidence, snr, guided, decoding, rngs)
        order = torch.arange(guided.size(1)).repeat(len(guided), 1)
        for b in guided.any(1).nonzero().flatten().tolist():
            (at,) = guided[b].nonzero(as_tuple=True)
            order[b, at] = at[torch.randperm(len(at), generator=rngs[b])]
        return evidence.gather(1, order[..., None].expand_as(evidence)), snr.gather(1, order)

    return changed(writer, diffusion_flow, flow_on=flow_elsewhere)


def noiseless(writer):
    """The flow, but towards the mean of the characters: evidence that is neither drawn nor noisy."""
    flow_on = diffusion_flow.flow_on

    def flow_to_the_mean(probs, evidence, snr, guided, decoding, rngs):
        _, after = flow_on(probs, evidence, snr, guided, decoding, rngs)
        return (evidence + (after - snr)[..., None] * probs) * guided[..., None], after

    return changed(writer, diffusion_flow, flow_on=flow_to_the_mean)


def main(args):
    """Write both ways, compare, print and store."""
    writer = methods.load(None, "diffusion")
    reference = trials.reference(args, writer, methods.load)
    check(reference is not None and reference.evaluator is not None, "this needs the corpus and weights/evaluator.pt")
    decoding = diffusion.Decoding()
    settings = {"mask again": (writer, decoding), "replace": (replacing(writer), decoding)}
    rows, folder = trials.experiment(settings, args, reference, "controls", "results.json")
    sides = stats.grouped(rows, "name")
    found = stats.compare(*sides.values(), reference)
    print(*(stats.in_words(each, *sides) for each in found), folder.path, sep="\n")
    real = stats.real_text(sides["replace"], reference)
    write_results("controls", found, **vars(args), weights=writer.weights, real_text=real)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
