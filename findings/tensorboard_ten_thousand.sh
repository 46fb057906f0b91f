#!/usr/bin/env bash
# A loss curve read back from a TensorBoard log is half of it: 10,000 points of 20,000, taken at random.
#
# Guess:   EventAccumulator, the class with which one reads a log in Python, returns all scalars that were written.
# Seen:    it keeps 10,000 points of a tag, a random sample of those that came, and says nothing. The least loss and
#          the step at which it stood may be gone, differences between neighbours are over uneven steps, and of
#          histograms one is kept, of images four. size_guidance={"scalars": 0} keeps all.
# Package: tensorboard 2.21.0, PyTorch 2.15.0
# Where:   tensorboard/backend/event_processing/event_accumulator.py (DEFAULT_SIZE_GUIDANCE), reservoir.py
# Date:    2026-11-28
# Output:
#   written: 20000 scalars, 5 histograms; the first steps 0, 1, 2, 3, 4
#   read:    10000 scalars, 1 histogram;  the first steps 2, 5, 7, 8, 10
#   with size_guidance of 0: 20000 scalars, 5 histograms
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 \
  tensorboard==2.21.0 torch==2.15.0 numpy==2.4.6 setuptools==80.9.0

.venv/bin/python -W ignore - <<'EOF'
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

with SummaryWriter("log") as log:
    for step in range(20000):
        log.add_scalar("loss", 20000 - step, step)
    for step in range(5):
        log.add_histogram("weights", torch.arange(10.0), step)


def read(**options):
    events = EventAccumulator("log", **options)
    events.Reload()
    return [event.step for event in events.Scalars("loss")], len(events.Histograms("weights"))


print("written: 20000 scalars, 5 histograms; the first steps 0, 1, 2, 3, 4")
steps, histograms = read()
print(f"read:    {len(steps)} scalars, {histograms} histogram;  the first steps {str(steps[:5])[1:-1]}")
every, all_histograms = read(size_guidance={"scalars": 0, "histograms": 0})
print(f"with size_guidance of 0: {len(every)} scalars, {all_histograms} histograms")
assert (len(every), all_histograms) == (20000, 5)
assert (len(steps), histograms) == (10000, 1) and steps[:5] != [0, 1, 2, 3, 4], "all is read now"
EOF
