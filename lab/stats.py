"""Numbers -> intervals, paired differences, Pareto-optimal points; and the verdict in words.

Intervals are 95 % percentile bootstrap intervals over clusters: samples of one prompt resemble each other. With a
single prompt the clusters are seeds, and the interval says nothing of other prompts.
"""

import numpy as np

from lab.cli import check
from lab.quality import SAMPLE_MEASURES, Pool, measure
from lab.records import Row

DRAWS = 2000  # bootstrap samples
FEWEST_CLUSTERS = 5  # clusters that an interval needs
POOLED = ("trigram_entropy", "jsd_3", "jsd_4", "distance")
FIXED = {*Row.__struct_fields__} - {"name", "module", "weights", "chars"}  # columns that are not settings
MEASURES = ("nfe", "full_passes", "chars_per_call", "seconds", *SAMPLE_MEASURES)
UNITS = {
    "nfe": "calls",
    "full_passes": "full passes",
    "chars_per_call": "characters per call",
    "seconds": "s",
    "generative_nll": "nats per character",
    "trigram_entropy": "bits",
    "jsd_3": "bits",
    "jsd_4": "bits",
    "distance": "bits",
}


def clusters(rows):
    """The rows by prompt, or by seed when they all have one prompt -> (their kind, {key: rows})."""
    kind = "prompt" if len({row["prompt"] for row in rows}) > 1 else "seed"
    return f"{kind}s", grouped(rows, kind)


def grouped(rows, *keys):
    """The rows by a column, {value: rows}, or by several, {(value, ...): rows}, in order."""
    groups = {}
    for row in rows:
        own = tuple(row.get(key) for key in keys)
        groups.setdefault(own if len(keys) > 1 else own[0], []).append(row)
    return groups


def resamples(n, draws=DRAWS):
    """How often each of n clusters is drawn in each bootstrap sample: (draws, n).

    As counts, so that one draw serves every measure, pooled n-grams too; scipy's bootstrap draws values anew for each.
    """
    return np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=draws).astype(float)


def interval(drawn, n):
    """95 % of the bootstrap values of n clusters; (None, None) for fewer than FEWEST_CLUSTERS, which would say too much."""
    if n < FEWEST_CLUSTERS or not np.isfinite(drawn).all():
        return None, None
    return tuple(float(v) for v in np.percentile(drawn, (2.5, 97.5)))


def mean_interval(values):
    """95 % bootstrap interval of the mean of values (n,), each a cluster of its own."""
    return interval(resamples(len(values)) @ values / len(values), len(values))


def column(group, name):
    """Mean of a column over a group's rows that have it; NaN when none has."""
    if name == "chars_per_call":
        values = [row["chars"] / row["nfe"] for row in group if row.get("nfe")]
    else:
        values = [row[name] for row in group if row.get(name) is not None]
    return float(np.mean(values)) if values else np.nan


def summarise(rows, reference, names=MEASURES):
    """Each measure of a set of rows: {measure: {mean, low, high}} with n, clusters and what they are."""
    over, groups = clusters(rows)
    weights = resamples(len(groups))
    result = {"n": len(rows), "clusters": len(groups), "over": over}
    for name, (value,), (drawn,), known in resampled([groups], reference, names, weights):
        low, high = interval(drawn, known)
        result[name] = {"mean": value, "low": low, "high": high}
    return result


def compare(a_rows, b_rows, reference, names=MEASURES):
    """Paired differences b - a of each measure, over the clusters that both have: a list of dictionaries."""
    over, a_groups = clusters(a_rows)
    b_groups = clusters(b_rows)[1]
    shared = [key for key in a_groups if key in b_groups]
    sides = [{key: groups[key] for key in shared} for groups in (a_groups, b_groups)]
    check(shared, f"two sets of texts have no {over[:-1]} in common: nothing to compare")
    weights, found = resamples(len(shared)), []
    for name, (a, b), (a_drawn, b_drawn), known in resampled(sides, reference, names, weights):
        low, high = interval(b_drawn - a_drawn, known)
        row = {"measure": name, "unit": UNITS.get(name, ""), "a": a, "b": b, "difference": b - a}
        found.append(row | {"low": low, "high": high, "n": len(a_rows), "clusters": known, "over": over})
    return found


def resampled(sides, reference, names, weights):
    """(name, each side's value, each side's values over resamples, clusters that all sides have it in) of every measure.

    sides: [{cluster: rows}], the same clusters in each; weights: (draws, clusters) from `resamples`.
    """
    for name in names:
        means = np.array([[column(group, name) for group in groups.values()] for groups in sides])  # (sides, clusters)
        known = np.isfinite(means).all(0)
        if known.any():
            own = weights[:, known]
            drawn = means[:, known] @ (own / np.maximum(own.sum(1, keepdims=True), 1e-9)).T
            yield name, means[:, known].mean(1).tolist(), drawn, int(known.sum())
    if reference is None:
        return
    pools, parts = [Pool(list(groups.values()), reference) for groups in sides], np.array_split(weights, 20)
    if not all(pool.has_counts() for pool in pools):
        return
    whole, drawn = [pool.figures() for pool in pools], [[pool.figures(part) for part in parts] for pool in pools]
    for name in POOLED:
        values = [float(side[name]) for side in whole]
        spread = [np.concatenate([part[name] for part in side]) for side in drawn]
        # a resample has fewer distinct n-grams than the sample: only its spread is taken
        spread = [own - own.mean() + value for own, value in zip(spread, values, strict=True)]
        yield name, values, spread, weights.shape[1]


def settings(rows):
    """The rows of each setting, name and weights included, in order."""
    return list(grouped(rows, *dict.fromkeys(key for row in rows for key in row if key not in FIXED)).values())


def by_setting(rows, reference):
    """One point per settings, name and weights included: each measure with its interval (measure_low, measure_high).

    chars_per_second comes from the texts that were written alone.
    """
    points = []
    for group in settings(rows):
        point = {key: value for key, value in group[0].items() if key not in FIXED}
        texts = {(row["seed"], row["prompt"]) for row in group}
        twice = f"{point['name']}: has texts of the same seed and prompt: was a file given twice?"
        check(len(texts) == len(group), twice)
        timed = [row["chars"] / row["seconds"] for row in group if row.get("seconds")]
        for name, found in summarise(equal_size(group, reference), reference).items():
            if isinstance(found, dict):
                point |= {name: found["mean"], f"{name}_low": found["low"], f"{name}_high": found["high"]}
            else:
                point[name] = found
        points.append(point | {"chars_per_second": float(np.median(timed)) if timed else None})
    return points


def equal_size(rows, reference):
    """The rows, or as many of them, evenly spread, as the real text they are compared with has room for."""
    most = max(1, len(reference.real) // len(rows[0]["text"])) if reference else len(rows)
    return rows if len(rows) <= most else [rows[i] for i in np.linspace(0, len(rows) - 1, most).astype(int)]


def real_text(rows, reference):
    """The measures of held-out text, as much of it as there are rows and cut like them; None without a corpus."""
    if reference is None:
        return None
    text, chars = rows[0]["text"], rows[0]["chars"]
    real = measure(reference.cut(len(rows), len(text) - chars, chars), reference)
    return summarise(real, reference, SAMPLE_MEASURES) if real else None


def in_words(found, a="a", b="b"):
    """A comparison's verdict in a sentence: which way, how far, how sure."""
    what, unit = found["measure"].replace("_", " "), found["unit"]
    size = f"{what} {found['a']:.4g} ({a}), {found['b']:.4g} ({b})"
    if found["low"] is None:
        return f"{size}: too few {found['over']} ({found['clusters']}) to tell a difference from chance"
    spread = f"[{found['low']:.3g}, {found['high']:.3g}] {unit}".strip()
    spread += f", {found['clusters']} {found['over']}"
    if found["low"] == found["high"] == 0:
        return f"{size}: equal"
    if found["low"] <= 0 <= found["high"]:
        return f"{size}: no difference seen, 95 % interval {spread}"
    return f"{size}: {b} {'higher' if found['low'] > 0 else 'lower'} by {abs(found['difference']):.3g}, 95 % interval {spread}"


def pareto(points, high, low=()):
    """The Pareto-optimal points, by the first key: those that no other one equals in all keys and beats in one.

    points: dictionaries; high, low: keys of what should be high and of what should be low. Points that lack one are left out.
    """
    known = [point for point in points if all(point.get(key) is not None for key in (*high, *low))]
    scores = np.array([[p[key] for key in high] + [-p[key] for key in low] for p in known])
    beaten = [((scores >= own).all(1) & (scores > own).any(1)).any() for own in scores]
    best = [point for point, worse in zip(known, beaten, strict=True) if not worse]
    return sorted(best, key=lambda point: point[high[0]])
