"""Rows of the pages' tables, from results/ alone, where they are not the rows of a file as they stand."""

import re
from collections import defaultdict

import numpy as np

from benchmarks.configurations import COOLED, FAMILIES, PAIRS, middle
from lab.cli import ROOT, check
from lab.measuring import records, stats

SUMMARY = {  # what README compares: its weights, and its name in Chinese
    "GPT": ("gpt", "GPT"),
    "GPT, draft model": ("gpt", "GPT + 草稿模型"),
    "1-layer GPT": ("gpt_1_layer", "单层 GPT"),
    "1-layer GPT, draft model": ("gpt_1_layer", "单层 GPT + 草稿模型"),
    "4 streams": ("streams", "四条流"),
    "2 streams, draft model": ("streams", "两条流 + 草稿模型"),
    "4 streams, 1 layer, draft model": ("streams_1_layer", "四条流，单层 + 草稿模型"),
    COOLED: ("diffusion", "扩散，间隔 8"),
    f"{COOLED}, revise 3": ("diffusion", "同上，修订 3 遍"),
    "flow, spacing 8, cooled": ("diffusion_flow", "扩散 + 流，间隔 8"),
    "real text": (None, "真实文本"),
}
MEASURES = {  # those that the pages compare
    "nfe": "passes",
    "generative_nll": "generative NLL",
    "trigram_entropy": "trigram entropy",
    "real_words": "real words",
    "repetition": "repetition",
    "copied_share": "copied share",
    "distance": "distance",
}


def results(name):
    """What a command left in results/: the one JSON file so called, * standing for anything."""
    found = [*(ROOT / "results").glob(f"{name}.json")]
    check(len(found) == 1, f"results/{name}.json: {len(found)} such files, and the pages need one")
    return records.read_json(found[0])


def pivot(source, index, columns, share=None):
    """One row for each combination of the index columns; in it are the rows that have it, by their other columns.

    share: of the missing characters, where there are several.
    """
    found = [row for row in rows(source) if row.get("share") == share]
    groups = stats.grouped(found, *index).values()
    return [group[0] | {", ".join(map(row.get, columns)): row for row in group} for group in groups]


def held_out(file):
    """(model, nats per character) of the test split in non-overlapping windows."""
    for row in results(file)["rows"]:
        if row["part"] == "test split" and "non-overlapping" in row["measure"]:
            yield row["module"], row["nats"]


def seeds():
    """Trainings at a twentieth of the budget: a row for each method, with the mean and the extremes of what its seeds reach."""
    found = defaultdict(lambda: defaultdict(list))
    for method, nats in held_out("seeds/likelihood"):
        found[method]["nats"].append(nats)
    for row in results("seeds")["matched"]:
        method, _, _ = row["name"].rpartition("_")
        found[method][f"at {row['entropy']:.0f} bits"].append(row["generative_nll"])
    for method, figures in found.items():
        row = {"method": method, "trainings": len(figures["nats"])}
        for key, values in figures.items():
            row[key] = f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"
            row[f"spread {key}"] = max(values) - min(values)
        yield row


def differences(name, comparison=None):
    """Paired differences between two sets of texts, from a script's summary."""
    found = results(name)
    for row in found["differences"][comparison] if comparison else found["differences"]:
        measure = row["measure"]
        if measure in MEASURES:
            yield row | {"name": MEASURES[measure], "real": found["real_text"].get(measure)}


def two_stage_grid():
    """The grid of two-stage settings: its baseline, and a row for each draft threshold."""
    baseline, *rows = results("two_stage_grid/*/agg_vs_baseline")
    yield baseline | {"settings": "one stage", "verdict": ""}
    for row in rows:
        if (row["confirm_threshold"], row["replace_margin"]) == (0.85, 0.0):
            verdict = "yes" if row["not_worse"] else "no"
            yield row | {"settings": f"draft {row['draft_threshold']}", "verdict": verdict}


def of_frontier(found, only):
    """The configurations of a frontier: costs at the middle entropy, or where they come nearest; NLL at each; real text.

    found: what benchmarks.frontier wrote; only: regular expression that the names contain.
    """
    entropies = found["settings"]["entropies"]
    once = "{generative_nll:.3f} at {trigram_entropy:.1f} bits"
    spread = "{generative_nll:.3f} ({generative_nll_low:.2f} to {generative_nll_high:.2f})"
    rows = {}
    for row in found["matched"]:
        mine = rows.setdefault(row["name"], row | {"jsd_4": None})
        if row["entropy"] == middle(entropies):
            mine.update(row)
        form = once if row["generative_nll_low"] is None else spread  # of few prompts there is no interval
        mine[f"at {row['entropy']:.0f} bits"] = form.format_map(row)
    for row in found["points"]:
        if row["name"] not in rows:  # one temperature only
            rows[row["name"]] = row | {"jsd_4": None, f"at {entropies[-1]:.0f} bits": once.format_map(row)}
    for row in found["seconds"]:
        alone = "compiled" if row["compiled"] else "eager"
        if row["name"] in rows:  # they may be of another run
            rows[row["name"]][alone if row["batch"] == 1 else "together"] = row["seconds"]
    real = found["real_text"]
    own = {"name": "real text", "jsd_4": real["jsd_4"], "bits": real["trigram_entropy"]}
    own[f"at {max(entropies):.0f} bits"] = once.format_map(real)
    return [*(row for name, row in rows.items() if re.search(only, name)), own]


def configurations(family=""):
    """Those of the shipped weights; family: of FAMILIES, default all."""
    return of_frontier(results("frontier"), FAMILIES.get(family, ""))


def differences_at_entropy(family):
    """Differences in generative NLL between pairs of a family at equal diversity, and their forward passes."""
    members = {row["name"] for row in configurations(family)}
    found = results("frontier")["matched"]
    passes = {(row["name"], row["entropy"]): row["nfe"] for row in found}
    pairs = [(name, other) for other, names in PAIRS.items() for name in names if {name, other} <= members]
    for name, other in pairs:
        row = {"pair": f"{name}, minus {other}"}
        for mine in found:
            if mine["name"] == name and f"minus {other}" in mine:
                bits = mine["entropy"]
                row[f"at {bits:.0f} bits"] = "{:+.2f} ({:+.2f} to {:+.2f})".format(*mine[f"minus {other}"])
                row[f"calls at {bits:.0f}"] = f"{mine['nfe']:.0f} and {passes[other, bits]:.0f}"
        if len(row) > 1:  # both reach one of the entropies
            yield row


def summary():
    """What README compares, with all that is known of it."""
    found = {row["name"]: row for row in configurations()}
    made = {row["weights"]: row for row in results("shipped")["rows"]}
    for name, nats in held_out("likelihood"):
        made[name]["nats"] = nats
    one_character, *_ = rows("infilling")
    made["gpt"]["gap of 1"] = one_character["gpt, left side"]["nats"]
    made["diffusion"]["gap of 1"] = one_character["diffusion, both sides"]["nats"]
    for row in results("budgets")["rows"]:
        made[row["module"]].update(row)
    scattered = {row["method"]: row["scattered"] for row in rows("restoring")}
    made["diffusion"]["restored_right"] = scattered["diffusion, spaced"]["right"]
    made["diffusion"]["n-grams"] = scattered["n-grams, both sides"]
    for row in seeds():
        made[row["method"]]["seeds"] = row
    made["diffusion_flow"]["off"] = found["flow off, spacing 8, cooled"]
    for name, (weights, chinese) in SUMMARY.items():
        shown = name.replace(f"{COOLED}, ", "the same, ").replace("draft model", "drafts")  # it stands below that row
        yield found[name] | made.get(weights, {}) | {"shown": shown, "chinese": chinese}


def peers(part):
    """What benchmarks.peers found, with the package and its version; part: samplers or losses."""
    for name, found in results("peers")["packages"].items():
        package = found["pinned"][0].replace("==", " ") if found["pinned"] else name.replace("_", "-")
        for row in found[part]:
            yield row | {"package": package}


def samplers():
    """A row for each sampler, whose cells list what it is for each number of passes."""
    for runs in stats.grouped(peers("samplers"), "package", "sampler").values():
        yield {key: [run[key] for run in runs] for key in runs[0]}


ROWS = {
    "summary": (summary,),
    "likelihood": (pivot, "likelihood.rows", ("module", "measure"), ("part",)),
    "seeds": (seeds,),
    "infilling": (pivot, "infilling.rows", ("length",), ("module", "sees")),
    "restoring": (pivot, "restoring.rows", ("method",), ("kind",), 0.15),
    "tang": (pivot, "restoring_tang.rows", ("method",), ("kind",), 0.15),
    "two_stage": (differences, "two_stage/diffusion_*/summary"),
    "two_stage_grid": (two_stage_grid,),
    "flow_spaced": (differences, "flow_spaced/*/summary", "flow - baseline"),
    "flow_thresholds": (differences, "flow_ordered/*/summary", "flow - baseline"),
    "streams": (configurations, "streams"),
    "streams_pairs": (differences_at_entropy, "streams"),
    "masked": (configurations, "masked"),
    "masked_pairs": (differences_at_entropy, "masked"),
    "samplers": (samplers,),
    "losses": (peers, "losses"),
}


def rows(source):
    """Rows by name: of ROWS, or FILE.KEY for those of results/FILE.json. Raises KeyError on unknown names."""
    name, _, key = source.partition(".")
    if key:
        return results(name)[key]
    function, *given = ROWS[name]
    return function(*given)
