"""Does a large corpus need more memory than a small one? Peak memory of encoding a text and drawing batches from it.

    uv run -m benchmarks.memory

Each size runs in a process of its own, on a text of random words that is deleted afterwards.
"""

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.timing import write_results
from lab import cli, corpus, machine


@dataclass(frozen=True)
class Args:
    megabytes: cli.listed(int) = (1, 100, 1000)  # sizes of the text
    read: Path | None = None  # used by the script itself: measure this text and print the figures


def make_text(path, megabytes):
    """Random lower-case words, a megabyte at a time."""
    rng = np.random.default_rng(0)
    letters = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz     \n", dtype=np.uint8)
    with open(path, "wb") as file:
        file.writelines(letters[rng.integers(len(letters), size=10**6)].tobytes() for _ in range(megabytes))


def read(path):
    """Encode a text and draw a hundred batches from all over it; print megabytes at the peak and seconds."""
    import resource  # not at the top: Windows has none

    corpus.ROOT = path.parent  # its cache goes away with it
    began, rng = time.perf_counter(), machine.Rng(0)
    text = corpus.Corpus(path)
    for _ in range(100):
        text.batch(8, 257, rng)
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10  # macOS counts bytes, Linux kilobytes
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, time.perf_counter() - began)


def main(args):
    """Measure every size."""
    if args.read is not None:
        read(args.read)
        return
    rows = []
    for size in args.megabytes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "text.txt"
            make_text(path, size)
            command = [sys.executable, "-m", "benchmarks.memory", "--read", str(path)]
            done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=cli.ROOT)
        peak, seconds = map(float, done.stdout.split())
        rows.append({"megabytes_of_text": size, "peak_megabytes": round(peak), "seconds": round(seconds, 2)})
        print(
            "{megabytes_of_text:6,} MB of text: peak {peak_megabytes:,} MB, {seconds} s".format(**rows[-1]), flush=True
        )
    write_results("memory", rows)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
