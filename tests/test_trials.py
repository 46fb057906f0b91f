"""Trials: their random numbers, clocks and plans; the workers that write them, and what becomes of those that are left."""

import contextlib
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from diffusion import METHOD as diffusion
from gpt import METHOD as gpt
from lab import cli
from lab.cli import UserError
from lab.decoding.canvas import Canvas
from lab.measuring import experiment, quality, trials, workers
from lab.model import machine
from lab.model.corpus import Alphabet

ROOT = Path(__file__).resolve().parent.parent
ABC = Alphabet("abc")
FLAGS = ["--module", "diffusion", "--prompts", "1", "--prompt-len", "4", "--max-new-tokens", "12", "--batch", "1"]


def draws(seed, prompt):
    """The first random numbers of the text that goes on from a prompt."""
    canvas = Canvas.after(ABC.encode(prompt), 5)
    return torch.rand(4, generator=trials.rng_for(seed, canvas.idx[0], canvas.masked[0])).tolist()


def make_writer(generate=None):
    config = diffusion.Config(vocab_size=3, block_size=8, n_layer=1, n_head=2, n_embd=16)
    torch.manual_seed(0)
    engine = trials.Engine(diffusion, diffusion.Model(config).eval(), ABC, "abcabc")
    return engine.sampled_by(generate) if generate else engine


def write_one(engine):
    canvas = Canvas.after(ABC.encode("ab"), 6)
    return trials.run(engine, trials.Trial(canvas, diffusion.Decoding(), (1,)))[0]


@pytest.mark.parametrize("other", [(1025, "abc"), (1 + (1 << 22), "abc"), (2, "abc"), (1, "abb"), (1, "abca")])
def test_two_seeds_and_two_prompts_draw_other_numbers(other):
    assert draws(1, "abc") != draws(*other)
    assert draws(1, "abc") == draws(1, "abc")


@pytest.mark.parametrize(("share", "busy"), [(0.3, True), (1.0, False), (1.9, False)])
def test_seconds_on_a_busy_machine_have_a_warning(monkeypatch, share, busy):
    monkeypatch.setattr(trials.time, "process_time", lambda: share * time.perf_counter())
    figures = write_one(make_writer()).figures()
    assert ("busy machine" in figures) == busy
    assert " s, " in figures


def test_the_watcher_is_not_on_the_clock(monkeypatch):
    canvas, naps = Canvas.after(ABC.encode("ab"), 6), []
    monkeypatch.setattr(trials.time, "process_time", lambda: 100.0 * len(naps))
    trial = trials.Trial(canvas, diffusion.Decoding(), (1,))
    (sample,) = trials.run(make_writer(), trial, watch=lambda frame, seconds: naps.append(seconds))
    assert len(naps) == sample.nfe and sample.cpu_seconds == 0


def test_the_cells_of_a_grid_are_named_by_what_varies():
    cells = experiment.grid(diffusion.Decoding(), {"spacing": (5,), "temp": (0.5, 0.7)})
    found = {name: (cell.spacing, cell.temp) for name, cell in cells.items()}
    assert found == {"temp 0.5": (5, 0.5), "temp 0.7": (5, 0.7)}


def test_a_plan_writes_the_first_text_alone_and_the_others_together():
    args = experiment.Args(seeds=(1, 2, 3), batch=4, max_new_tokens=4)
    planned = experiment.batches("x", make_writer(), diffusion.Decoding(), args, ["ab", "bc"])
    assert [trial.seeds for _, trial, _ in planned] == [(1,), (1, 2, 2, 3), (3,)]
    assert [key["prompt"] for *_, keys in planned for key in keys] == ["ab", "bc"] * 3
    for _, trial, keys in planned:
        assert [key["seed"] for key in keys] == [*trial.seeds] and {key["chars"] for key in keys} == {4}
        assert trial.canvas.masked.tolist() == [[False] * 2 + [True] * 4] * len(keys)
        assert [ABC.decode(idx[:2]) for idx in trial.canvas.idx] == [key["prompt"] for key in keys]


def test_the_first_passes_of_a_process_are_not_timed(monkeypatch, tmp_path, capsys):
    """They take a thousand seconds here; no row says so."""
    now, passes = [0.0], []
    monkeypatch.setattr(trials.time, "perf_counter", lambda: now[0])

    def slow_at_first(*args):
        for frame in diffusion.generate(*args):
            now[0] += 1 if len(passes) > 2 else 1000
            passes.append(frame)
            yield frame

    flags = experiment.Args(seeds=(1, 2), prompts=1, prompt_len=2, max_new_tokens=20)
    args = SimpleNamespace(**vars(flags), is_timed=True, output_dir=tmp_path)
    settings = {"a": (make_writer(slow_at_first), diffusion.Decoding(spacing=1))}
    monkeypatch.setattr(experiment, "reference", lambda *_: None)
    rows, *_ = experiment.write(settings, args, None, "")
    assert [row["seconds"] for row in rows] == [row["nfe"] for row in rows]


@pytest.mark.parametrize(
    "policy, texts, counts", [("", 1, {1}), ("", 9, {4}), ("PASSIVE", 9, {1}), ("PASSIVE", 300, {4})]
)
def test_threads_where_a_pass_has_work_for_them(policy, texts, counts, monkeypatch):
    """Passes of one position in each of so many texts, after the first, which reads the prompts."""
    now, seen = [4], []
    monkeypatch.setenv("OMP_WAIT_POLICY", policy)
    monkeypatch.setattr(machine, "all_threads", lambda: 4)
    monkeypatch.setattr(torch, "get_num_threads", lambda: now[0])
    monkeypatch.setattr(torch, "set_num_threads", lambda n: now.__setitem__(0, n))
    config = gpt.Config(vocab_size=3, block_size=8, n_layer=1, n_head=2, n_embd=16)

    def generate(*args):
        for frame in gpt.generate(*args):
            seen.append(now[0])
            yield frame

    engine = trials.Engine(gpt, gpt.Model(config).eval(), ABC, "abcabc").sampled_by(generate)
    trials.run(engine, trials.Trial(Canvas.after(ABC.encode("ab"), 4, texts), gpt.Decoding(), tuple(range(texts))))
    assert {*seen[1:]} == counts and now == [4]


@pytest.mark.parametrize("flag", ["max_new_tokens", "prompts", "batch", "workers", "prompt_len"])
@pytest.mark.parametrize("value", [0, -3, 99_999_999_999])
def test_sizes_have_limits(flag, value):
    with pytest.raises(UserError, match=f"{flag} must lie in [14]"):
        experiment.Args(**{flag: value})


def arrived(folder):
    """Unpack a Parcel: leaves a note of the process that does."""
    (folder / f"{os.getpid()}_{uuid.uuid4()}").touch()
    return Parcel(folder)


class Parcel:
    """Something that workers share."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return arrived, (self.folder,)


def pid_after(shared, task):
    """A worker's task."""
    time.sleep(task)
    return os.getpid()


def alive(pids):
    """Those of the processes that run; a zombie does not."""
    running = []
    for pid in pids:
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                running.append(pid)
    return running


def die_out(pids, seconds=20):
    """Whether all of the processes end within some seconds."""
    until = time.monotonic() + seconds
    while alive(pids) and time.monotonic() < until:
        time.sleep(0.05)
    return not alive(pids)


linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")


@linux
@pytest.mark.slow
def test_what_workers_share_is_sent_to_each_once_and_ctrl_c_ends_them(tmp_path):
    with pytest.raises(KeyboardInterrupt), workers.executor(pid_after, Parcel(tmp_path), 2, None) as results:
        pids = {*results([0.02] * 50)}
        assert sorted(path.name.partition("_")[0] for path in tmp_path.iterdir()) == sorted(map(str, pids))
        results([100] * 4)
        raise KeyboardInterrupt
    assert die_out(pids)


@linux
@pytest.mark.slow
def test_a_worker_that_is_killed_is_one_message():
    with pytest.raises(UserError, match="worker process has ended"), workers.local_pool(pid_after, None, 1) as results:
        os.kill(*results([0]), signal.SIGKILL)
        next(results([100]))


@linux
@pytest.mark.slow
def test_a_killed_sweep_leaves_no_workers(make_weights, text_file, tmp_path):
    seeds = ",".join(map(str, range(2000)))
    argv = [*FLAGS, "--seeds", seeds, "--workers", "2", "--output-dir", tmp_path / "out"]
    argv += ["--weights", make_weights(diffusion), "--data", abc_text(tmp_path)]
    command = [sys.executable, ROOT / "run_inference_sweep.py", *argv]
    with subprocess.Popen(list(map(str, command)), stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 120
        while not any(path.stat().st_size for path in tmp_path.glob("out/*/rows.jsonl")) and time.monotonic() < until:
            time.sleep(0.05)
        family = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.send_signal(signal.SIGKILL)
    assert len(family) >= 2
    assert die_out(family)


def abc_text(folder):
    """Path of a text that has the characters which the fixture's weights know."""
    path = folder / "text.txt"
    words = ("abcdefghijklmnopqrstuvwxyz"[i % 26 : i % 26 + 3 + i % 5] for i in range(1500))
    path.write_text(" ".join(words) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def cluster():
    """A dask scheduler with two worker processes, on this machine."""
    distributed = pytest.importorskip("distributed", reason="needs dask.distributed: uv sync --extra cluster")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as found:
        yield found


def sweep(make_weights, folder, *flags):
    """The rows of a small sweep."""
    script = importlib.import_module("run_inference_sweep")
    argv = [*FLAGS, "--weights", make_weights(diffusion), "--data", abc_text(folder.parent), "--output-dir", folder]
    argv += ["--seeds", "1,2,3,4,5,6", "--temp", "0.5,0.9", *flags]
    assert cli.run(script.main, script.Args, list(map(str, argv))) == 0
    (found,) = folder.iterdir()
    return json.loads((found / "results.json").read_text(encoding="utf-8"))


def test_a_cluster_gets_what_its_workers_share_once(cluster, tmp_path):
    with workers.executor(pid_after, Parcel(tmp_path), 1, cluster.scheduler_address) as results:
        pids = {*results([0.02] * 50)}
    seen = sorted(path.name.partition("_")[0] for path in tmp_path.iterdir())
    assert len(pids) == 2 and seen == sorted(map(str, pids))


def test_a_sweep_on_a_cluster_ends_with_the_same_rows_when_a_worker_is_killed(
    cluster, make_weights, own_root, monkeypatch
):
    alone = sweep(make_weights, own_root / "alone")
    measure, calls = quality.measure, []

    def kill_one(rows, reference):
        calls.append(rows)
        if len(calls) == 6:
            os.kill(cluster.workers[0].process.pid, signal.SIGKILL)
        return measure(rows, reference)

    monkeypatch.setattr(quality, "measure", kill_one)
    rows = sweep(make_weights, own_root / "cluster", "--cluster", cluster.scheduler_address)
    assert len(calls) == 12
    assert {row["seconds"] for row in rows} == {None}
    clock = {"seconds": None, "cpu_seconds": None}
    assert rows == [row | clock for row in alone]


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nowhere", "ray://127.0.0.1:10001"])
def test_a_cluster_that_cannot_be_reached_is_one_message(address):
    pytest.importorskip("distributed", reason="needs dask.distributed: uv sync --extra cluster")
    with pytest.raises(UserError, match="dask scheduler"), workers.executor(pid_after, None, 1, address):
        pass


def test_a_cluster_address_at_which_something_else_listens_is_one_message(monkeypatch):
    monkeypatch.setattr(workers, "TIMEOUT", 1)
    pytest.importorskip("distributed", reason="needs dask.distributed: uv sync --extra cluster")
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(UserError, match="no answer"), workers.executor(pid_after, None, 1, address):
            pass


def test_a_cluster_needs_its_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UserError, match="uv sync --extra cluster"), workers.executor(pid_after, None, 1, "tcp://x:1"):
        pass
