"""Write the tables and samples in README.md and docs/ anew, from results/ alone.

uv run -m benchmarks.readme
"""

import re
import sys
from dataclasses import dataclass

import lab.start  # noqa: F401 (before PyTorch)

import pandas as pd

from lab import cli, records
from lab.cli import ROOT, check

SPACED = "diffusion, spacing 8"  # what the frontier's other configurations are compared with
OTHERS = ("diffusion, spacing 3", "diffusion, spacing 5", "diffusion, threshold .85", "diffusion, two stages")
PAIRS = {
    "GPT": (SPACED, "1-layer GPT"),
    SPACED: (*OTHERS, "flow off, spacing 8", "flow, spacing 8"),
    "flow off, spacing 8": ("flow, spacing 8",),
    "flow off, two stages": ("flow, two stages", "flow until .1, two stages"),
    "flow off, stages .8 / .6": ("flow, stages .8 / .6",),
    "flow off, threshold .85": ("flow, threshold .85",),
    "the origin's flow off, spacing 8": ("the origin's flow, spacing 8",),
    "the origin's flow off, two stages": ("the origin's flow, two stages",),
}
MASKED = {SPACED: "diffusion", "diffusion, threshold .85": "diffusion", "flow, spacing 8": "diffusion_flow"}
SUMMARY = {"GPT": "gpt", "1-layer GPT": "gpt_1_layer"} | MASKED  # what README compares, and its weights
READING = {"parameters": "{parameters:,}", "text read": "{characters:,}", "minutes": "{minutes:.0f}"}
WRITING = {"held-out text": "{nats:.2f}", "one missing character": "{one:.2f}", "calls": "{nfe:.0f}"}
TIMES = {"seconds": "{1 False:.2f}", "seconds, 32 together": "{32 True:.2f}"}
FIGURES = READING | WRITING | TIMES | {"generative NLL": "{generative_nll:.2f}"}
CHINESE = (
    {"parameters": "参数量", "text read": "训练读入字符", "minutes": "训练分钟数", "held-out text": "留出文本"}
    | {"one missing character": "填一个字符", "calls": "调用次数", "seconds": "秒/千字符", "GPT": "GPT"}
    | {"seconds, 32 together": "秒/千字符（32 篇一起）", "generative NLL": "生成 NLL", "1-layer GPT": "单层 GPT"}
    | {SPACED: "扩散，间隔 8", "diffusion, threshold .85": "扩散，阈值 0.85", "flow, spacing 8": "扩散 + 流，间隔 8"}
)
SHOWN = ("nfe", "generative_nll", "trigram_entropy", "real_words", "repetition", "copied_share", "distance")


@dataclass(frozen=True)
class Args:
    pass


def results(name):
    """What a command left in results/: the one JSON file so called, * standing for anything."""
    found = [*(ROOT / "results").glob(f"{name}.json")]
    check(len(found) == 1, f"results/{name}.json: {len(found)} such files, and the pages need one")
    return records.read_json(found[0])


def table(rows, columns):
    """A Markdown table of rows (dictionaries). columns: heading -> how it is made of a row; a missing value: empty."""

    def cell(row, template):
        try:
            return template.format_map(row)
        except (KeyError, TypeError):
            return ""

    cells = [{heading: cell(row, template) for heading, template in columns.items()} for row in rows]
    return pd.DataFrame(cells).to_markdown(index=False, disable_numparse=True, tablefmt="github")


def wide(rows, index, column, template):
    """One row for each combination of the index columns; what a row says, by its value in `column`."""
    found = {}
    for row in rows:
        key = tuple(row[name] for name in index)
        found.setdefault(key, dict(zip(index, key, strict=True)))[str(row[column])] = template.format_map(row)
    return list(found.values())


def likelihood():
    """Nats per character of held-out text."""
    rows = wide(results("likelihood")["rows"], ("module", "measure"), "part", "{nats:.4f} ({bits:.4f})")
    columns = {"model": "`{module}`", "measure": "{measure}", "test split: nats (bits) per character": "{test split}"}
    return table(rows, columns | {"validation split": "{validation split}", "whole": "{whole}"})


def trainings():
    """How the shipped weights were made."""
    rows = [row | {"command": re.sub(r" --(we|ma)\S+ \S+", "", row["command"])} for row in results("shipped")["rows"]]
    columns = {"file": "`{weights}.pt`", "command": "`{command}`", "parameters": "{parameters:,}"}
    columns |= {"steps": "{steps:,} x {batch} windows", "characters read": "{characters:,}", "minutes": "{minutes:.0f}"}
    columns |= {"calibrated by": "{temperature:.2f}"}
    return table(rows, columns | {"on": "{processor}, {threads} threads", "commit": "`{commit}`"})


def speed():
    """Ratios measured side by side."""
    rows = [
        row | {key: f"{row[key]:,.0f}" if row[key] >= 100 else f"{row[key]:.3g}" for key in ("ours", "theirs")}
        for row in results("speed")["rows"]
    ]
    columns = {"measured": "{what}", "unit": "{unit}", "ours": "{ours}", "against": "{theirs}"}
    return table(rows, columns | {"times faster": "**{ratio:.1f}**"})


def runtimes():
    """ONNX Runtime against PyTorch, in turn."""
    columns = {"measured": "{what}", "unit": "{unit}", "ONNX Runtime": "{ours:.4g}", "PyTorch": "{theirs:.4g}"}
    return table(results("runtimes")["rows"], columns | {"times faster": "**{ratio:.1f}**"})


def runtime_models():
    """What else is to be said of each method's graph."""
    columns = {"method": "`{module}`", "export, seconds": "{export_seconds:.0f}"}
    columns |= {"MB, PyTorch": "{torch_mb:.0f}", "MB, ONNX Runtime": "{onnx_mb:.0f}"}
    columns |= {"greatest difference of logits": "{logits:.1g}", "of likelihoods, nats": "{likelihood:.1g}"}
    return table(
        results("runtimes")["models"],
        columns | {"equal texts": "{equal} of {texts}", "equal in one batch": "{equal_together} of {texts}"},
    )


def operators():
    """What a cached call of GPT and a training step spend their time on."""
    rows = [row | {"operator": row["operator"].split(" f")[0].strip("# ")} for row in results("speed")["operators"]]
    columns = {"in a": "{doing}", "operator of PyTorch": "`{operator}`", "how many": "{in one:.0f}"}
    return table(rows, columns | {"microseconds each": "{microseconds:,.1f}", "share of time": "{share:.0%}"})


def draft_models():
    """GPT with draft models, beside GPT alone."""
    columns = {"draft model": "{draft model}", "drafts": "{drafts}"}
    columns |= {"calls for 1,000 characters": "{calls per 1,000 characters:.0f}", "times faster": "**{ratio:.1f}**"}
    return table(results("draft_model")["rows"], columns)


def first_minutes():
    """What the same minutes of training buy, here and in the origin."""
    columns = {"method": "`{method}`", "whose": "{whose}", "minutes": "{minutes:.0f}", "parameters": "{parameters:,}"}
    columns |= {"steps": "{steps:,}", "nats per character of held-out text": "{nats:.3f}"}
    return table(results("first_minutes")["rows"], columns)


def paths():
    """What an unmasking strategy costs each model: nats per character, by calls."""
    rows = [
        row | {"strategy": row["strategy"].replace("=", " ")}
        for row in results("likelihood")["paths"]
        if row["module"] != "diffusion_flow"
        or row["strategy"].startswith(("left", "spacing"))  # the others: about diffusion's
    ]
    columns = {"model": "`{module}`", "unmasking strategy": "{strategy}", "calls for 240 characters": "{calls:.1f}"}
    return table(rows, columns | {"nats per character": "{nats:.3f}", "95 % interval": "{low:.3f} to {high:.3f}"})


def differences(found, real, a, b):
    """Paired differences between two sets of texts."""
    named = {"nfe": "calls", "generative_nll": "generative NLL"}
    rows = [
        row | {"name": named.get(row["measure"], row["measure"].replace("_", " ")), "real": real.get(row["measure"])}
        for row in found
        if row["measure"] in SHOWN
    ]
    columns = {"measure": "{name}", a: "{a:.3f}", b: "{b:.3f}", "difference": "{difference:+.3g}"}
    columns |= {"95 % interval": "{low:+.3g} to {high:+.3g}", "verdict": "{verdict}"}
    return table(rows, columns | {"real text": "{real[mean]:.3f}"})


def two_stage():
    """Threshold decoding in one stage and in two."""
    found = results("two_stage/diffusion_*/summary")
    return differences(found["differences"], found["real_text"], "one stage", "two stages")


def flow_spaced(folder="flow_spaced"):
    """Diffusion against diffusion + flow, both spaced."""
    found = results(f"{folder}/*/summary")
    return differences(found["differences"]["flow - baseline"], found["real_text"], "diffusion", "diffusion + flow")


def flow_thresholds():
    """The same with thresholds in two stages."""
    return flow_spaced("flow_ordered")


def grid():
    """The grid of two-stage settings, one line for each draft threshold."""
    rows, verdicts = results("two_stage_grid/*/agg_vs_baseline"), {None: "", True: "yes", False: "no"}
    rows = [
        row | {"verdict": verdicts[row.get("not_worse")], "settings": f"draft {row['draft_threshold']}"}
        for row in rows
        if row["name"] == "baseline" or (row["confirm_threshold"], row["replace_margin"]) == (0.85, 0.0)
    ]
    rows[0] |= {"settings": "one stage", "verdict": ""}
    columns = {"settings": "{settings}", "calls": "{nfe:.0f}", "generative NLL": "{generative_nll:.3f}"}
    columns |= {"trigram entropy": "{trigram_entropy:.3f}", "distance": "{distance:.3f}"}
    return table(rows, columns | {"not worse than one stage": "{verdict}"})


def costs(found):
    """The frontier's configurations by name: what each costs (at the middle entropy or where it comes nearest), its NLL."""
    entropies, rows = found["settings"]["entropies"], {}
    for row in found["matched"]:
        spread = f"{row['generative_nll']:.3f} ({row['generative_nll_low']:.2f} to {row['generative_nll_high']:.2f})"
        mine = rows.setdefault(row["name"], row | {"jsd_4": None})
        mine |= row if row["entropy"] == entropies[len(entropies) // 2] else {}
        mine |= {f"bits {row['entropy']}".replace(".", ","): spread}
    for row in found["points"]:  # the one that has one temperature only
        once = f"{row['generative_nll']:.3f} at {row['trigram_entropy']:.1f} bits"
        rows.setdefault(row["name"], row | {"jsd_4": None, f"bits {entropies[-1]}".replace(".", ","): once})
    for row in found["seconds"]:
        rows[row["name"]][f"{row['batch']} {row['compiled']}"] = row["seconds"]
    return rows


def frontier():
    """Configurations: what they cost and their generative NLL."""
    found = results("frontier")
    entropies, batch = found["settings"]["entropies"], found["settings"]["batch"]
    columns = {"configuration": "{name}", "calls": "{nfe:.3g}", "full passes": "{full_passes:.3g}"}
    if found["seconds"]:
        columns |= {"s / 1,000 characters": "{1 False:.2f}", "compiled": "{1 True:.2f}"}
        columns |= {f"compiled, {batch} at a time": f"{{{batch} True:.2f}}"}
    columns |= {f"generative NLL at {bits} bits": f"{{bits {bits}}}".replace(".", ",") for bits in entropies}
    columns[f"JSD 4 at {entropies[len(entropies) // 2]}"] = "{jsd_4:.3f}"
    return table(costs(found).values(), columns)


def budgets():
    """What each method's training computed and where it stands at an equal budget."""
    columns = {"method": "`{module}`", "windows": "{windows:,}", "passes over the text": "{passes:.1f}"}
    columns |= {"positions computed": "{positions:,}", "FLOP": "{flop:.2g}", "minutes": "{minutes:.0f}"}
    columns |= {"validation loss": "{val_loss:.3f}", "at equal positions": "{val_loss_at_equal_positions:.3f}"}
    columns |= {"at equal FLOP": "{val_loss_at_equal_flop:.3f}"}
    columns |= {"calibrated, then": "{calibrated:.3f}", "calibrated, now": "{calibrated_now:.3f}"}
    return table(results("budgets")["rows"], columns)


def figures():
    """What README compares, by name, with all that is known of it."""
    found, made = costs(results("frontier")), {row["weights"]: row for row in results("shipped")["rows"]}
    for row in reversed(results("likelihood")["rows"]):  # the first of a model: test split, non-overlapping windows
        made[row["module"]]["nats"] = row["nats"]
    for row in results("infilling")["rows"]:
        if row["length"] == 1 and (row["module"] == "gpt" or row["sees"] == "both sides"):
            made[row["module"]]["one"] = row["nats"]
    return {name: found[name] | made[weights] for name, weights in SUMMARY.items()}


def summary():
    """The figures that README compares."""
    return table(figures().values(), {"configuration": "{name}"} | FIGURES)


def summary_in_chinese():
    """The same in Chinese, unaligned: how wide a Chinese character is depends on what is installed."""
    rows = [row | {"name": CHINESE[name]} for name, row in figures().items()]
    made = table(rows, {"配置": "{name}"} | {CHINESE[heading]: cell for heading, cell in FIGURES.items()})
    return re.sub(" +", " ", re.sub("-{3,}", "---", made))


def pairs():
    """What the frontier says of pairs of configurations at equal diversity: generative NLL of one minus other, calls."""
    found, rows = {(row["name"], row["entropy"]): row for row in results("frontier")["matched"]}, []
    for other, name in ((other, name) for other, names in PAIRS.items() for name in names):
        row = {"pair": f"{name}, minus {other}"}
        for bits in (10.3, 9.2, 8.3):
            mine, its = found.get((name, bits)), found.get((other, bits))
            if its and f"minus {other}" in (mine or {}):
                row[f"nll {bits:.0f}"] = "{:+.2f} ({:+.2f} to {:+.2f})".format(*mine[f"minus {other}"])
                row[f"calls {bits:.0f}"] = f"{mine['nfe']:.0f} and {its['nfe']:.0f}"
        rows += [row] * (len(row) > 1)  # where both reach one of the three
    columns = {"difference in generative NLL": "{pair}", "10.3 bits": "{nll 10}", "calls of the two": "{calls 10}"}
    return table(rows, columns | {"9.2 bits": "{nll 9}", "calls": "{calls 9}", "8.3 bits": "{nll 8}"})


def infilling():
    """Nats per character in a masked span, by its length, and how much that is from GPT's."""
    found = results("infilling")["rows"]
    rows = wide([row | {"who": f"{row['module']} {row['sees']}"} for row in found], ("length",), "who", "{nats:.3f}")
    both = {row["length"]: row for row in found if (row["module"], row["sees"]) == ("diffusion", "both sides")}
    columns = {"characters masked": "{length}", "GPT, left side": "{gpt left side}"}
    columns |= {f"diffusion, {sees}": f"{{diffusion {sees}}}" for sees in ("left side", "both sides")}
    columns |= {"flow model, both sides": "{diffusion_flow both sides}"}
    columns |= {"diffusion (both) minus GPT": "{difference:+.3f} ({low:+.2f} to {high:+.2f})"}
    return table([row | both[row["length"]] for row in rows], columns | {"its calls": "{calls:.1f}"})


def peers(part):
    """(package and version, row) of what benchmarks/peers.py found: part is "samplers" or "losses"."""
    for name, found in results("peers")["packages"].items():
        yield from (((*found["pinned"], name.replace("_", "-"))[0].replace("==", " "), row) for row in found[part])


def peers_samplers():
    """What other packages' samplers and ours do; a cell has a figure for each number of passes, or one for all."""
    told = {"passes made": "{passes:.0f}", "left to the last": "{left:.0f}", "masks left": "{masks:.0f}"}
    told |= {"known kept": "{known:.0%}", "TV, 2 positions": "{tv_2:.2f}", "TV, 3 positions": "{tv_3:.2f}"}
    told |= {
        "generative NLL": "{nll:.2f}",
        "trigram entropy": "{entropy:.1f}",
        "seconds, by ours in 16 passes": "{slower:.1f}",
    }
    rows = {}
    for package, row in peers("samplers"):
        mine = rows.setdefault((package, row["sampler"]), {"package": package, "sampler": row["sampler"]})
        for heading, template in told.items():
            lacks = row.get(template.split(":")[0][1:]) is None
            mine.setdefault(heading, []).append("–" if lacks else template.format_map(row))
    for row in rows.values():
        row |= {key: cells[0] if len({*cells}) == 1 else " / ".join(cells) for key, cells in row.items() if key in told}
    shown = [heading for heading in told if any(row[heading] != "–" for row in rows.values())]
    return table(rows.values(), {heading: f"{{{heading}}}" for heading in ("package", "sampler", *shown)})


def peers_losses():
    """What other packages' losses and ours say where the answer is known, and what weighs in them."""
    columns = {"package": "{package}", "loss": "{loss}", "exact network": "{toy:.2f}", "knows nothing": "{blind:.2f}"}
    columns |= {"10 % masks": "{at_10:.2f}", "50 %": "{at_50:.2f}", "90 %": "{at_90:.2f}"}
    columns |= {"a known position": "{visible:.2f}", "changes": "{changes}"}
    return table([row | {"package": package} for package, row in peers("losses")], columns)


def samples():
    """The first lines that each command writes."""
    return "\n".join(["```text", *map("$ uv run {command}\n{text}".format_map, results("shipped")["samples"]), "```"])


OF_MODELS = (
    likelihood,
    trainings,
    budgets,
    speed,
    runtimes,
    runtime_models,
    operators,
    draft_models,
    first_minutes,
    paths,
    infilling,
)
OF_PEERS = (peers_samplers, peers_losses)
OF_TEXTS = (samples, two_stage, flow_spaced, flow_thresholds, grid, frontier, pairs)
PLACES = {table.__name__: table for table in (*OF_MODELS, *OF_PEERS, *OF_TEXTS, summary, summary_in_chinese)}


def render(page):
    """A page with all between `<!-- NAME -->` and `<!-- end -->` as the results have it. Raises UserError on unknown names.

    In a line, `<!-- CONFIGURATION: FIGURE -->` is one cell of `summary`.
    """

    def fill(place):
        check(place[1] in PLACES, f"{place[1]}: unknown; known: {', '.join(PLACES)}")
        return f"<!-- {place[1]} -->\n{PLACES[place[1]]()}\n<!-- end -->"

    cell = re.compile(r"(<!-- ([^:>\n]+): ([^>\n]+) -->).*?<!-- end -->")
    known = figures() if cell.search(page) else {}
    page = cell.sub(lambda at: f"{at[1]}{FIGURES[at[3]].format_map(known[at[2]])}<!-- end -->", page)
    return re.sub(r"<!-- (\w+) -->\n.*?<!-- end -->", fill, page, flags=re.DOTALL)


def pages():
    """The pages that may have such places."""
    return sorted([*ROOT.glob("README*.md"), *ROOT.glob("docs/*.md")])


def main(args=None):
    """Write every page anew."""
    for path in pages():
        records.write_text(path, render(path.read_text(encoding="utf-8")))


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
