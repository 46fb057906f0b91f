"""Which decoding settings? Every combination of the lists given, over seeds and prompts.

    uv run run_inference_sweep.py --module diffusion --confidence-threshold 0 --spacing 3,5,8 --temp 0.3,0.5 --top-k all

Writes infer_reports/<module>_<timestamp>/: results.csv, results.json, samples.txt. analyze_inference_sweep.py reads them.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import lab.start  # noqa: F401 (before PyTorch)

import methods
from lab import cli
from lab.cli import comma_list, number_or_all
from lab.measuring import experiment


@dataclass(frozen=True)
class Args(experiment.Args):
    module: cli.method_name() = "diffusion_flow"  # gpt, diffusion or diffusion_flow
    weights: Path | None = None  # default weights/MODULE.pt
    temp: comma_list(float) = ()  # settings to try, values separated by commas; not given: as in methods.starting_point
    cool_to: comma_list(float) = ()  # share of the temperature that is left when a chunk is full
    top_k: comma_list(number_or_all) = ()  # numbers, or all
    streams: comma_list(int) = ()
    confidence_threshold: comma_list(float) = ()
    spacing: comma_list(int) = ()
    draft_threshold: comma_list(float) = ()
    confirm_threshold: comma_list(float) = ()
    replace_margin: comma_list(float) = ()
    steps: comma_list(int) = ()  # of ancestral sampling; 0: by confidence
    target_chunk_len: comma_list(int) = ()
    revise: comma_list(int) = ()  # sweeps over the written text
    flow_step: comma_list(float) = ()
    flow_until: comma_list(float) = ()
    output_dir: Path = cli.ROOT / "infer_reports"


def main(args):
    """Write the texts, then the table and the samples."""
    engine = methods.load(args.module, args.weights, sampler=args.sampler)
    known = {name for method in methods.METHODS.values() for name in vars(method.decoding)}
    choices = {name: values for name, values in vars(args).items() if name in known and values}
    cells = experiment.grid(methods.starting_point(args.module), choices)
    settings = {name: (engine, cell) for name, cell in cells.items()}
    rows, folder, _ = experiment.write(settings, args, methods.load, engine.name)
    folder.write("results.json", rows)
    folder.write("results.csv", rows)
    texts = [f"== {row['name']}, seed {row['seed']}, {row['nfe']} calls\n{row['text']}" for row in rows]
    folder.write("samples.txt", "\n\n".join(texts))
    analysis = "analyze_inference_sweep.py", "--inputs", folder.path / "results.json", "--tag", engine.name
    experiment.print_summary([f"{len(rows)} texts of {len(settings)} settings"], folder, *analysis)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
