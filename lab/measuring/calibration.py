"""Is a probability what it says? Of predictions with probability p a share p should be right.

The mean distance of the two is the expected calibration error (arXiv 1706.04599).
"""

import numpy as np

from lab.measuring import stats

BINS = 10  # of probabilities, equally wide


def reliability(cluster, probability, right, clusters):
    """Predictions by their probability -> rows of BINS, and a list of one row, the calibration error, with intervals.

    cluster: (n,) which of the `clusters` a prediction belongs to, from 0; probability, right: (n,).
    """
    sums = []
    for each in (None, probability, right):
        table, _, _ = np.histogram2d(cluster, probability, (clusters, BINS), ((0, clusters), (0, 1)), weights=each)
        sums.append(stats.leave_one_out(clusters) @ table)
    number, expected, right = sums  # (1 + clusters, BINS) each
    rows = []
    for k in np.flatnonzero(number.min(0)):
        share = right[:, k] / number[:, k]
        low, high, _ = stats.interval(share)
        mean = expected[0, k] / number[0, k]
        rows.append({"probability": mean, "right": share[0], "right_low": low, "right_high": high})
    error = abs(expected - right).sum(1) / number.sum(1)
    low, high, _ = stats.interval(error)
    return rows, [{"predictions": len(cluster), "error": error[0], "low": low, "high": high}]
