"""Numbers -> intervals, paired differences, Pareto-optimal points; and the verdict in words.

Intervals are 95 % intervals over clusters: samples of one prompt resemble each other. With a single prompt the clusters
are seeds, and the interval says nothing of other prompts.
"""

import functools
import operator
from typing import NamedTuple

import numpy as np
import pandas
from scipy.special import stdtr, stdtrit

from lab.cli import check
from lab.measuring.quality import SET_MEASURES, TEXT_MEASURES, measure, pooled
from lab.measuring.records import Row
from lab.progress import note

DRAWS = 2000  # bootstrap samples
FEWEST_CLUSTERS = 5  # clusters that an interval needs
LEVEL = 0.05  # of the verdicts: how often equal things may be called different
RULE = "Higher and lower stand after Holm's correction for all measures of a comparison; an interval is of one measure alone."
OLDER = {"copied_run", "jobs", "long_words"}  # columns that only older rows have
FIXED = {*Row.__struct_fields__} - {"name", "chars"} | OLDER  # columns that are no settings


def clusters(rows):
    """The rows by prompt, or by seed when they all have one prompt -> (their kind, {key: rows})."""
    kind = "prompt" if len({row["prompt"] for row in rows}) > 1 else "seed"
    return f"{kind}s", grouped(rows, kind)


def grouped(rows, *keys):
    """The rows by a column, {value: rows}, or by several, {(value, ...): rows}, in order."""
    groups = {}
    for row in rows:
        groups.setdefault(operator.itemgetter(*keys)(row), []).append(row)
    return groups


class Interval(NamedTuple):
    """Where a figure lies in 95 of 100 cases, and the p-value of its being 0; all None where too few clusters know it."""

    low: float | None = None
    high: float | None = None
    p: float | None = None


def leave_one_out(n):
    """Weights of n clusters: all of them, then all but each in turn, (1 + n, n); (1, n) where no interval is given."""
    every = np.ones((1, n))
    return np.concatenate((every, 1 - np.eye(n))) if n >= FEWEST_CLUSTERS else every


@functools.lru_cache
def resamples(n):
    """How often each of n clusters is drawn in each bootstrap sample: (DRAWS, n)."""
    return np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=DRAWS).astype(float)


def interval(figures):
    """The Interval of a figure over n clusters.

    figures: (1 + n,), of all clusters, then without each of them. Their jackknife pseudo-values (Tukey 1958) stand for
    the clusters; those of a mean are its values. On either side the wider of two limits counts: Student's t covers 95 %
    where the clusters are normal and few, the studentised bootstrap (Efron and Tibshirani 1993, chapter 12) holds
    where they are skewed.
    """
    value = float(figures[0])
    others = figures[1:]
    n = len(others)
    if n < FEWEST_CLUSTERS:
        return Interval()
    pseudo = (n - 1) * (others.mean() - others)  # about their mean
    error = pseudo.std(ddof=1) / n**0.5
    if error <= 1e-9 * np.abs(figures).max():  # all clusters agree
        return Interval(value, value, float(value == 0))
    weights = resamples(n)
    means = weights @ pseudo / n
    errors = np.sqrt(np.maximum(weights @ pseudo**2 / n - means**2, 0) / (n - 1))
    varied = errors > 1e-6 * error  # a resample of one value has no error
    drawn = means[varied] / errors[varied]
    student = stdtrit(n - 1, 1 - LEVEL / 2)
    low, high = np.quantile(drawn, (LEVEL / 2, 1 - LEVEL / 2))
    t = value / error
    beyond = min((drawn >= t).sum(), (drawn <= t).sum()) + 1
    p = max(2 * stdtr(n - 1, -abs(t)), 2 * beyond / (len(drawn) + 1))
    limits = value - error * max(student, high), value + error * max(student, -low)
    return Interval(*map(float, limits), min(1.0, float(p)))


def mean_interval(values):
    """The Interval of the mean of values (n,), each a cluster of its own."""
    weights = leave_one_out(len(values))
    return interval(weights @ values / weights.sum(1))


def holm(p_values):
    """P-values of figures that are judged together, corrected by the step-down procedure of Holm (1979)."""
    ascending = pandas.Series(p_values, dtype=float).sort_values()
    corrected = (ascending * np.arange(len(ascending), 0, -1)).cummax().clip(upper=1)
    return corrected.sort_index().tolist()


def summarise(rows, reference):
    """Each measure of a set of rows: {measure: {mean, low, high}} with n, clusters and what they are."""
    over, groups = clusters(rows)
    result = {"n": len(rows), "clusters": len(groups), "over": over}
    for name, (figures,), _ in jackknifed([groups], reference):
        low, high, _ = interval(figures)
        result[name] = {"mean": figures[0], "low": low, "high": high}
    return result


def compare(a_rows, b_rows, reference):
    """Paired differences b - a of each measure, of texts that follow the same prompts: a list of dictionaries.

    p: of a difference of 0; p_holm: the same, corrected for all measures of the list; verdict: higher or lower where that
    is at most LEVEL.
    """
    over, a_groups = clusters(a_rows)
    _, b_groups = clusters(b_rows)
    pairs = [a_groups, {key: b_groups[key] for key in a_groups}]
    units = TEXT_MEASURES | SET_MEASURES
    found = []
    for name, (a, b), known in jackknifed(pairs, reference):
        row = {"measure": name, "unit": units[name], "a": a[0], "b": b[0], "difference": b[0] - a[0]}
        counts = {"n": len(a_rows), "clusters": known, "over": over}
        found.append(row | interval(b - a)._asdict() | counts)
    return with_verdicts(found)


def comparison(groups, pairs, reference):
    """What sets of texts {name: rows} differ by, beside real text: a dictionary to write. pairs: (name, name), b - a."""
    differences = {f"{b} - {a}": compare(groups[a], groups[b], reference) for a, b in pairs}
    told = [verdict_of(row, *pair) for pair, found in zip(pairs, differences.values(), strict=True) for row in found]
    real = real_text(next(iter(groups.values())), reference)
    return {"verdicts": [*told, RULE], "differences": differences, "real_text": real}


def with_verdicts(found):
    """Differences that are judged together, with p_holm and verdict added where there is an interval."""
    known = [row for row in found if row["p"] is not None]
    # passes and full passes of a masked model are one
    told = {(row["p"], row["difference"]): row["p"] for row in known}
    corrected = dict(zip(told, holm([*told.values()]), strict=True))
    for row in known:
        p = corrected[row["p"], row["difference"]]
        way = "higher" if row["difference"] > 0 else "lower"
        none = "equal" if row["low"] == row["high"] == 0 else "no difference seen"
        if row["low"] > 0 or row["high"] < 0:
            none += f" (alone p = {row['p']:.2g})"
        row |= {"p_holm": p, "verdict": way if p <= LEVEL else none}
    return found


def jackknifed(sides, reference):
    """(name, figures (sides, 1 + clusters) as `interval` takes them, clusters that all sides have it in) of each measure.

    sides: [{cluster: rows}], the same clusters in each.
    """
    means = [pandas.DataFrame(map(mean_row, groups.values())) for groups in sides]
    for name in TEXT_MEASURES:
        values = np.array([side[name] for side in means])  # (sides, clusters)
        values = values[:, np.isfinite(values).all(0)]
        if values.size:
            weights = leave_one_out(values.shape[1])
            yield name, values @ weights.T / weights.sum(1), values.shape[1]
    if reference is None:
        return
    weights = leave_one_out(len(sides[0]))
    figures = [pooled(groups.values(), weights, reference) for groups in sides]
    for name in SET_MEASURES:
        values = np.array([side[name] for side in figures])
        if np.isfinite(values).all():  # a text of three characters has no 4-grams
            yield name, values, weights.shape[1]


def mean_row(rows):
    """The mean of each measure over the rows that have it, NaN where none has."""
    table = pandas.DataFrame(rows, columns=["chars", *TEXT_MEASURES], dtype=float)
    return table.assign(chars_per_call=table.chars / table.nfe).mean()


def settings(rows):
    """The texts of each setting {name: rows}, see `common_texts`. Settings of one name have what tells them apart added."""
    values = pandas.DataFrame(rows).groupby("name").nunique(dropna=False)  # (names, columns): how many there are
    varied = [column for column in values if column not in FIXED and values[column].max() > 1]
    named = []
    for row in rows:
        name = ", ".join([row["name"], *(f"{column} {row.get(column)}" for column in varied)])
        named.append(row | {"name": name})
    return common_texts(grouped(named, "name"))


def common_texts(groups):
    """Of each set of texts {name: rows} those that all have, by seed and prompt, in one order; says so where some have more.

    Measures of unequal numbers of texts cannot be compared, nor of unequal lengths. Raises UserError.
    """
    texts = {name: {(row["seed"], row["prompt"]): row for row in group} for name, group in groups.items()}
    most = max(map(len, groups.values()))
    check(
        max(map(len, texts.values())) == most, "a setting has two texts of one seed and prompt: was a file given twice?"
    )
    lengths = sorted({row["chars"] for group in groups.values() for row in group})
    check(len(lengths) == 1, f"texts of {lengths} characters: give those of one length at a time")
    first, *others = texts.values()
    common = [text for text in first if all(text in own for own in others)]
    check(common, "no seed and prompt is common to all settings: nothing to compare")
    if len(common) < most:
        note(f"only the {len(common)} texts whose seed and prompt all settings have are compared; some have {most}")
    return {name: [own[text] for text in common] for name, own in texts.items()}


def by_setting(groups, reference):
    """One point per group of `settings`: each measure with its interval (measure_low, measure_high).

    chars_per_second comes from the mean seconds of the texts that were written alone.
    """
    points = []
    for group in groups:
        point = {key: value for key, value in group[0].items() if key not in FIXED}
        for name, found in summarise(group, reference).items():
            if isinstance(found, dict):
                point |= {name: found["mean"], f"{name}_low": found["low"], f"{name}_high": found["high"]}
            else:
                point[name] = found
        seconds = point.get("seconds")
        points.append(point | {"chars_per_second": point["chars"] / seconds if seconds else None})
    return points


def real_text(rows, reference):
    """The measures of held-out text, as much of it as there are rows and cut like them; None without a corpus."""
    if reference is None:
        return None
    text = rows[0]["text"]
    chars = rows[0]["chars"]
    real = measure(reference.cut(len(rows), len(text) - chars, chars), reference)
    return summarise(real, reference) if real else None


def verdict_of(found, a="a", b="b"):
    """A comparison's verdict in a sentence: which way, how far, how sure."""
    what = found["measure"].replace("_", " ")
    size = f"{what} {found['a']:.4g} ({a}), {found['b']:.4g} ({b})"
    if found["p"] is None:
        return f"{size}: too few {found['over']} ({found['clusters']}) to tell a difference from chance"
    verdict = found["verdict"]
    if verdict in ("higher", "lower"):
        verdict = f"{b} {verdict} by {abs(found['difference']):.3g}"
    spread = f"[{found['low']:.3g}, {found['high']:.3g}] {found['unit']}".strip()
    return f"{size}: {verdict}, 95 % interval {spread}, {found['clusters']} {found['over']}"


def pareto(points, signs):
    """The Pareto-optimal points, by the first key: those that no other one equals in all keys and beats in one.

    points: dictionaries; signs: {key: 1 where high is good, -1 where low is}. Points that lack a key are left out.
    """
    known = [point for point in points if all(point.get(key) is not None for key in signs)]

    def beats(a, b):
        gains = [sign * (a[key] - b[key]) for key, sign in signs.items()]
        return min(gains) >= 0 and max(gains) > 0

    best = [point for point in known if not any(beats(other, point) for other in known)]
    return sorted(best, key=operator.itemgetter(*signs))
