"""Are we quick on a busy laptop? This code against an earlier commit of it, alone and beside a process that spins.

    git worktree add older 323a0e8
    uv run -m benchmarks.busy --before older

Every figure is one of a process of its own, ours and the earlier one's in turn. Then how many threads pay for what, and from
how many steps on compiling does.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import lab.start  # noqa: F401 (before PyTorch)

import torch

from benchmarks.speed import RATE
from benchmarks.timing import Output, show
from lab import cli
from lab.cli import ROOT, check, check_range

# runs in a checkout: METHOD, what to do (write, step, compile), texts, threads (0: as the checkout has it), size
WORK = """
import sys, time
from dataclasses import replace
try:
    import lab.start
except ImportError:
    pass
import torch
import methods
from lab import machine, training, trials
from lab.canvas import Canvas
name, doing, texts, threads, size = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
method = methods.METHODS[name]
if threads:
    machine.use_threads = lambda *_: torch.set_num_threads(threads)
if doing == "write":
    engine = methods.load(name)
    prompt = engine.alphabet.encode(engine.opening[:16])
    trial = trials.Trial(Canvas.after(prompt, size), method.Args().decoding, tuple(range(texts)))
    trials.run(engine, replace(trial, canvas=Canvas.after(prompt, 20)))
    work, count = lambda: trials.run(engine, trial), texts * size
else:
    machine.keep_memory()
    recipe, config = method.Args().recipe, replace(method.Args().config, vocab_size=65)
    model = method.Model(config)
    x = torch.randint(65, (recipe.batch_size, config.block_size + 1))
    bf16 = machine.gains_from_bf16(torch.device("cpu"))
    precision = torch.autocast("cpu", torch.bfloat16, enabled=bf16)
    forward = torch.compile(model, dynamic=False) if doing == "compile" else model
    batch_loss = training.objective(forward, method.loss, config, precision)
    optimisers = training.optimisers(model, recipe)
    work, count = lambda: training.advance(batch_loss, optimisers, 1.0, x, machine.Rng(0)), size
began = time.perf_counter()
work()
first, began = time.perf_counter() - began, time.perf_counter()
for _ in range(1 if doing == "write" else size):
    work()
print(first, count / (time.perf_counter() - began))
"""
SPIN = "while True: pass"
STEPS = "steps per second"
STATES = ("alone", "beside a process that spins")


@dataclass(frozen=True, kw_only=True)
class Args(Output):
    before: Path  # folder of a checkout of this project at an earlier commit
    chars: int = 480  # to write
    steps: int = 10  # of a training, after the first
    rounds: int = 5  # of each pair, in turn

    def __post_init__(self):
        check_range(self, 1, 10**4, "chars", "steps", "rounds")


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


def work(folder, name, doing, texts, threads, size):
    """What WORK prints in a checkout: seconds of the first time, and how much is done in a second after it."""
    words = [name, doing, *map(str, (texts, threads, size))]
    asked = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}  # each sets its own
    command = [sys.executable, "-c", WORK, *words]
    done = subprocess.run(command, cwd=folder, env=asked, capture_output=True, text=True, check=False)
    check(done.returncode == 0, f"{folder}: {done.stderr.strip()[-300:]}")
    return tuple(map(float, done.stdout.split()))


def rate(*asked):
    """How much is done in a second, as `work` says."""
    return work(*asked)[1]


def cpu_seconds(folder, *words):
    """CPU seconds of a command of a checkout, which need not succeed."""
    before = os.times()
    subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, check=False)
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


def row(what, unit, ours, theirs, rounds):
    """Measure two sides in turn; the ratio is above 1 where ours is better."""
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    ratios = [a / b if unit in (RATE, STEPS) else b / a for a, b in pairs]
    a, b = map(statistics.median, zip(*pairs, strict=True))
    return {"what": what, "unit": unit, "ours": a, "theirs": b, "ratio": statistics.median(ratios)}


def against_before(args):
    """Rows of each command's writing and of two trainings, quiet and busy; of help and a refusal, quiet."""
    asked = [(name, "write", "writing", RATE, args.chars) for name in ("gpt", "diffusion", "diffusion_flow")]
    asked += [(name, "step", "training", STEPS, args.steps) for name in ("gpt", "diffusion")]
    for processes, state in enumerate(STATES):
        with spinning(processes):
            for name, doing, words, unit, size in asked:
                sides = [partial(rate, folder, name, doing, 1, 0, size) for folder in (ROOT, args.before)]
                yield row(f"{name}.py, {words}, {state}", unit, *sides, args.rounds)
    for what, flag in (("help", "--help"), ("a refusal", "--temp=-1")):
        sides = [partial(cpu_seconds, folder, "gpt.py", flag) for folder in (ROOT, args.before)]
        yield row(f"gpt.py, {what}", "seconds of CPU", *sides, args.rounds)


def against_one_thread(args):
    """Rows of all threads against one, for each kind of work."""
    asked = [(name, "write", texts, RATE, args.chars) for name in ("gpt", "diffusion") for texts in (1, 32)]
    asked.append(("gpt", "step", 1, STEPS, args.steps))
    for processes, state in enumerate(STATES):
        with spinning(processes):
            for name, doing, texts, unit, size in asked:
                sides = [
                    partial(rate, ROOT, name, doing, texts, threads, size) for threads in (torch.get_num_threads(), 1)
                ]
                what = f"{name}, {doing} {texts}, all threads against one, {state}"
                yield row(what, unit, *sides, args.rounds)


def compiling(args):
    """What compiling costs and saves in a training of each method, and from how many steps on it pays."""
    for name in ("gpt", "diffusion", "diffusion_flow"):
        first, compiled = work(ROOT, name, "compile", 1, 0, args.steps)
        _, eager = work(ROOT, name, "step", 1, 0, args.steps)
        saved = 1 / eager - 1 / compiled
        found = {"method": name, "compiling, s": first, "eager step, s": 1 / eager, "compiled step, s": 1 / compiled}
        yield found | {"pays from step": first / saved if saved > 0 else None}


def main(args):
    """Measure, print, store."""
    check((args.before / "gpt.py").is_file(), f"--before {args.before}: no checkout of this project")
    rows = [*against_before(args), *against_one_thread(args)]
    found = list(compiling(args))
    show(rows)
    show(found)
    args.write("busy", {"rows": rows, "compiling": found})


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
