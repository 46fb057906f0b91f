"""Same weights, two sets of decoding settings: what differs?

    uv run evaluate_generate_methods.py --module diffusion --seeds 1337,2027,7,42,123

Writes eval_generate_reports/<module>_<timestamp>/: results.json, results.csv, summary.json (paired differences b - a with
95 % intervals). analyze_generate_quality.py reads results.json.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import lab.start  # noqa: F401 (before PyTorch)

import methods
from lab import cli, records, stats, trials
from lab.cli import check


@dataclass(frozen=True)
class Args(trials.Args):
    seeds: cli.listed(int) = (1337, 2027, 7, 42, 123)
    module: str = "diffusion"  # diffusion or diffusion_flow
    weights: Path | None = None  # default weights/MODULE.pt
    temp: float = 0.8  # of both
    top_k: cli.one_number_or_all() = 2  # of both
    a_name: str = "old_like"  # one stage: whatever reaches the threshold is final
    a_confidence_threshold: float = 0.85
    a_draft_threshold: float = 0.85
    a_confirm_threshold: float = 0.85
    a_replace_margin: float = 1.0
    a_spacing: int = 0
    a_target_chunk_len: int = 240
    b_name: str = "new_two_stage"  # drafts first, confirmed or taken back later
    b_confidence_threshold: float = 0.95
    b_draft_threshold: float = 0.7
    b_confirm_threshold: float = 0.85
    b_replace_margin: float = 0.0
    b_spacing: int = 0
    b_target_chunk_len: int = 240
    output_dir: Path = cli.ROOT / "eval_generate_reports"


def decoding_of(args, side):
    """The Decoding that --a-... or --b-... describe."""
    settings = {key: value for key, value in cli.prefixed(args, side).items() if key != "name"}
    return methods.masked_decoding(args.module, temp=args.temp, top_k=args.top_k, **settings)


def main(args):
    """Write both sides' texts, then compare them."""
    sides = {args.a_name: decoding_of(args, "a"), args.b_name: decoding_of(args, "b")}
    check(len(sides) == 2 and all(sides), "--a-name and --b-name must be two names, neither of them empty")
    check(sides[args.a_name] != sides[args.b_name], "a and b have the same settings; change one of --b-...")
    writer = methods.load(args.module, args.weights, runtime=args.runtime)
    reference = trials.reference(args, writer, methods.load)
    settings = {name: (writer, decoding) for name, decoding in sides.items()}
    rows, folder = trials.experiment(settings, args, reference, args.module, "results.json")
    a, b = stats.grouped(rows, "name").values()
    found = stats.compare(a, b, reference)
    verdicts = stats.verdicts(found, *sides)
    real = stats.real_text(a, reference)
    stamp = records.stamp(**{**vars(args), "weights": writer.weights})
    folder.write("summary.json", {"verdicts": verdicts, "differences": found, "real_text": real, "stamp": stamp})
    folder.write("results.csv", rows)
    analysis = "analyze_generate_quality.py", "--input", folder.path / "results.json", "--tag", args.module
    trials.conclude(verdicts, rows, folder, *analysis)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
