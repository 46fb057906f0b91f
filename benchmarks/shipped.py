"""What are the shipped weights, and what do they write? How each was trained, and the first lines of its default command.

uv run -m benchmarks.shipped
"""

import shlex
import sys
from dataclasses import dataclass

import lab.start  # noqa: F401 (before PyTorch)

import methods
from benchmarks.timing import Output
from lab import checkpoint, cli, command

INFILL = "First ________:\nWhat is the ______ of this?"
MADE = ("command", "steps", "minutes", "processor", "threads", "commit")
SHIPPED = (*methods.METHODS, "gpt_1_layer", "evaluator", "origin_flow")


@dataclass(frozen=True, kw_only=True)
class Args(Output):
    lines: int = 4  # of each text that are kept

    def __post_init__(self):
        cli.check_range(self, 1, 1000, "lines")


def write(name, infill):
    """The text that the command writes without a flag but, perhaps, this --infill."""
    flags, engine = command.Args(), methods.load(name)
    text, new = (engine.prompt(flags.prompt_len), flags.max_new_tokens) if infill is None else (infill, 0)
    return engine.write(text, new, flags.seed)


def describe(name):
    """What a weights file says of its training."""
    state = checkpoint.read(checkpoint.default_path(name), "the command is in docs/training.md")
    made, size = state["provenance"], sum(value.numel() for value in state["model"].values())
    row = {"weights": name, "parameters": size, "batch": made["recipe"]["batch_size"]}
    read = made["steps"] * row["batch"] * state["config"]["block_size"]
    return row | {key: made[key] for key in MADE} | {"characters": read, "temperature": made.get("temperature")}


def main(args):
    """Read what the weights say of themselves, let them write, print and store."""
    commands = [(f"{name}.py", name, None) for name in methods.METHODS]
    commands.append((f"diffusion.py --infill {shlex.quote(INFILL)}", "diffusion", INFILL))
    samples = []
    for line, name, infill in commands:
        text = "\n".join(write(name, infill).split("\n")[: args.lines]).rstrip()
        samples.append({"command": line, "text": text})
        print(f"{line}:\n{text}\n", flush=True)
    args.write("shipped", {"rows": [describe(name) for name in SHIPPED], "samples": samples})


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
