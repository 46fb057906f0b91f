"""Does the flow help? Masked diffusion against diffusion + flow, over the same prompts and seeds.

    uv run evaluate_flow_vs_baseline.py --seeds 1337,2027,7

Writes eval_reports/<timestamp>/: summary.json (paired differences with 95 % intervals, and every row), samples_baseline.csv,
samples_flow.csv, and blind_samples.csv with blind_key.csv: pairs of texts in random order, for a reader to judge. A third
set of texts, flow_off, is the flow model decoded without its flow: what is left is the effect of other weights.
"""

import random
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import lab.start  # noqa: F401 (before PyTorch)

import diffusion
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
    pairs = [{"baseline": a["text"], "flow": b["text"]} for a, b in zip(baseline, flow, strict=True)]
    rng.shuffle(pairs)
    samples = []
    key = []
    for number, pair in enumerate(pairs, 1):
        first, second = rng.sample(("baseline", "flow"), 2)
        samples.append({"pair": number, "text_1": pair[first], "text_2": pair[second], "better": ""})
        key.append({"pair": number, "text_1": first, "text_2": second})
    return samples, key


def main(args):
    """Write the three sets of texts, then compare them."""
    files = {"diffusion": args.baseline_weights, "diffusion_flow": args.flow_weights}
    engines = [methods.load(*file, sampler=args.sampler) for file in files.items()]
    shared = {"temp": args.temp, "cool_to": STAGED["cool_to"], "top_k": args.top_k, "spacing": args.spacing}
    shared |= {"confidence_threshold": args.confidence_threshold, "draft_threshold": args.draft_threshold}
    flow = diffusion_flow.Decoding(**shared, flow_step=args.flow_step)
    settings = {"baseline": (engines[0], diffusion.Decoding(**shared)), "flow": (engines[1], flow)}
    settings["flow_off"] = engines[1], replace(flow, flow_until=1.0)
    rows, folder, reference = experiment.write(settings, args, methods.load, "", "summary.json")
    by_name = stats.grouped(rows, "name")
    summary = {"verdicts": [], "differences": {}, "real_text": stats.real_text(by_name["flow"], reference)}
    for a, b in (("baseline", "flow"), ("flow_off", "flow")):
        summary["differences"][f"{b} - {a}"] = found = stats.compare(by_name[a], by_name[b], reference)
        summary["verdicts"] += stats.verdicts(found, a, b)
    for name in ("baseline", "flow"):
        folder.write(f"samples_{name}.csv", by_name[name])
    samples, key = blind(by_name["baseline"], by_name["flow"])
    folder.write("blind_samples.csv", samples)
    folder.write("blind_key.csv", key)
    summary["stamp"] = records.stamp(args, weights=[engine.weights for engine in engines])
    folder.write("summary.json", summary | {"rows": rows})
    analysis = "analyze_generate_quality.py", "--input", folder.path / "summary.json", "--tag", "flow"
    experiment.print_summary(summary["verdicts"], folder, *analysis)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
