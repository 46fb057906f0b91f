"""Write one text by a named set of settings.

    uv run run_inference_preset.py --preset flow_quality

Presets lie in configs/inference_presets.json: a module and settings of its Decoding.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import methods
from lab import cli, records, trials
from lab.canvas import Canvas
from lab.cli import check


@dataclass(frozen=True)
class Args:
    preset: str  # flow_quality, flow_balanced or baseline_fast
    presets_file: Path = cli.ROOT / "configs" / "inference_presets.json"
    weights: Path | None = None  # default weights/MODULE.pt
    prompt: str | None = None  # default the first prompt_len characters of the corpus
    prompt_len: int = 16
    max_new_tokens: int = 512
    seed: int = 1337


def main(args):
    """Look the preset up, write, print."""
    presets = records.read_json(args.presets_file)
    check(isinstance(presets, dict), f"{args.presets_file}: not a table of presets")
    check(args.preset in presets, f"--preset {args.preset}: unknown; {args.presets_file} has {', '.join(presets)}")
    check(args.max_new_tokens >= 1, f"max_new_tokens must be at least 1, not {args.max_new_tokens}")
    settings = dict(presets[args.preset])
    writer = methods.load(args.weights, settings.pop("module", None))
    grid = trials.grid(methods.METHODS[writer.name].Decoding(), {key: [value] for key, value in settings.items()})
    prompt = writer.prompt(args.prompt_len) if args.prompt is None else args.prompt
    canvas = Canvas.after(writer.alphabet.encode(prompt), args.max_new_tokens)
    sample = trials.run(writer, trials.Trial(canvas, grid[0], (args.seed,)))[0]
    print(sample.text)
    print(f"{args.preset} ({writer.name}: {trials.describe(grid[0], settings)}): {sample.describe()}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
