#!/usr/bin/env bash
# joblib.Memory computes again for a tensor that it has seen, and dask names equal work twice.
#
# Guess:   a tensor is hashed by its values, as a NumPy array is: the second call with an equal tensor is read from
#          the cache.
# Seen:    PyTorch pickles a tensor's memory address with its numbers, and both libraries hash the pickle. An equal
#          tensor elsewhere in memory, so nearly any tensor of a later run, is another key: the cache only grows. Pass
#          tensor.numpy().
# Package: joblib 1.6.0, dask 2026.8.0, PyTorch 2.15.0
# Where:   torch/storage.py:254-257, torch/serialization.py:1099 (the key is str(storage._cdata)); joblib/hashing.py:62
# Date:    2026-11-28
# Output:
#   computed for two equal tensors: 2 times; for their arrays: 1 time
#   keys equal: joblib.hash tensors False, arrays True; dask tokenize tensors False, arrays True
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 torch==2.15.0 numpy==2.4.6 joblib==1.6.0 dask==2026.8.0

.venv/bin/python - <<'EOF'
import joblib
import torch
from dask.base import tokenize

calls = []


def nll(x):
    calls.append(1)
    return float(x.sum())


cached = joblib.Memory("cache", verbose=0).cache(nll)
one = torch.arange(65.0)
two = one.clone()
times = []
for pair in ((one, two), (one.numpy(), two.numpy())):
    calls.clear()
    assert cached(pair[0]) == cached(pair[1])
    times.append(len(calls))
print(f"computed for two equal tensors: {times[0]} times; for their arrays: {times[1]} time")
same = [name(one) == name(two) for name in (joblib.hash, tokenize)]
same_arrays = [name(one.numpy()) == name(two.numpy()) for name in (joblib.hash, tokenize)]
print(f"keys equal: joblib.hash tensors {same[0]}, arrays {same_arrays[0]}; dask tokenize tensors {same[1]}, arrays {same_arrays[1]}")
assert times[1] == 1 and all(same_arrays)
assert times[0] == 2 and not any(same), "equal tensors have equal keys now"
EOF
