"""Reliability of probabilities on predictions whose truth is known."""

import numpy as np
import pytest

from lab.measuring.calibration import reliability

RIGHT = np.arange(640) % 4 > 0  # three of four
CLUSTER = np.arange(640) // 64


@pytest.mark.parametrize("said", [0.75, 0.5, 1.0])
def test_the_error_is_what_is_said_minus_what_is_right(said):
    rows, (found,) = reliability(CLUSTER, np.full(640, said), RIGHT, 10)
    assert found == {"predictions": 640, **dict.fromkeys(("error", "low", "high"), pytest.approx(abs(said - 0.75)))}
    assert [(row["probability"], row["right"]) for row in rows] == [(said, 0.75)]


def test_predictions_of_unlike_probability_are_not_mixed():
    """Three of four say .9 and are right, the others .6 and are wrong."""
    said, right = np.where(RIGHT[::-1], 0.9, 0.6), RIGHT[::-1]
    rows, (found,) = reliability(CLUSTER, said, right, 10)
    assert [row["right"] for row in rows] == [0, 1]
    assert found["error"] == pytest.approx(0.75 * 0.1 + 0.25 * 0.6)


def test_intervals_hold_what_clusters_differ_by():
    rng = np.random.default_rng(0)
    share = rng.uniform(0.4, 0.8, 20)
    right = rng.uniform(size=(20, 200)) < share[:, None]
    (row,), (found,) = reliability(np.repeat(np.arange(20), 200), np.full(4000, 0.55), right.ravel(), 20)
    assert row["right_low"] < 0.6 < row["right_high"] and row["right_high"] - row["right_low"] > 0.06
    assert found["low"] <= found["error"] <= found["high"]
