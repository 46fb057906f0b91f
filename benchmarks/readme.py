"""Write the README's tables anew from results/*.json and from what the shipped weights say of themselves.

uv run -m benchmarks.readme
"""

import re
import sys
from dataclasses import dataclass

from lab import checkpoint, cli, records
from lab.cli import ROOT, check


@dataclass(frozen=True)
class Args:
    pass


def results(name):
    """What a command left in results/: the one JSON file so called, * standing for anything."""
    (path,) = (ROOT / "results").glob(f"{name}.json")
    return records.read_json(path)


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
    header = ["model", "measure", "test split: nats (bits) per character", "validation split", "whole"]
    parts = ("test split", "validation split", "whole")
    return table(header, [[f"`{name}`", what, *(cells[p] for p in parts)] for (name, what), cells in by_model.items()])


def trainings():
    """How the shipped weights were made."""
    rows = []
    for name in ("gpt", "diffusion", "diffusion_flow"):
        state = checkpoint.read(checkpoint.default_path(name), f"uv run {name}.py --train")
        made, size = state["provenance"], sum(value.numel() for value in state["model"].values())
        steps = f"{made['steps']:,} x {made['recipe']['batch_size']} windows"
        processor = f"{made['processor']}, {made['threads']} threads"
        rows.append(
            [f"`uv run {name}.py --train`", f"{size / 1e6:.2f} M", steps, f"{made['minutes']:.0f}", processor]
            + [f"`{made['commit']}`"]
        )
    return table(["command", "parameters", "steps", "minutes", "on", "commit"], rows)


def speed():
    """Ratios measured side by side."""
    rows = []
    names = ("training", "cache", "draft_model", "origin")
    for measured in (results(name) for name in names if (ROOT / "results" / f"{name}.json").exists()):
        for row in measured["rows"]:
            figures = [f"{row[key]:,.0f}" if row[key] >= 100 else f"{row[key]:.3g}" for key in ("ours", "theirs")]
            figures.append(f"**{row['ratio']:.1f}**")
            command = f"`{measured['command']}`" if row is measured["rows"][0] else ""
            rows.append([row["what"], row["unit"], *figures, command])
    return table(["measured", "unit", "ours", "against", "times faster", "command"], rows)


def paths():
    """What an unmasking strategy is worth to each masked model: nats per character, by calls."""
    rows = []
    for row in results("likelihood")["paths"]:
        if row["module"] == "diffusion_flow" and not row["strategy"].startswith("spacing"):
            continue  # about diffusion's; they stand in the file
        spread = f"{row['low']:.3f} to {row['high']:.3f}"
        rows.append(
            [
                f"`{row['module']}`",
                row["strategy"].replace("=", " "),
                f"{row['calls']:.1f}",
                f"{row['nats']:.3f}",
                spread,
            ]
        )
    return table(
        ["model", "unmasking strategy", "calls for 240 characters", "nats per character", "95 % interval"], rows
    )


def differences(found, real, names):
    """Lines of a table of paired differences."""
    shown = ("nfe", "generative_nll", "trigram_entropy", "real_words", "repetition", "copied_share", "distance")
    lines = []
    for row in (row for row in found if row["measure"] in shown):
        name = row["measure"].replace("_", " ").replace("nfe", "calls")
        own = real.get(row["measure"]) if real else None
        spread = "" if row["low"] is None else f"{row['low']:+.3g} to {row['high']:+.3g}"
        cells = [name, f"{row['a']:.3f}", f"{row['b']:.3f}", f"{row['difference']:+.3g}", spread]
        lines.append([*cells, f"{own['mean']:.3f}" if own else ""])
    return table(["measure", *names, "difference", "95 % interval", "real text"], lines)


def two_stage():
    """Threshold decoding in one stage and in two."""
    found = results("two_stage/diffusion_*/summary")
    return differences(found["differences"], found["real_text"], ("one stage", "two stages"))


def grid():
    """The grid of two-stage settings, one line for each draft threshold."""
    points, rows = results("two_stage_grid/*/agg_vs_baseline"), []
    for p in points:
        if p["name"] == "baseline" or (p["confirm_threshold"], p["replace_margin"]) == (0.85, 0.0):
            name = "one stage" if p["name"] == "baseline" else f"draft {p['draft_threshold']}"
            figures = [f"{p[key]:.3f}" for key in ("generative_nll", "trigram_entropy", "distance")]
            verdict = "" if p["name"] == "baseline" else "yes" if p["not_worse"] else "no"
            rows.append([name, f"{p['nfe']:.0f}", *figures, verdict])
    return table(
        ["settings", "calls", "evaluator nll", "trigram entropy", "distance", "not worse than one stage"], rows
    )


def flow(folder="flow_spaced"):
    """Diffusion against diffusion + flow: both spaced, or what the folder says."""
    found = results(f"{folder}/*/summary")
    return differences(found["differences"]["flow - baseline"], found["real_text"], ("diffusion", "diffusion + flow"))


def flow_ordered():
    """The same with thresholds in two stages."""
    return flow("flow_ordered")


def doubted():
    """Two stages: doubted drafts masked again, or replaced at once."""
    found = results("controls")
    return differences(found["rows"], found["settings"]["real_text"], ("mask again", "replace"))


def frontier():
    """The configurations: what they cost, and generative NLL at each entropy."""
    found = results("frontier")
    took = {(row["name"], row["batch"], row["compiled"]): row["seconds"] for row in found["seconds"]}
    batch, nll, costs = max(size for _, size, _ in took), {}, {}
    entropies = sorted({row["entropy"] for row in found["matched"]}, reverse=True)
    middle = entropies[len(entropies) // 2]
    for row in found["matched"]:
        spread = f"{row['generative_nll']:.3f} ({row['generative_nll_low']:.2f} to {row['generative_nll_high']:.2f})"
        nll[row["name"], row["entropy"]] = spread
        if row["entropy"] == middle or row["name"] not in costs:  # its calls there, or where it comes nearest
            costs[row["name"]] = row
    header = ["", "calls", "full passes", "s / 1,000 characters", "compiled", f"compiled, {batch} at a time"]
    header += [f"generative NLL at {entropy} bits" for entropy in entropies] + [f"JSD 4 at {middle}"]

    def cost(row):
        return [
            f"{row['nfe']:.3g}",
            f"{row['full_passes']:.3g}",
            *(f"{took[(row['name'], *way)]:.2f}" for way in ((1, False), (1, True), (batch, True))),
        ]

    lines = []
    for name, row in costs.items():
        divergence = f"{row['jsd_4']:.3f}" if row["entropy"] == middle else ""
        lines.append([name, *cost(row), *(nll.get((name, entropy), "") for entropy in entropies), divergence])
    for row in (row for row in found["points"] if row["name"] not in costs):  # one temperature only
        bits = f"{row['generative_nll']:.3f} at {row['trigram_entropy']:.1f} bits"
        lines.append([row["name"], *cost(row), *[""] * (len(entropies) - 1), bits, ""])
    return table(header, lines)


def frontier_twice():
    """What the frontier says of pairs of configurations, and what it says with other seeds and other prompts."""
    pairs = [
        ("diffusion, spacing 5", "GPT"),
        ("1-layer GPT", "GPT"),
        ("diffusion, spacing 3", "diffusion, spacing 5"),
        ("diffusion, spacing 8", "diffusion, spacing 5"),
        ("diffusion, threshold .85", "diffusion, spacing 5"),
        ("diffusion, two stages", "diffusion, spacing 5"),
        ("flow off, spacing 5", "diffusion, spacing 5"),
        ("flow, spacing 5", "diffusion, spacing 5"),
    ]
    runs = [
        {(row["name"], row["entropy"]): row for row in results(name)["matched"]}
        for name in ("frontier", "frontier_2/frontier")
    ]
    lines = []
    for name, other in pairs:
        found = [run.get((name, entropy), {}).get(f"minus {other}") for entropy in (10.3, 9.2) for run in runs]
        cells = [f"{x[0]:+.2f} ({x[1]:+.2f} to {x[2]:+.2f})" if x else "" for x in found]
        lines.append([f"{name}, minus {other}", *cells])
    return table(["generative NLL", "10.3 bits", "again", "9.2 bits", "again"], lines)


def infilling():
    """Nats per character in a masked span, by its length, and how much that is from GPT's."""
    rows, lines = results("infilling")["rows"], []
    for length in dict.fromkeys(row["length"] for row in rows):
        own = {(row["module"], row["sees"]): row for row in rows if row["length"] == length}
        both = own["diffusion", "both sides"]
        spread = f"{both['difference']:+.3f} ({both['low']:+.2f} to {both['high']:+.2f})"
        keys = (
            ("gpt", "left side"),
            ("diffusion", "left side"),
            ("diffusion", "both sides"),
            ("diffusion_flow", "both sides"),
        )
        lines.append([str(length), *(f"{own[key]['nats']:.3f}" for key in keys), spread, f"{both['calls']:.1f}"])
    header = ["spacing", "GPT, left side", "diffusion, left side", "diffusion, both sides", "flow model, both sides"]
    return table([*header, "diffusion (both) minus GPT", "its calls"], lines)


def long_context():
    """GPT's loss by position, through its cache."""
    rows = results("long_context")["rows"]
    lines = [[f"{r['from']} to {r['to']}", f"{r['nats']:.3f}", f"{r['standard_error']:.3f}"] for r in rows]
    return table(["characters", "nats per character", "standard error"], lines)


def first_minutes():
    """What the same minutes of training buy, here and in the origin."""
    rows = results("first_minutes")["rows"]
    lines = [
        [f"`{r['method']}`", r["whose"], f"{r['parameters'] / 1e6:.1f} M", f"{r['steps']:,}", f"{r['nats']:.3f}"]
        for r in rows
    ]
    return table(["method", "whose", "parameters", "steps", "nats per character of held-out text"], lines)


TABLES = {
    "likelihood": likelihood,
    "paths": paths,
    "trainings": trainings,
    "speed": speed,
    "two_stage": two_stage,
    "grid": grid,
    "flow": flow,
    "flow_ordered": flow_ordered,
    "doubted": doubted,
    "frontier": frontier,
    "frontier_twice": frontier_twice,
    "infilling": infilling,
    "long_context": long_context,
    "first_minutes": first_minutes,
}


def render(readme):
    """The README with its tables as they should be: between `<!-- NAME -->` and `<!-- end -->`."""
    for name, make in TABLES.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        place = re.search(pattern, readme, flags=re.DOTALL)
        check(place, f"README.md: has no place for the table {name}")
        readme = readme[: place.start()] + f"{place[1]}{make()}\n{place[2]}" + readme[place.end() :]
    return readme


def main(args):
    """Write it."""
    path = ROOT / "README.md"
    records.write_text(path, render(path.read_text(encoding="utf-8")))


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
