"""Write one text by a named set of settings.

    uv run run_inference_preset.py --preset flow_quality

Presets lie in configs/inference_presets.json: a module and settings of its Decoding.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import lab.start  # noqa: F401 (before PyTorch)

import methods
from lab import cli, command
from lab.cli import UserError, check
from lab.measuring import experiment, records


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
    check(args.preset in presets, f"--preset {args.preset}: unknown; {args.presets_file} has {', '.join(presets)}")
    settings = presets[args.preset]
    try:
        method = methods.find(settings.pop("module", None))
        (decoding,) = experiment.grid(method.decoding, {name: [value] for name, value in settings.items()}).values()
        command.reject_unused(decoding, method.decoding)
    except (UserError, TypeError) as error:  # the latter of a word in the place of a number
        raise UserError(f"{args.presets_file}: {args.preset}: {error}") from error
    print(f"{args.preset}: {method.name}, {experiment.settings_label(decoding, settings)}", file=sys.stderr)
    given = {name: value for name, value in vars(args).items() if not name.startswith("preset")}
    command.write(method, command.flags(method)(decoding=decoding, **given))


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
