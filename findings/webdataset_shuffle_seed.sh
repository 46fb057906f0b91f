#!/usr/bin/env bash
# random.seed and the seed of NumPy leave the order of a WebDataset to the clock.
#
# Guess:   shuffle(n) draws from Python's random module, so that a script that sets all seeds sees its data in the same
#          order in each run.
# Seen:    each iteration makes a generator of its own from the process id and the time, whatever was seeded, and no
#          message says so. Two trainings with the same seeds see other batches, and their losses differ from the
#          first step on. shuffle(n, rng=random.Random(0)) repeats once and goes on with
#          other orders in later epochs.
# Package: webdataset 1.0.2
# Where:   webdataset/filters.py:355 (random.Random(int((os.getpid() + time.time()) * 1e9)))
# Date:    2026-11-28
# Output (the orders are others each time):
#   seeds set to 0, twice: the same order False
#   rng=random.Random(0), twice: the same order True; second epoch the same False
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 webdataset==1.0.2 numpy==2.4.6

.venv/bin/python -W ignore - <<'EOF'
import random

import numpy as np
import webdataset


def pipeline(**options):
    return webdataset.DataPipeline(lambda: iter(range(20)), webdataset.shuffle(10, **options))


def order_after_seeds():
    random.seed(0)
    np.random.seed(0)
    return list(pipeline())


def epochs_of_a_generator():
    data = pipeline(rng=random.Random(0))
    return list(data), list(data)


same = order_after_seeds() == order_after_seeds()
print(f"seeds set to 0, twice: the same order {same}")
(first, second), (again, _) = epochs_of_a_generator(), epochs_of_a_generator()
print(f"rng=random.Random(0), twice: the same order {first == again}; second epoch the same {first == second}")
assert sorted(first) == list(range(20)) and first == again
assert not same, "the seed of the random module counts now"
EOF
