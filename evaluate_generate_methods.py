"""Same weights, two sets of decoding settings: what differs?

    uv run evaluate_generate_methods.py --module diffusion --seeds 1337,2027,7,42,123

Writes eval_generate_reports/<module>_<timestamp>/: results.json, results.csv, summary.json (paired differences b - a with
95 % intervals). analyze_generate_quality.py reads results.json.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import lab.start  # noqa: F401 (before PyTorch)

import diffusion
import methods
from lab import cli
from lab.cli import check
from lab.measuring import experiment, records, stats
from methods import ONE_STAGE, STAGED, TWO_STAGE


@dataclass(frozen=True)
class Args(experiment.Args):
    seeds: cli.comma_list(int) = (1337, 2027, 7, 42, 123)
    module: cli.method_name() = "diffusion"  # diffusion or diffusion_flow
    weights: Path | None = None  # default weights/MODULE.pt
    temp: float = STAGED["temp"]  # of both
    top_k: cli.one_number_or_all() = STAGED["top_k"]  # of both
    a_name: str = "old_like"  # one stage: whatever reaches the threshold is final
    a_confidence_threshold: float = ONE_STAGE["confidence_threshold"]
    a_draft_threshold: float = ONE_STAGE["draft_threshold"]
    a_confirm_threshold: float = ONE_STAGE["confirm_threshold"]
    a_replace_margin: float = ONE_STAGE["replace_margin"]
    a_spacing: int = STAGED["spacing"]
    a_target_chunk_len: int = diffusion.Decoding.target_chunk_len
    b_name: str = "new_two_stage"  # drafts first, confirmed or taken back later
    b_confidence_threshold: float = TWO_STAGE["confidence_threshold"]
    b_draft_threshold: float = TWO_STAGE["draft_threshold"]
    b_confirm_threshold: float = TWO_STAGE["confirm_threshold"]
    b_replace_margin: float = TWO_STAGE["replace_margin"]
    b_spacing: int = STAGED["spacing"]
    b_target_chunk_len: int = diffusion.Decoding.target_chunk_len
    output_dir: Path = cli.ROOT / "eval_generate_reports"


def main(args):
    """Write both sides' texts, then compare them."""
    typed = [cli.prefixed(args, side) for side in ("a", "b")]
    sides = {side["name"]: methods.masked_decoding(args.module, vars(args) | side) for side in typed}
    check(len(sides) == 2, "--a-name and --b-name must be two names")
    engine = methods.load(args.module, args.weights, sampler=args.sampler)
    settings = {name: (engine, decoding) for name, decoding in sides.items()}
    rows, folder, reference = experiment.write(settings, args, methods.load, engine.name)
    summary = stats.comparison(stats.grouped(rows, "name"), [tuple(sides)], reference)
    (summary["differences"],) = summary["differences"].values()
    summary["stamp"] = records.stamp(args, weights=engine.weights)
    folder.write("summary.json", summary)
    folder.write("results.json", rows)
    folder.write("results.csv", rows)
    analysis = "analyze_generate_quality.py", "--input", folder.path / "results.json", "--tag", engine.name
    experiment.print_summary(summary["verdicts"], folder, *analysis)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
