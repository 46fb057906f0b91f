"""What are the shipped weights, and what do they write? How each was trained, and the first lines of its default command.

uv run -m benchmarks.shipped
"""

import shlex
import sys

import lab.start  # noqa: F401 (before PyTorch)

import methods
from benchmarks.output import Output as Args
from lab import cli, command
from lab.model import checkpoint

LINES = 3  # of each text that are kept
INFILL = "The k___ is dead, long live the q____!"
MADE = ("temperature", "command", "steps", "minutes", "processor", "threads", "commit")
SHIPPED = (*methods.METHODS, "gpt_1_layer", "streams_1_layer", "evaluator", "origin_flow")


def describe(name):
    """What a weights file says of its training."""
    state = checkpoint.read(checkpoint.default_path(name), "the command is in docs/training.md")
    made = state["provenance"]
    batch = made["recipe"]["batch_size"]
    size = sum(value.numel() for value in state["model"].values())
    characters = made["steps"] * batch * state["config"]["block_size"]
    row = {"weights": name, "parameters": size, "batch": batch, "characters": characters}
    return row | {key: made.get(key) for key in MADE}


def samples():
    """The first lines of what each command writes without a flag, and of a text with masked spans."""
    for name in methods.METHODS:
        flags = command.Args()
        engine = methods.load(name)
        text = engine.write(engine.prompt(flags.prompt_len), flags.max_new_tokens, flags.seed)
        yield {"command": f"{name}.py", "text": "\n".join(text.split("\n")[:LINES]).rstrip()}
    text = methods.load("diffusion").write(INFILL, new=0)
    yield {"command": f"diffusion.py --infill {shlex.quote(INFILL)}", "text": text}


def main(args):
    """Read what the weights say of themselves, let them write, store."""
    args.write("shipped", {"rows": [describe(name) for name in SHIPPED], "samples": [*samples()]})


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
