"""Intervals, paired differences, Pareto-optimal points, verdicts."""

import itertools
import random
from pathlib import Path

import numpy as np
import pytest

from lab.measuring import records, stats
from lab.measuring.quality import SET_MEASURES, Reference, pooled
from lab.model.corpus import Alphabet

SWEEPS = sorted((Path(__file__).resolve().parent.parent / "results" / "sweep").glob("*/rows.jsonl"))


def rows(values, name="a", prompts=None):
    return [
        {"name": name, "prompt": f"p{prompts[i] if prompts else i}", "seed": 1, "chars": 10, "generative_nll": v}
        for i, v in enumerate(values)
    ]


@pytest.mark.parametrize("n", [5, 8, 10, 32])
@pytest.mark.parametrize("kind, mean, least", [("normal", 0, 0.94), ("lognormal", np.exp(0.5), 0.90)])
def test_an_interval_covers_what_it_promises(kind, mean, least, n):
    """Of 2,000 samples of n clusters, in how many the interval holds the mean that they were drawn around."""
    samples = getattr(np.random.default_rng(n), kind)(size=(2000, n))
    found = [stats.mean_interval(sample) for sample in samples]
    assert np.mean([low <= mean <= high for low, high, _ in found]) >= least


def test_an_interval_of_many_clusters_has_the_width_of_theory():
    values = np.random.default_rng(0).normal(5, 2, 400)
    low, high, p = stats.mean_interval(values)
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.05)
    assert low < values.mean() < high and p < 0.01


def test_the_interval_of_a_ratio_is_that_of_the_delta_method():
    """A figure that is no mean, mean(x) / mean(y), of many clusters: what the jackknife is for."""
    x, y = np.random.default_rng(1).normal((4, 8), 1, size=(300, 2)).T
    weights = stats.leave_one_out(300)
    low, high, _ = stats.interval((weights @ x) / (weights @ y))
    error = ((x - x.mean() / y.mean() * y) / y.mean()).std() / 300**0.5
    assert (high - low) / 2 == pytest.approx(1.97 * error, rel=0.05)


def test_an_interval_lies_about_the_figure_of_all_clusters():
    """A figure of fewer clusters that is higher, as entropy is lower, says nothing of where it lies."""
    figures = np.random.default_rng(5).lognormal(size=9)
    moved = figures + np.eye(9)[0] * 0.5
    found, shifted = (np.array(stats.interval(each)[:2]) for each in (figures, moved))
    assert shifted == pytest.approx(found + 0.5)


def test_the_p_value_and_the_interval_agree():
    for sample in np.random.default_rng(2).normal(0.6, 1, size=(200, 8)):
        low, high, p = stats.mean_interval(sample)
        assert (p <= 0.05) == (not low <= 0 <= high) or abs(p - 0.05) < 0.003


def test_rare_events_have_a_finite_interval():
    """Seven clusters of eight know nothing of it: most resamples hold equal values only."""
    with np.errstate(all="raise"):
        low, high, p = stats.mean_interval(np.array([0, 0, 0, 0, 0, 0, 0, 0.1]))
    assert low < 0 < high < 0.1 and p > 0.05


def test_an_interval_is_at_least_as_wide_as_students():
    for sample in np.random.default_rng(4).lognormal(size=(50, 8)):
        low, high, _ = stats.mean_interval(sample)
        least = 2.3646 * sample.std(ddof=1) / 8**0.5  # t of 7 degrees of freedom, from a table
        assert min(sample.mean() - low, high - sample.mean()) > 0.999 * least


def test_holm_is_as_in_the_textbook():
    """Holm (1979): .01 x 4, .02 x 3, .03 x 2 and .04 x 1, none below the one before."""
    assert stats.holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert stats.holm([0.6, 0.9]) == pytest.approx([1, 1])


def test_a_setting_is_not_found_to_differ_from_itself():
    """The committed sweeps: each setting against itself under another seed, in at most 5 of 100 comparisons a verdict."""
    compared = differing = alone = 0
    for path in SWEEPS:
        rows = records.read_rows(path)
        text = "".join(
            row["text"] for row in rows[:24]
        )  # stands for real text: what is measured against does not matter
        alphabet = Alphabet("".join(sorted({*"".join(row["text"] for row in rows)})))
        reference = Reference(text, text[: len(text) // 2], text[len(text) // 2 :], frozenset(), alphabet)
        for group in stats.settings(rows).values():
            for pair in itertools.combinations(stats.grouped(group, "seed").values(), 2):
                found = stats.compare(*pair, reference)
                compared += 1
                differing += any(row.get("verdict") in ("higher", "lower") for row in found)
                alone += sum(row["p"] < 0.05 for row in found) / len(found)
    assert compared >= 84 and differing <= 0.05 * compared
    assert alone <= 0.06 * compared  # each interval by itself


def test_pooled_figures_and_their_intervals_are_those_of_counting_anew():
    """Entropy, divergences and distance of all texts of a side, and of all but those of each prompt in turn."""
    rng = random.Random(0)
    a, b = (
        [
            {
                "name": "x",
                "prompt": f"p{i % 6}",
                "seed": i,
                "text": "".join(rng.choices(of, k=40)),
                "chars": 39,
                "nfe": 1,
            }
            | {"copied_share": rng.random()}
            for i in range(12)
        ]
        for of in ("abc", "aabcd")
    )
    known = "".join(rng.choices("abcd", k=300))
    reference = Reference(known[50:200], known, known[100:], frozenset(), Alphabet("abcd"))
    found = {each["measure"]: each for each in stats.compare(a, b, reference)}
    assert list(found)[-3:] == [*SET_MEASURES]
    prompts = [f"p{i}" for i in range(6)]
    kept = [[p for p in prompts if p != out] for out in (None, *prompts)]
    figures = [
        [
            pooled([[row for row in rows if row["prompt"] == p] for p in own], np.ones(len(own)), reference)
            for own in kept
        ]
        for rows in (a, b)
    ]
    summary = stats.summarise(b, reference)
    for name in SET_MEASURES:
        one, two = (np.array([each[name] for each in side]) for side in figures)
        assert (found[name]["a"], found[name]["b"]) == pytest.approx((one[0], two[0]))
        assert (found[name]["low"], found[name]["high"], found[name]["p"]) == pytest.approx(stats.interval(two - one))
        assert (summary[name]["low"], summary[name]["high"]) == pytest.approx(stats.interval(two)[:2])
        assert found[name]["clusters"] == 6


def test_samples_of_one_prompt_count_as_one_cluster():
    """Five prompts, ten equal samples each: the interval must not shrink as if there were fifty."""
    few = stats.summarise(rows([1.0, 2, 3, 4, 5]), None)["generative_nll"]
    many = stats.summarise(rows([1.0, 2, 3, 4, 5] * 10, prompts=[0, 1, 2, 3, 4] * 10), None)["generative_nll"]
    assert few == many


def test_one_prompt_is_clustered_by_seed():
    found = stats.summarise([row | {"prompt": "p", "seed": i} for i, row in enumerate(rows([1.0] * 6))], None)
    assert found["over"] == "seeds" and found["clusters"] == 6


def test_few_clusters_give_no_interval():
    assert stats.summarise(rows([1.0, 2, 3, 4]), None)["generative_nll"]["low"] is None
    (found,) = stats.compare(rows([1.0, 2]), rows([3.0, 4]), None)
    assert "too few prompts (2)" in stats.verdict_of(found)


def test_differences_are_paired():
    """A difference of 1 in each pair is certain, however much the pairs differ among themselves."""
    a, b = [1.0, 100, 3, 50, 7], [2.0, 101, 4, 51, 8]
    (found,) = stats.compare(rows(a), rows(b), None)
    assert (found["difference"], found["low"], found["high"]) == pytest.approx((1, 1, 1))
    assert "b higher by 1" in stats.verdict_of(found)
    assert stats.compare(rows(a), rows(b)[::-1], None) == [found]


def test_no_difference_is_said_in_words():
    (found,) = stats.compare(rows([1.0, 2, 3, 4, 5]), rows([2.0, 1, 4, 3, 5]), None)
    assert "no difference seen" in stats.verdict_of(found)
    (found,) = stats.compare(rows([1.0] * 5), rows([1.0] * 5), None)
    assert "(b): equal, 95 % interval [0, 0]" in stats.verdict_of(found)


def test_a_verdict_is_corrected_for_the_measures_beside_it():
    """A difference that would be one alone (p = .02) is none among seven measures, and the rule stands beside it."""
    a, b = rows([0.0] * 8), rows([1.0, 2, -1, 3, 1, 0, 2, 1])
    others = ("full_passes", "seconds", "real_words", "distinct_2", "repetition", "copied_share")
    noise = np.random.default_rng(3).normal(size=(8, 6))
    noisy = [row | dict(zip(others, own, strict=True)) for row, own in zip(b, noise, strict=True)]
    (alone,) = stats.compare(a, b, None)
    together = stats.comparison({"a": [row | dict.fromkeys(others, 0) for row in a], "b": noisy}, [("a", "b")], None)
    (found,) = (row for row in together["differences"]["b - a"] if row["measure"] == "generative_nll")
    assert alone["p"] == found["p"] == alone["p_holm"] < 0.05 < found["p_holm"]
    assert "b higher by 1.12" in stats.verdict_of(alone) and "no difference seen" in stats.verdict_of(found)
    assert len(together["verdicts"]) == 8 and "Holm" in together["verdicts"][-1]


def test_pareto_keeps_what_nothing_beats():
    points = [
        {"name": n, "v": v, "c": c} for n, v, c in (("a", 1, 1), ("b", 2, 2), ("c", 1, 2), ("d", 3, None), ("e", 2, 2))
    ]
    assert {p["name"] for p in stats.pareto(points, {"v": 1, "c": -1})} == {"a", "b", "e"}


def test_a_measure_that_some_clusters_lack_is_compared_where_both_have_it():
    """Side b lacks the first two pairs: the difference is of the other five, 1 in each."""
    a, b = rows([9.0, 9, 1, 2, 3, 4, 5]), rows([None, None, 2.0, 3, 4, 5, 6])
    (found,) = stats.compare(a, b, None)
    assert (found["difference"], found["low"], found["high"]) == pytest.approx((1, 1, 1)) and found["clusters"] == 5
    assert stats.compare(a, rows([None] * 7), None) == []


def test_the_interval_of_a_mean():
    values = np.array([1.0, 2, 3, 4, 5])
    found = stats.summarise(rows(list(values)), None)["generative_nll"]
    assert stats.mean_interval(values)[:2] == pytest.approx((found["low"], found["high"]))
