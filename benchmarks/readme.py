"""Write the README's tables anew from results/*.json and from what the shipped weights say of themselves.

uv run -m benchmarks.readme
"""

import json
import re
import sys
from dataclasses import dataclass

from lab import checkpoint, cli
from lab.cli import ROOT


@dataclass(frozen=True)
class Args:
    pass


def results(name):
    """What a command left in results/."""
    return json.loads((ROOT / "results" / f"{name}.json").read_text(encoding="utf-8"))


def table(header, rows):
    """Lines of a Markdown table."""
    lines = (header, ["---"] * len(header), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def likelihood():
    """Nats per character of held-out text."""
    by_model = {}
    for row in results("likelihood")["rows"]:
        cells = by_model.setdefault((row["module"], row["measure"]), {})
        cells[row["part"]] = f"{row['nats']:.4f} ({row['bits']:.4f})"
    header = ["model", "measure", "second half: nats (bits) per character", "first half", "whole"]
    parts = ("second half", "first half", "whole")
    return table(header, [[f"`{name}`", what, *(cells[p] for p in parts)] for (name, what), cells in by_model.items()])


def trainings():
    """How the shipped weights were made."""
    rows = []
    for name in ("gpt", "diffusion", "diffusion_flow"):
        state = checkpoint.read(checkpoint.default_path(name), name)
        made, size = state["provenance"], sum(value.numel() for value in state["model"].values())
        steps = f"{made['steps']:,} x {made['recipe']['batch_size']} windows"
        rows.append(
            [f"`{made['command']}`", f"{size / 1e6:.2f} M", steps, f"{made['minutes']:.0f}", f"`{made['commit']}`"]
        )
    processor = f"minutes ({made['processor']}, {made['threads']} threads)"
    return table(["command", "parameters", "steps", processor, "commit"], rows)


def speed():
    """Ratios measured side by side."""
    rows = []
    names = ("training", "cache", "origin")
    for measured in (results(name) for name in names if (ROOT / "results" / f"{name}.json").exists()):
        for row in measured["rows"]:
            figures = [f"{row['ours']:.3g}", f"{row['theirs']:.3g}", f"**{row['ratio']:.1f}**"]
            rows.append([row["what"], row["unit"], *figures, f"`{measured['command']}`"])
    return table(["measured", "unit", "ours", "against", "times faster", "command"], rows)


TABLES = {"likelihood": likelihood, "trainings": trainings, "speed": speed}


def render(readme):
    """The README with its tables as they should be: between `<!-- NAME -->` and `<!-- end -->`."""
    for name, make in TABLES.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        readme = re.sub(pattern, lambda found, make=make: f"{found[1]}{make()}\n{found[2]}", readme, flags=re.DOTALL)
    return readme


def main(args):
    """Write it."""
    path = ROOT / "README.md"
    path.write_text(render(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
