"""Numbers -> intervals, paired differences, frontiers; and the verdict in words.

Intervals are 95 % percentile bootstrap intervals over clusters: samples of one prompt resemble each other. With a
single prompt the clusters are seeds, and the interval says nothing of other prompts.
"""

import numpy as np

from lab.quality import SAMPLE_MEASURES, Pool

DRAWS = 2000
POOLED = ("trigram_entropy", "jsd_3", "jsd_4", "distance")
UNITS = {
    "nfe": "calls",
    "full_passes": "full passes",
    "chars_per_call": "characters per call",
    "seconds": "s",
    "judge_nll": "nats per character",
    "trigram_entropy": "bits",
    "jsd_3": "bits",
    "jsd_4": "bits",
    "distance": "bits",
}


def clusters(rows):
    """The rows by prompt, or by seed when they all have one prompt -> (their kind, {key: rows})."""
    kind = "prompt" if len({row["prompt"] for row in rows}) > 1 else "seed"
    groups = {}
    for row in rows:
        groups.setdefault(row[kind], []).append(row)
    return f"{kind}s", groups


def resamples(n, draws=DRAWS, seed=0):
    """How often each of n clusters is drawn in each bootstrap sample: (draws, n)."""
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=draws).astype(float)


def interval(values):
    """95 % of the bootstrap values, or None for fewer than two clusters' worth."""
    return [float(v) for v in np.percentile(values, (2.5, 97.5))]


def column(group, name):
    """Mean of a column over a group's rows that have it; NaN when none has."""
    if name == "chars_per_call":
        values = [row["chars"] / row["nfe"] for row in group if row.get("nfe")]
    else:
        values = [row[name] for row in group if row.get(name) is not None]
    return float(np.mean(values)) if values else np.nan


def summarise(rows, reference, names=("nfe", "full_passes", "chars_per_call", "seconds", *SAMPLE_MEASURES)):
    """Each measure of a set of rows: {measure: {mean, low, high}} with n, clusters and what they are."""
    over, groups = clusters(rows)
    weights = resamples(len(groups))
    result = {"n": len(rows), "clusters": len(groups), "over": over}
    for name, value, drawn in _values(groups, reference, names, weights):
        low, high = interval(drawn) if len(groups) > 1 and np.isfinite(drawn).all() else (None, None)
        result[name] = {"mean": value, "low": low, "high": high}
    return result


def compare(a_rows, b_rows, reference, names=("nfe", "full_passes", "chars_per_call", "seconds", *SAMPLE_MEASURES)):
    """Paired differences b - a of each measure, over the clusters that both have: a list of dictionaries."""
    over, a_groups = clusters(a_rows)
    b_groups = clusters(b_rows)[1]
    shared = [key for key in a_groups if key in b_groups]
    sides = [{key: groups[key] for key in shared} for groups in (a_groups, b_groups)]
    weights = resamples(len(shared))
    found = []
    pairs = zip(*(_values(groups, reference, names, weights) for groups in sides), strict=True)
    for (name, a, a_drawn), (_, b, b_drawn) in pairs:
        drawn = b_drawn - a_drawn
        low, high = interval(drawn) if len(shared) > 1 and np.isfinite(drawn).all() else (None, None)
        found.append({"measure": name, "unit": UNITS.get(name, ""), "a": a, "b": b, "difference": b - a, "low": low, "high": high})
        found[-1] |= {"n": len(a_rows), "clusters": len(shared), "over": over}
    return found


def _values(groups, reference, names, weights):
    """(name, value over all groups, values over resamples) of every measure."""
    for name in names:
        means = np.array([column(group, name) for group in groups.values()])
        ok = np.isfinite(means)
        if ok.any():
            total = np.where(weights[:, ok].sum(-1) > 0, weights[:, ok] @ means[ok] / np.maximum(weights[:, ok].sum(-1), 1), np.nan)
            yield name, float(means[ok].mean()), total
    if reference is not None:
        pool = Pool(list(groups.values()), reference)
        whole, drawn = pool.measure(), pool.measure(weights)
        for name in POOLED:
            yield name, float(whole[name]), drawn[name]


def in_words(found, a="a", b="b"):
    """A comparison's verdict in a sentence: which way, how far, how sure."""
    what, unit = found["measure"].replace("_", " "), found["unit"]
    size = f"{what} {found['a']:.4g} ({a}), {found['b']:.4g} ({b})"
    if found["low"] is None:
        return f"{size}: one cluster only, so nothing can be said about the difference"
    spread = f"[{found['low']:.3g}, {found['high']:.3g}] {unit}".strip()
    spread += f", {found['clusters']} {found['over']}"
    if found["low"] == found["high"] == 0:
        return f"{size}: equal"
    if found["low"] <= 0 <= found["high"]:
        return f"{size}: no difference seen, 95 % interval {spread}"
    return f"{size}: {b} {'higher' if found['low'] > 0 else 'lower'} by {abs(found['difference']):.3g}, 95 % interval {spread}"


def frontier(points, speed, cost):
    """The points that no other one beats: none is at least as fast at no more cost, and better in one of the two.

    points: dictionaries; speed: key of what should be high; cost: key of what should be low.
    """
    known = [p for p in points if p.get(speed) is not None and p.get(cost) is not None]

    def beaten(p):
        return any(
            q[speed] >= p[speed] and q[cost] <= p[cost] and (q[speed], q[cost]) != (p[speed], p[cost]) for q in known
        )

    return sorted((p for p in known if not beaten(p)), key=lambda p: p[speed])
