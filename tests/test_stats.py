"""Intervals, paired differences, Pareto-optimal points, verdicts."""

import numpy as np
import pytest

from lab import stats
from lab.cli import UserError


def rows(values, name="a", prompts=None):
    return [
        {"name": name, "prompt": f"p{prompts[i] if prompts else i}", "seed": 1, "text": "x", "chars": 10, "nfe": v}
        for i, v in enumerate(values)
    ]


def test_interval_of_a_mean_has_the_width_of_theory():
    values = np.random.default_rng(0).normal(5, 2, 400)
    low, high = stats.interval(stats.resamples(400) @ values / 400, 400)
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)
    assert low < values.mean() < high


def test_samples_of_one_prompt_count_as_one_cluster():
    """Five prompts, ten equal samples each: the interval must not shrink as if there were fifty."""
    few = stats.summarise(rows([1.0, 2, 3, 4, 5]), None, ("nfe",))["nfe"]
    many = stats.summarise(rows([1.0, 2, 3, 4, 5] * 10, prompts=[0, 1, 2, 3, 4] * 10), None, ("nfe",))["nfe"]
    assert few == many


def test_one_prompt_is_clustered_by_seed():
    found = stats.summarise([row | {"prompt": "p", "seed": i} for i, row in enumerate(rows([1.0] * 6))], None, ("nfe",))
    assert found["over"] == "seeds" and found["clusters"] == 6


def test_few_clusters_give_no_interval():
    assert stats.summarise(rows([1.0, 2, 3, 4]), None, ("nfe",))["nfe"]["low"] is None
    (found,) = stats.compare(rows([1.0, 2]), rows([3.0, 4]), None, ("nfe",))
    assert "too few prompts (2)" in stats.in_words(found)


def test_differences_are_paired():
    """A difference of 1 in each pair is certain, however much the pairs differ among themselves."""
    a, b = [1.0, 100, 3, 50, 7], [2.0, 101, 4, 51, 8]
    (found,) = stats.compare(rows(a), rows(b), None, ("nfe",))
    assert (found["difference"], found["low"], found["high"]) == pytest.approx((1, 1, 1))
    assert "b higher by 1" in stats.in_words(found)


def test_no_difference_is_said_in_words():
    (found,) = stats.compare(rows([1.0, 2, 3, 4, 5]), rows([2.0, 1, 4, 3, 5]), None, ("nfe",))
    assert "no difference seen" in stats.in_words(found)
    (found,) = stats.compare(rows([1.0] * 5), rows([1.0] * 5), None, ("nfe",))
    assert stats.in_words(found).endswith("equal")


def test_pareto_keeps_what_nothing_beats():
    points = [
        {"name": n, "v": v, "c": c} for n, v, c in (("a", 1, 1), ("b", 2, 2), ("c", 1, 2), ("d", 3, None), ("e", 2, 2))
    ]
    assert {p["name"] for p in stats.pareto(points, ["v"], ["c"])} == {"a", "b", "e"}


def test_a_measure_that_some_clusters_lack_is_compared_where_both_have_it():
    """Side b lacks the first two pairs: the difference is of the other five, 1 in each."""
    a, b = rows([9.0, 9, 1, 2, 3, 4, 5]), rows([None, None, 2.0, 3, 4, 5, 6])
    (found,) = stats.compare(a, b, None, ("nfe",))
    assert (found["difference"], found["low"], found["high"]) == pytest.approx((1, 1, 1)) and found["clusters"] == 5
    assert stats.compare(a, rows([None] * 7), None, ("nfe",)) == []


def test_texts_without_a_common_prompt_are_not_compared():
    with pytest.raises(UserError, match="no prompt in common"):
        stats.compare(rows([1.0, 2]), rows([1.0, 2], prompts=["x", "y"]), None, ("nfe",))


def test_the_interval_of_a_mean():
    values = np.array([1.0, 2, 3, 4, 5])
    found = stats.summarise(rows(list(values)), None, ("nfe",))["nfe"]
    assert stats.mean_interval(values) == (found["low"], found["high"])
