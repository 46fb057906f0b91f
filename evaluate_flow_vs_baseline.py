"""Does the flow help? Masked diffusion against diffusion + flow, over the same prompts and seeds.

    uv run evaluate_flow_vs_baseline.py --seeds 1337,2027,7

Writes eval_reports/<timestamp>/: rows.jsonl (a row per text), summary.json (paired differences with 95 % intervals),
samples_baseline.csv, samples_flow.csv, and blind_samples.csv with blind_key.csv: pairs of texts in random order, for a
reader to judge. A third set of texts, flow_off, is the flow model decoded without its flow: what is left is the effect of
other weights.
"""

import random
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import lab.start  # noqa: F401 (before PyTorch)

import diffusion_flow
import methods
from lab import cli
from lab.measuring import experiment, records, stats
from methods import STAGED, TWO_STAGE


@dataclass(frozen=True)
class Args(experiment.Args):
    seeds: cli.comma_list(int) = (1337, 2027, 7)
    baseline_weights: Path | None = None  # default weights/diffusion.pt
    flow_weights: Path | None = None  # default weights/diffusion_flow.pt
    temp: float = STAGED["temp"]  # of both
    top_k: cli.one_number_or_all() = STAGED["top_k"]  # of both
    confidence_threshold: float = TWO_STAGE["confidence_threshold"]  # of both
    draft_threshold: float = TWO_STAGE["draft_threshold"]  # of both
    spacing: int = STAGED["spacing"]  # of both
    flow_step: float = diffusion_flow.Decoding.flow_step
    output_dir: Path = cli.ROOT / "eval_reports"


def blind(baseline, flow):
    """Pairs of texts of one seed and prompt, in an order drawn from them -> (what a reader gets, the key to it)."""
    rng = random.Random("".join(row["text"] for row in baseline + flow))
    pairs = [rng.sample(pair, 2) for pair in zip(baseline, flow, strict=True)]
    rng.shuffle(pairs)
    samples = []
    key = []
    for number, (first, second) in enumerate(pairs, 1):
        samples.append({"pair": number, "text_1": first["text"], "text_2": second["text"], "better": ""})
        key.append({"pair": number, "text_1": first["name"], "text_2": second["name"]})
    return samples, key


def main(args):
    """Write the three sets of texts, then compare them."""
    baseline = methods.load("diffusion", args.baseline_weights, sampler=args.sampler)
    flow = methods.load("diffusion_flow", args.flow_weights, sampler=args.sampler)
    flowing = methods.masked_decoding(flow.name, vars(args))
    settings = {
        "baseline": (baseline, methods.masked_decoding(baseline.name, vars(args))),
        "flow": (flow, flowing),
        "flow_off": (flow, replace(flowing, flow_until=1.0)),
    }
    rows, folder, reference = experiment.write(settings, args, methods.load, "")
    by_name = stats.grouped(rows, "name")
    summary = stats.comparison(by_name, (("baseline", "flow"), ("flow_off", "flow")), reference)
    for name in ("baseline", "flow"):
        folder.write(f"samples_{name}.csv", by_name[name])
    samples, key = blind(by_name["baseline"], by_name["flow"])
    folder.write("blind_samples.csv", samples)
    folder.write("blind_key.csv", key)
    summary["stamp"] = records.stamp(args, weights=[baseline.weights, flow.weights])
    folder.write("summary.json", summary)
    analysis = "analyze_generate_quality.py", "--input", folder.lines, "--tag", "flow"
    experiment.print_summary(summary["verdicts"], folder, *analysis)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
