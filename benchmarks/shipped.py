"""What are the shipped weights, and what do they write? How each was trained, and the first lines of its default command.

uv run -m benchmarks.shipped
"""

import shlex
import sys
from dataclasses import dataclass

import methods
from benchmarks.timing import Output
from lab import checkpoint, cli, trials
from lab.canvas import Canvas

INFILL = "First ________:\nWhat is the ______ of this?"
MADE = ("steps", "minutes", "processor", "threads", "commit")


@dataclass(frozen=True, kw_only=True)
class Args(Output):
    lines: int = 4  # of each text that are kept


def write(name, infill):
    """The text that the command writes without a flag but, perhaps, this --infill."""
    flags, writer = methods.METHODS[name].Args(), methods.load(None, name)
    canvas = Canvas.after(writer.alphabet.encode(writer.prompt(flags.prompt_len)), flags.max_new_tokens)
    if infill is not None:
        canvas = Canvas(*writer.alphabet.encode_masked(infill)).repeat(1)
    return trials.run(writer, trials.Trial(canvas, flags.decoding, (flags.seed,)))[0].text


def describe(name):
    """What a weights file says of its training."""
    state = checkpoint.read(checkpoint.default_path(name), f"uv run {name}.py --train")
    made, size = state["provenance"], sum(value.numel() for value in state["model"].values())
    row = {"module": name, "parameters": size, "batch": made["recipe"]["batch_size"]}
    return row | {key: made[key] for key in MADE}


def main(args):
    """Read what the weights say of themselves, let them write, print and store."""
    commands = [(f"{name}.py", name, None) for name in methods.METHODS]
    commands.append((f"diffusion.py --infill {shlex.quote(INFILL)}", "diffusion", INFILL))
    samples = []
    for command, name, infill in commands:
        text = "\n".join(write(name, infill).split("\n")[: args.lines]).rstrip()
        samples.append({"command": command, "text": text})
        print(f"{command}:\n{text}\n", flush=True)
    args.write("shipped", {"rows": [describe(name) for name in methods.METHODS], "samples": samples})


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
