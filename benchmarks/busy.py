"""Is it quick on a busy laptop? This code against an earlier commit of it, alone and beside a process that spins.

    git worktree add older 323a0e8
    uv run -m benchmarks.busy --before older

Every figure is of commands in processes of their own, ours and the other side's in turn: the earlier commit, and one thread.
The trainings leave their logs in logs/.
"""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import lab.start  # noqa: F401 (before PyTorch)

from benchmarks.timing import RATE, Output, in_turn, show
from lab import cli
from lab.cli import ROOT, check

METHODS = ("gpt", "diffusion", "diffusion_flow")
SPIN = "while True: pass"
STATES = ("alone", "beside a process that spins")
TEXT = "the quick brown fox jumps over the lazy dog\n" * 5000  # to train on


@dataclass(frozen=True, kw_only=True)
class Args(Output):
    before: Path  # folder of a checkout of this project at an earlier commit
    chars: int = 480  # to write
    steps: int = 10  # of a training, after the first
    rounds: int = 5  # of each pair, in turn


@contextlib.contextmanager
def spinning(processes):
    """So many processes meanwhile that do nothing but take a core."""
    others = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(processes)]
    try:
        while others and os.getloadavg()[0] < 0.8:  # as after a minute: the load is an average over that
            time.sleep(1)
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def run(folder, *words, threads=None):
    """A command of a checkout -> what it says on standard error, its seconds, and those of the CPU. Raises UserError."""
    environment = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}  # each sets its own
    if threads:
        environment["OMP_NUM_THREADS"] = str(threads)
    began = time.perf_counter()
    before = os.times()
    command = [sys.executable, *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    check(done.returncode == 0, f"{folder}: {done.stderr.strip()[-300:]}")
    seconds = time.perf_counter() - began
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return done.stderr, seconds, spent


def help_seconds(folder):
    """CPU seconds of a command that says what it can do."""
    return run(folder, "gpt.py", "--help")[2]


def writing_rate(folder, name, chars, threads=None):
    """Characters per second, as a command says."""
    said, *_ = run(folder, f"{name}.py", "--max-new-tokens", str(chars), threads=threads)
    return float(re.search(r"([\d,]+) characters per second", said)[1].replace(",", ""))


def step_seconds(folder, name, steps, threads=None):
    """Seconds that each step adds to a training, not compiled."""
    with tempfile.TemporaryDirectory() as empty:
        text = Path(empty, "text.txt")
        text.write_text(TEXT, encoding="utf-8")
        flags = ["--train", "--data", str(text), "--weights", f"{empty}/busy.pt", "--max-new-tokens", "1"]
        flags += ["--compile", "False", "--no-calibrate", "--eval-windows", "1", "--iters"]
        _, short, _ = run(folder, f"{name}.py", *flags, "1", threads=threads)
        _, long, _ = run(folder, f"{name}.py", *flags, str(1 + steps), threads=threads)
    return (long - short) / steps


def row(what, unit, ours, theirs, rounds):
    """Measure two sides in turn; the ratio is above 1 where ours is better."""
    a, b, ratio = in_turn(ours, theirs, rounds, more_is_better=unit == RATE)
    return {"what": what, "unit": unit, "ours": a, "theirs": b, "ratio": ratio}


def compared(args):
    """Rows against the earlier commit, and of writing with all threads against one, quiet and busy."""
    writing = {name: partial(writing_rate, name=name, chars=args.chars) for name in METHODS}
    works = [("gpt.py --help", "seconds of CPU", help_seconds)]
    works += [(f"{name}.py, writing", RATE, measure) for name, measure in writing.items()]
    works.append(("gpt.py, a training step", "seconds", partial(step_seconds, name="gpt", steps=args.steps)))
    for processes, state in enumerate(STATES):
        with spinning(processes):
            for what, unit, measure in works:
                ours = partial(measure, ROOT)
                before = partial(measure, args.before)
                yield row(f"{what}, against the earlier commit, {state}", unit, ours, before, args.rounds)
            for name in ("gpt", "diffusion"):
                ours = partial(writing[name], ROOT)
                one = partial(writing[name], ROOT, threads=1)
                yield row(f"{name}.py, writing, all threads against one, {state}", RATE, ours, one, args.rounds)


def main(args):
    """Measure, print, store."""
    check((args.before / "gpt.py").is_file(), f"--before {args.before}: no checkout of this project")
    rows = list(compared(args))
    show(rows)
    args.write("busy", {"rows": rows})


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
