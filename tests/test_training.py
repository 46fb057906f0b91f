"""Training: it learns, it can be stopped at any moment, and what it did can be done again."""

import csv
import errno
import io
import itertools
import math
import os
import signal
import subprocess
import sys
import time
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes

import plot_training_curves
from diffusion import METHOD as diffusion
from diffusion_flow import METHOD as diffusion_flow
from gpt import METHOD as gpt
from lab import cli, command, files
from lab.measuring import records
from lab.model import backbone, checkpoint, likelihood, machine
from lab.model.machine import Rng
from lab.training import muon, session
from lab.training.trainer import Recipe
from methods import METHODS

HERE = Path(__file__).resolve().parent.parent
ENV = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE)}
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


def train(method, data, weights, *flags):
    argv = ["--train", "--data", str(data), "--weights", str(weights), "--max-new-tokens", "8", *flags]
    return command.run(method, argv)


def make_script(name, root):
    """A file that runs a method's command with its logs and cache in `root`, for a process of its own."""
    path = root / f"run_{name}.py"
    path.write_text(
        f"import pathlib, sys, {name}\nfrom lab import command\nfrom lab.model import corpus\nfrom lab.training import session\n"
        f"corpus.ROOT = session.ROOT = pathlib.Path({str(root)!r})\nsys.exit(command.run({name}.METHOD))\n"
    )
    return str(path)


def at_step(method, do):
    """The method with a loss that calls do(n) first, at the n-th step."""
    count = itertools.count()

    def loss(*given):
        do(next(count))
        return method.loss(*given)

    return replace(method, loss=loss)


def stopping(method, n):
    """The method with a training that stops at once after n steps, as by a second Ctrl-C."""

    def stop(step):
        if step == n:
            raise KeyboardInterrupt

    return at_step(method, stop)


def logs(folder):
    return sorted((folder / "logs").glob("*.csv"), key=lambda path: path.stat().st_mtime)


def rows(path):
    """The log without its clock."""
    with open(path, newline="", encoding="utf-8") as file:
        return [{key: row[key] for key in row if key != "elapsed_sec"} for row in csv.DictReader(file)]


def weights_of(path):
    return torch.load(path, weights_only=True)["model"]


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@every_method
def test_twenty_iterations_leave_weights_and_a_log_with_the_promised_columns(method, text_file, own_root, tiny):
    path = own_root / "w" / "model.pt"
    assert train(method, text_file, path, "--iters", "20", *tiny) == 0
    (log,) = logs(own_root)
    assert log.name.startswith(f"{method.name}_train_")
    header = log.read_text().splitlines()[0].split(",")
    expected = ["step", "elapsed_sec", "train_loss", "val_loss", "batch_total_loss"]
    if method is diffusion_flow:
        expected += ["batch_ce_loss", "batch_flow_loss", "flow_weight", "grad_norm"]
    assert header == expected
    assert [row["step"] for row in rows(log)] == [str(step) for step in range(21)]
    assert [p.name for p in path.parent.iterdir()] == ["model.pt"]  # the resume file is gone, nothing half-written
    made = torch.load(path, weights_only=True)["provenance"]
    assert 0.8 <= made["temperature"] <= 1.6


@pytest.mark.slow
@every_method
def test_it_learns(method, text_file, own_root, tiny):
    flags = ["--iters", "400", "--eval-every", "400", "--adam-lr", "0.02", *tiny]
    assert train(method, text_file, own_root / "w.pt", *flags) == 0
    characters = len(torch.load(own_root / "w.pt", weights_only=True)["characters"])
    first, *_, last = rows(logs(own_root)[0])
    assert float(first["val_loss"]) == pytest.approx(math.log(characters), abs=0.01)
    assert float(last["val_loss"]) < 0.75 * math.log(characters)


@every_method
def test_it_trains_on_chinese(method, chinese_file, own_root, tiny, capsys):
    assert train(method, chinese_file, own_root / "w.pt", "--iters", "3", *tiny) == 0
    assert len(capsys.readouterr().out) == 16 + 8 + 1


@pytest.mark.parametrize(
    ("method", "how"),
    [(gpt, signal.SIGTERM), (diffusion, signal.SIGINT), (diffusion_flow, signal.SIGINT)],
    ids=["gpt by its scheduler", "diffusion by Ctrl-C", "diffusion_flow by Ctrl-C"],
)
def test_interrupted_and_resumed_equals_uninterrupted(method, how, text_file, own_root, tiny, capfd):
    flags = ["--iters", "60", "--bf16", "False", *tiny]  # evaluated every 3 steps: interrupted between two
    assert train(method, text_file, own_root / "a.pt", *flags) == 0
    pressed = at_step(method, lambda step: step == 6 and os.kill(os.getpid(), how))
    assert train(pressed, text_file, own_root / "b.pt", *flags) == 130
    assert capfd.readouterr().err.count("finishing this step; another Ctrl-C") == 1
    assert not (own_root / "b.pt").exists()
    assert torch.load(own_root / "b.resume.pt", weights_only=True)["step"] == 7
    assert train(method, text_file, own_root / "b.pt", "--resume", *flags) == 0
    assert same(weights_of(own_root / "a.pt"), weights_of(own_root / "b.pt"))
    first, second = logs(own_root)
    assert rows(first) == rows(second)


@pytest.mark.slow
def test_a_killed_training_resumes_from_its_last_checkpoint(text_file, own_root, tiny):
    flags = ["--iters", "100", "--eval-every", "100", "--seed", "3", *tiny]
    paths = ["--data", str(text_file), "--weights", str(own_root / "w.pt")]
    command = [sys.executable, make_script("gpt", own_root), "--train", *paths, *flags, "--save-every", "0"]
    resume = checkpoint.resume_path(own_root / "w.pt")
    with subprocess.Popen(command, env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not (resume.exists() and torch.load(resume, weights_only=True)["step"] >= 5):
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.05)
        process.kill()
    state = torch.load(resume, weights_only=True)
    assert 5 <= state["step"] < 100
    assert not (own_root / "w.pt").exists()
    assert train(gpt, text_file, own_root / "w.pt", "--resume", *flags) == 0
    assert train(gpt, text_file, own_root / "alone.pt", *flags) == 0
    assert same(weights_of(own_root / "w.pt"), weights_of(own_root / "alone.pt"))


def test_resume_refuses_other_settings_and_a_missing_state(text_file, own_root, tiny, monkeypatch, capsys):
    flags = ["--iters", "4", *tiny]
    assert train(gpt, text_file, own_root / "w.pt", "--resume", *flags) == 2
    assert "w.resume.pt" in capsys.readouterr().err
    assert train(stopping(gpt, 2), text_file, own_root / "w.pt", *flags) == 130
    assert train(gpt, text_file, own_root / "w.pt", "--resume", "--no-calibrate", *flags) == 2
    assert "others are calibrate." in capsys.readouterr().err
    assert train(gpt, text_file, own_root / "w.pt", "--resume", "--muon-lr", "0.5", *flags) == 2
    assert "muon_lr" in capsys.readouterr().err


@pytest.mark.parametrize("began", [False, True], ids=["float32", "bfloat16"])
def test_a_training_goes_on_in_the_number_format_that_it_began_with(began, text_file, own_root, tiny, monkeypatch):
    flags = ["--iters", "4", "--no-calibrate", *tiny]
    monkeypatch.setattr(machine, "bf16_is_faster", lambda _: began)
    assert train(gpt, text_file, own_root / "a.pt", *flags) == 0
    assert train(stopping(gpt, 2), text_file, own_root / "b.pt", *flags) == 130
    monkeypatch.setattr(machine, "bf16_is_faster", lambda _: not began)
    assert train(gpt, text_file, own_root / "b.pt", "--resume", *flags) == 0
    a, b = (torch.load(own_root / f"{name}.pt", weights_only=True) for name in "ab")
    assert same(a["model"], b["model"]) and b["provenance"]["bf16"] == began


def test_weights_are_replaced_only_at_the_end(text_file, own_root, tiny, monkeypatch):
    path = own_root / "w.pt"
    assert train(gpt, text_file, path, "--iters", "2", *tiny) == 0
    before, seen = path.read_bytes(), []
    watched = at_step(gpt, lambda _: seen.append(path.read_bytes()))
    assert train(watched, text_file, path, "--iters", "3", *tiny) == 0
    assert seen == [before] * 3
    assert path.read_bytes() != before


def test_the_best_weights_are_kept_not_the_last(text_file, own_root, tiny, monkeypatch):
    snapshots = []

    def best_after_one_step(model, *_):
        snapshots.append({key: value.clone() for key, value in model.state_dict().items()})
        return torch.tensor([1.0 + abs(len(snapshots) - 4)])  # two evaluations each at the start and after the step

    assert (
        train(
            replace(gpt, nll=best_after_one_step), text_file, own_root / "w.pt", "--iters", "6", "--no-calibrate", *tiny
        )
        == 0
    )
    best = {key: value.bfloat16() for key, value in snapshots[3].items()}
    assert not same(best, {key: value.bfloat16() for key, value in snapshots[0].items()})
    assert same(weights_of(own_root / "w.pt"), best)


Trained = namedtuple("Trained", "recipe")


@pytest.mark.parametrize(
    ("typed", "processes", "advice"),
    [
        (["--train"], 1, "uv run gpt.py --train --resume"),
        (["--init=a.pt", "--resume", "--train"], 1, "uv run gpt.py --init=a.pt --train --resume"),
        (["--train", "--weights", "b c.pt"], 1, "uv run gpt.py --weights 'b c.pt' --train --resume"),
        (["--train"], 2, "uv run torchrun --nproc-per-node 2 gpt.py --train --resume"),
    ],
)
def test_what_was_stopped_says_how_to_go_on(typed, processes, advice, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/lab/gpt.py", *typed])
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
    session.finish(session.Session(Path("w.pt"), {}, Trained(Recipe()), step=5))
    assert capsys.readouterr().err == f"stopped at step 5; go on with: {advice}\n"


@pytest.mark.parametrize(("answer", "kept"), [("y\n", True), ("\n", False)])
def test_after_a_ctrl_c_the_best_weights_are_kept_and_calibrated_if_the_user_says_so(
    answer, kept, text_file, own_root, tiny, monkeypatch
):
    terminal = io.StringIO(answer)
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stdin", terminal)
    path, pressed = own_root / "w.pt", at_step(gpt, lambda step: step == 2 and signal.raise_signal(signal.SIGINT))
    assert train(pressed, text_file, path, "--iters", "6", "--eval-every", "1", *tiny) == 130
    assert path.exists() == kept
    if kept:
        made = torch.load(path, weights_only=True)["provenance"]
        assert made["steps"] == 3 and 0.8 <= made["temperature"] <= 1.6


def test_init_takes_a_model_that_differs_in_dropout_only(text_file, own_root, tiny, capsys):
    assert train(gpt, text_file, own_root / "a.pt", "--iters", "1", *tiny) == 0
    again = ["--init", str(own_root / "a.pt"), "--iters", "1", *tiny]
    assert train(gpt, text_file, own_root / "b.pt", "--dropout", "0.05", *again) == 0
    assert train(gpt, text_file, own_root / "c.pt", *again, "--n-embd", "24") == 2
    assert "other sizes" in capsys.readouterr().err


def test_init_starts_from_other_weights_and_is_recorded(text_file, own_root, tiny):
    assert train(diffusion, text_file, own_root / "a.pt", "--iters", "3", *tiny) == 0
    still = ["--muon-lr", "0", "--adam-lr", "0", "--iters", "1", "--no-calibrate"]
    assert train(diffusion, text_file, own_root / "b.pt", "--init", str(own_root / "a.pt"), *still, *tiny) == 0
    assert same(weights_of(own_root / "a.pt"), weights_of(own_root / "b.pt"))
    assert torch.load(own_root / "b.pt", weights_only=True)["provenance"]["init"] == str(own_root / "a.pt")


def test_init_refuses_other_sizes(text_file, own_root, tiny, capsys):
    assert train(gpt, text_file, own_root / "a.pt", "--iters", "1", *tiny, "--n-layer", "2") == 0
    for sizes in (("--n-embd", "32", "--n-layer", "2"), ("--n-layer", "1"), ("--n-layer", "3")):
        other = ["--init", str(own_root / "a.pt"), "--iters", "1", *tiny, *sizes]
        assert train(gpt, text_file, own_root / "b.pt", *other) == 2
        assert "a.pt: made for another alphabet or other sizes" in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_train_like_one_on_the_joined_batch(text_file, own_root, tiny):
    """The method that draws the most random numbers, and whose loss has parts."""
    flags = ["--iters", "10", "--eval-every", "10", "--batch-size", "2", "--bf16", "False", "--dropout", "0"]
    flags += ["--warmup", "0", "--adam-lr", "0.02", *tiny]
    assert train(diffusion_flow, text_file, own_root / "one.pt", *flags) == 0
    assert train(diffusion_flow, text_file, own_root / "other.pt", "--seed", "7", *flags) == 0
    two = ["--train", "--data", str(text_file), "--weights", str(own_root / "two.pt"), "--max-new-tokens", "8", *flags]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launch, make_script("diffusion_flow", own_root), *two]
    done = subprocess.run(command, env=ENV, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    made = torch.load(own_root / "two.pt", weights_only=True)["provenance"]
    assert made["processes"] == 2 and made["command"].startswith("uv run torchrun --nproc-per-node 2 ")
    one, both, other = (flat(weights_of(own_root / f"{which}.pt")) for which in ("one", "two", "other"))
    assert (one - both).norm() < 0.02 * (one - other).norm()
    alone, _, shared = logs(own_root)
    for one, both in zip(rows(alone), rows(shared), strict=True):
        for name in {*one} - {"step"}:
            assert float(one[name] or 0) == pytest.approx(float(both[name] or 0), rel=1e-3), name


def flat(weights):
    return torch.cat([value.flatten().float() for value in weights.values()])


def test_processes_share_one_draw():
    whole, parts = Rng(4), [Rng(4, rank=rank, world=2) for rank in range(2)]
    for draw in (
        lambda r, n: r.rand(n, 3),
        lambda r, n: r.randn(n, 2),
        lambda r, n: r.randint(9, n),
        lambda r, n: r.stratified(n),
    ):
        assert torch.equal(draw(whole, 4), torch.cat([draw(part, 2) for part in parts]))


def test_random_numbers_depend_on_all_bits_of_the_seed():
    assert not torch.equal(Rng(1).rand(4), Rng(1 + (1 << 32)).rand(4))


def test_strata_put_one_number_in_each_slice():
    numbers = Rng(0).stratified(8).sort().values
    assert torch.equal((numbers * 8).long(), torch.arange(8))


def test_orthogonal_makes_singular_values_nearly_one():
    for shape in ((3, 8, 8), (3, 8, 32), (3, 32, 8)):
        values = torch.linalg.svdvals(muon.orthogonal(torch.randn(shape, generator=torch.Generator().manual_seed(0))))
        assert 0.5 < values.min()
        assert values.max() < 1.3


def test_orthogonal_takes_the_steps_that_are_written_in_the_book():
    """The iteration on the whole matrix in float64, also where some directions are ten million times as weak."""
    u, v = (
        torch.linalg.qr(torch.randn(3, 64, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(n)))[0]
        for n in (0, 1)
    )
    x = u * torch.logspace(0, -7, 16) @ v.mT
    book = x / x.norm(dim=(-2, -1), keepdim=True)
    for _ in range(5):
        square = book @ book.mT
        book = 3.4445 * book + (-4.7750 * square + 2.0315 * square @ square) @ book
    assert (muon.orthogonal(x.float()) - book).norm() < 1e-3 * book.norm()


def test_muon_agrees_with_torch():
    """Ours against torch.optim.Muon, which rounds to bfloat16."""
    generator = torch.Generator().manual_seed(0)
    start, grads = torch.randn(24, 8, generator=generator), torch.randn(3, 24, 8, generator=generator)
    ours, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    a = muon.Muon([ours], lr=0.1)
    b = torch.optim.Muon([theirs], lr=0.1, weight_decay=0.0, momentum=0.95)
    for grad in grads:
        ours.grad, theirs.grad = grad.clone(), grad.clone()
        a.step()
        b.step()
    assert (ours - start).norm() > 0.5
    assert (ours - theirs).norm() < 0.05 * (ours - start).norm()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_dropout_drops_its_share_and_keeps_the_mean(share):
    """In all of the eight bytes of a random word alike."""
    torch.manual_seed(0)
    x = torch.randn(3, 7, 5001)
    left = backbone.dropout(x, share)
    dropped = left == 0
    each = dropped.flatten()[: x.numel() // 8 * 8].view(-1, 8).float().mean(0)
    assert (each - share).abs().max() < 0.02
    assert torch.allclose(left[~dropped], x[~dropped] / (1 - dropped.float().mean()), rtol=0.05)


def test_dropout_is_of_training_only():
    config = backbone.Config(vocab_size=9, block_size=16, n_layer=1, n_head=2, n_embd=16)
    model = backbone.Backbone(replace(config, dropout=0.5), is_causal=True)
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.1)
    plain = backbone.Backbone(config, is_causal=True)
    plain.load_state_dict(model.state_dict())
    x = torch.randn(2, 8, config.n_embd)
    assert not torch.equal(model(x), plain(x))
    assert torch.equal(model.eval()(x), plain(x))


def test_learning_rate_warms_up_holds_and_falls_to_nothing():
    scale = Recipe(iters=100, warmup=10, decay=0.5).lr_scale
    assert [round(scale(step), 2) for step in (0, 4, 9, 30, 50, 75, 99)] == [0.1, 0.5, 1.0, 1.0, 1.0, 0.5, 0.02]


def test_validation_is_the_same_for_both_masked_models(text_file, own_root):
    """Fixed windows and masks: with equal weights the curves of the two are equal."""
    config = diffusion_flow.Config(vocab_size=9, block_size=16, n_layer=1, n_head=2, n_embd=16)
    flow = diffusion_flow.Model(config)
    torch.nn.init.normal_(flow.lm_head.weight)
    plain = diffusion.Model(diffusion.Config(**{k: v for k, v in vars(config).items() if k != "flow_weight"}))
    plain.load_state_dict({key: value for key, value in flow.state_dict().items() if key in plain.state_dict()})
    split = torch.randint(9, (20, 17))
    values = [method.nll(model, split).mean() for method, model in ((diffusion, plain), *[(diffusion_flow, flow)] * 2)]
    assert values[0] == values[1] == values[2]


class Knowing(torch.nn.Module):
    """Knows one text, the better the fewer of its characters are masked, some characters better than others."""

    def __init__(self, text, vocab_size):
        super().__init__()
        self.config = backbone.Config(vocab_size=vocab_size, block_size=len(text))
        self.lm_head = torch.nn.Linear(1, 1)
        self.known = torch.nn.functional.one_hot(text, vocab_size) * torch.linspace(2, 8, len(text))[:, None]

    def forward(self, idx):
        return self.known * (1 - (idx == self.config.vocab_size).float().mean(1))[:, None, None]


def test_validation_of_masked_models_draws_new_masks_for_each_window():
    """64 windows under 128 stratified masks: the mean is that of 64 repeats, and another draw moves it by less than .012.

    With the same 16 masks for every 8 windows it would be .04.
    """
    text = torch.randint(65, (65,), generator=torch.Generator().manual_seed(0))
    model, split = Knowing(text[:-1], 65), text.repeat(64, 1)
    exact = likelihood.nelbo(model, split, repeats=64).mean().item()
    found = diffusion.nll(model, split).mean().item()
    assert found == likelihood.nelbo(model, split, repeats=2).mean().item() == pytest.approx(exact, abs=0.012)
    draws = [likelihood.nelbo(model, split, repeats=2, seed=seed).mean().item() for seed in range(12)]
    assert np.std(draws) < 0.012 and np.mean(draws) == pytest.approx(exact, abs=0.006)


def test_recipe_refuses_the_impossible():
    for wrong in ({"iters": 0}, {"batch_size": 0}, {"decay": 1.5}, {"muon_lr": -1.0}, {"eval_every": 0}):
        with pytest.raises(cli.UserError):
            replace(Recipe(), **wrong)


def test_a_training_that_diverges_says_so(text_file, own_root, tiny, monkeypatch, capsys):
    broken = replace(gpt, nll=lambda *_: torch.tensor([math.nan]))
    assert train(broken, text_file, own_root / "w.pt", "--iters", "2", *tiny) == 2
    assert "--muon-lr" in capsys.readouterr().err


def test_a_new_training_keeps_the_unfinished_one_aside(text_file, own_root, tiny):
    resume = own_root / "w.resume.pt"
    resume.write_bytes(b"hours of work")
    wrong = ["--init", str(own_root / "missing.pt")]
    assert train(gpt, text_file, own_root / "w.pt", "--iters", "1", *wrong, *tiny) == 2
    assert resume.read_bytes() == b"hours of work"
    assert train(gpt, text_file, own_root / "w.pt", "--iters", "1", *tiny) == 0
    assert (own_root / "w.resume.pt.old").read_bytes() == b"hours of work"


def test_unfinished_trainings_set_aside_are_numbered(text_file, own_root, tiny):
    for work in (b"hours of work", b"days of work"):
        (own_root / "w.resume.pt").write_bytes(work)
        assert train(gpt, text_file, own_root / "w.pt", "--iters", "1", *tiny) == 0
    kept = {path.read_bytes() for path in own_root.glob("w.resume.pt*.old")}
    assert kept == {b"hours of work", b"days of work"}


def test_a_log_has_a_row_before_the_first_step_and_twenty_of_a_short_training(text_file, own_root, tiny):
    assert train(diffusion, text_file, own_root / "w.pt", "--iters", "65", *tiny) == 0
    assert [int(row["step"]) for row in rows(logs(own_root)[0])] == [*range(0, 65, 3), 65]
    long = session.Session(Path("w.pt"), {}, Trained(Recipe(iters=10000)), step=250, rows=[{"step": 0}])
    assert long.should_evaluate() and not replace(long, step=100).should_evaluate()


@pytest.mark.parametrize(("iters", "measured"), [(20, 2), (100, 4), (1000, 21), (10000, 41)])
def test_evaluations_take_about_a_tenth_of_a_short_training_and_not_fewer_than_before_of_a_long_one(iters, measured):
    """A window that is measured costs a third of one that is trained on: its gradient costs twice as much again."""
    recipe = Recipe(iters=iters, batch_size=12)
    run = session.Session(Path("w.pt"), {}, Trained(recipe), rows=[{"step": -1}])
    due = sum(replace(run, step=step).should_evaluate() for step in range(iters + 1))
    assert due == measured
    share = due * 2 * recipe.eval_windows / (3 * recipe.batch_size) / iters
    assert iters < 100 or share < 0.15  # the first and the last are always measured


def test_a_user_who_wants_more_evaluations_gets_them():
    recipe = Recipe(iters=100, eval_every=5)
    assert session.Session(Path("w.pt"), {}, Trained(recipe), step=5, rows=[{"step": 0}]).should_evaluate()


@pytest.mark.parametrize(("iters", "flags", "expected"), [(299, (), 0), (300, (), 1), (2, ("--compile", "True"), 1)])
def test_a_short_training_is_not_compiled_unless_the_user_says_so(
    iters, flags, expected, text_file, own_root, monkeypatch
):
    asked = []

    def compiling(model, dynamic):
        asked.append(model)
        raise KeyboardInterrupt

    monkeypatch.setattr(machine, "can_compile", lambda device: True)
    monkeypatch.setattr(torch, "compile", compiling)
    sizes = ["--n-layer", "1", "--n-embd", "16", "--n-head", "2", "--block-size", "32", "--eval-windows", "2"]
    assert train(stopping(gpt, 0), text_file, own_root / "w.pt", "--iters", str(iters), *sizes, *flags) == 130
    assert len(asked) == expected


def test_a_row_of_the_log_holds_the_means_since_the_last_one(text_file, own_root, tiny, monkeypatch):
    seen = []

    def loss(*given):
        total, parts = diffusion_flow.loss(*given)
        seen.append((total.item(), parts))
        return total, parts

    assert train(replace(diffusion_flow, loss=loss), text_file, own_root / "w.pt", "--iters", "60", *tiny) == 0
    first, second, *_ = rows(logs(own_root)[0])
    assert first["batch_total_loss"] == first["grad_norm"] == ""
    mean = sum(float(total) for total, _ in seen[:3]) / 3
    assert float(second["batch_total_loss"]) == pytest.approx(mean, abs=1e-4)
    for name in ("batch_ce_loss", "batch_flow_loss"):
        assert float(second[name]) == pytest.approx(sum(float(parts[name]) for _, parts in seen[:3]) / 3, abs=1e-4)


def test_curves_of_a_short_training_are_visible(text_file, own_root, tiny, monkeypatch):
    paths = {}
    for method in (diffusion, diffusion_flow):
        assert train(method, text_file, own_root / "w.pt", "--iters", "1", *tiny) == 0
        paths[method] = logs(own_root)[-1]

    args = plot_training_curves.Args(paths[diffusion], paths[diffusion_flow], output_dir=own_root / "plots")
    lines, plot = [], Axes.plot

    def keeping(axes, *data, **style):
        lines.extend(plot(axes, *data, **style))

    monkeypatch.setattr(Axes, "plot", keeping)
    plot_training_curves.main(args)
    assert len(lines) == 4 + 2 + 3 + 2
    assert all(len(line.get_xdata()) and line.get_marker() not in ("", "None", None) for line in lines)


def test_presses_of_ctrl_c_stop_two_seconds_after_the_first_however_close(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(session.time, "monotonic", lambda: now[0])
    with session.Interrupt() as interrupt, pytest.raises(KeyboardInterrupt):
        for _ in range(9):
            signal.raise_signal(signal.SIGINT)
            assert interrupt.seen and now[0] < 102.5
            now[0] += 1.5


def test_two_presses_within_two_seconds_let_the_step_end(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(session.time, "monotonic", lambda: now[0])
    with session.Interrupt() as interrupt:
        for _ in range(4):
            signal.raise_signal(signal.SIGINT)
            now[0] += 0.5
        assert interrupt.seen


def test_a_second_training_of_one_file_is_refused_and_names_the_first(text_file, own_root, tiny, capsys):
    with files.locked(own_root / "w.pt"):
        assert train(gpt, text_file, own_root / "w.pt", "--iters", "1", *tiny) == 2
        assert f"process {os.getpid()}" in capsys.readouterr().err
        assert sorted(own_root.glob("w.*")) == [own_root / "w.pt.lock"]
    assert train(gpt, text_file, own_root / "other.pt", "--iters", "1", *tiny) == 0


def test_a_lock_ends_with_its_training(text_file, own_root, tiny, monkeypatch):
    assert train(gpt, text_file, own_root / "w.pt", "--iters", "1", *tiny) == 0
    assert not list(own_root.glob("*.lock"))
    with pytest.raises(ZeroDivisionError):
        train(at_step(gpt, lambda _: 1 / 0), text_file, own_root / "w.pt", "--iters", "1", *tiny)
    assert not list(own_root.glob("*.lock"))


def test_trainings_that_start_in_one_second_have_logs_of_their_own(text_file, own_root, tiny, monkeypatch):
    monkeypatch.setattr(session.time, "strftime", lambda _: "20260101_000000")
    for n in range(3):
        assert train(gpt, text_file, own_root / f"{n}.pt", "--iters", "1", "--seed", str(n), *tiny) == 0
    assert len(logs(own_root)) == 3 and all(len(rows(log)) == 2 for log in logs(own_root))


def test_a_copied_folder_goes_on_in_its_own_logs(text_file, own_root, tiny, monkeypatch):
    flags, (first, second) = ["--iters", "4", *tiny], (own_root / "first", own_root / "second")
    monkeypatch.setattr(session, "ROOT", first)
    assert train(stopping(gpt, 2), text_file, first / "w.pt", *flags) == 130
    first.rename(second)
    monkeypatch.setattr(session, "ROOT", second)
    assert train(gpt, text_file, second / "w.pt", "--resume", *flags) == 0
    assert not first.exists()
    assert [row["step"] for row in rows(logs(second)[0])] == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("damage", [b"\0\0\0", b"\xef\xbb\xbfstep\n\n\n7", b"", None])
def test_a_damaged_log_does_not_block_a_healthy_training(damage, text_file, own_root, tiny, monkeypatch):
    flags = ["--iters", "4", *tiny]
    assert train(stopping(gpt, 2), text_file, own_root / "w.pt", *flags) == 130
    (log,) = logs(own_root)
    if damage is None:
        log.unlink()
    else:
        log.write_bytes(damage)
    assert train(gpt, text_file, own_root / "w.pt", "--resume", *flags) == 0
    assert [row["step"] for row in rows(log)] == ["0", "1", "2", "3", "4"]


def test_an_unfinished_training_is_named_with_its_command(text_file, own_root, tiny, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpt.py", "--train", "--iters", "4"])
    assert train(stopping(gpt, 2), text_file, own_root / "w.pt", "--iters", "4", *tiny) == 130
    capsys.readouterr()
    assert train(gpt, text_file, own_root / "w.pt", "--iters", "5", *tiny, "--resume") == 2
    said = capsys.readouterr().err
    assert "--resume needs the settings that it was started with; others are iters. It was started by: uv run" in said
    assert said.endswith("gpt.py --train --iters 4\n")
    assert command.run(gpt, ["--weights", str(own_root / "w.pt")]) == 2
    said = capsys.readouterr().err
    assert "w.pt: no such file. Train it: uv run" in said


def test_resuming_before_the_first_step_sets_nothing_aside(text_file, own_root, tiny, monkeypatch, capsys):
    flags = ["--iters", "2", *tiny]
    assert train(stopping(gpt, 0), text_file, own_root / "w.pt", *flags) == 130
    assert train(gpt, text_file, own_root / "w.pt", "--resume", *flags) == 0
    assert "kept as" not in capsys.readouterr().err
    assert not list(own_root.glob("*.old"))


@pytest.mark.parametrize("change", [{"model": {}}, {"optimisers": 5}, {"provenance": 3}])
def test_a_damaged_resume_file_is_refused_in_words(change, text_file, own_root, tiny, monkeypatch, capsys):
    flags, resume = ["--iters", "4", *tiny], own_root / "w.resume.pt"
    assert train(stopping(gpt, 2), text_file, own_root / "w.pt", *flags) == 130
    torch.save(torch.load(resume, weights_only=True) | change, resume)
    assert train(gpt, text_file, own_root / "w.pt", "--resume", *flags) == 2
    assert "w.resume.pt: damaged" in capsys.readouterr().err


@pytest.mark.parametrize("damaged", [False, True])
def test_advice_repeats_what_was_typed(damaged, text_file, own_root, tiny, monkeypatch, capsys):
    path = own_root / "my w.pt"
    if damaged:
        checkpoint.resume_path(path).write_bytes(b"PK\3\4 cut")
    monkeypatch.setattr(sys, "argv", ["gpt.py", "--train", "--resume", "--weights", str(path), "--iters", "3"])
    assert train(gpt, text_file, path, "--resume", *tiny) == 2
    assert f"uv run gpt.py --weights '{path}' --iters 3 --train\n" in capsys.readouterr().err


def test_replacing_the_default_weights_is_said_before_it_starts(text_file, own_root, tiny, monkeypatch, capsys):
    monkeypatch.setattr("lab.model.checkpoint.ROOT", own_root)
    argv = ["--train", "--data", str(text_file), "--iters", "1", "--max-new-tokens", "8", *tiny]
    told = []
    for _ in range(2):
        assert command.run(gpt, argv) == 0
        told.append("will be replaced" in capsys.readouterr().err.partition("0 of 1 steps")[0])
    assert told == [False, True]


def test_a_full_disk_stops_a_training_and_keeps_the_last_checkpoint(text_file, own_root, tiny, monkeypatch, capsys):
    flags, real, written = ["--iters", "4", "--save-every", "0", *tiny], os.replace, []

    def filling_up(source, target):
        written.append(target)
        if len(written) > 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", filling_up)
        assert train(gpt, text_file, own_root / "w.pt", *flags) == 2
    assert "No space left" in capsys.readouterr().err
    assert 1 <= torch.load(own_root / "w.resume.pt", weights_only=True)["step"] < 4
    assert logs(own_root)[0].read_text().startswith("step,")
    assert not list(own_root.rglob("*.part"))
    assert train(gpt, text_file, own_root / "w.pt", "--resume", *flags) == 0


def test_weights_may_have_a_name_that_is_no_utf_8(text_file, own_root, tiny):
    path = own_root / os.fsdecode(b"w\xe9.pt")
    assert train(gpt, text_file, path, "--iters", "1", *tiny) == 0
    assert path.exists()


def test_weights_that_are_no_file_are_refused_before_the_training(text_file, own_root, tiny, monkeypatch):
    (own_root / "link.pt").symlink_to(own_root)
    for path in ("/dev/null", own_root / "link.pt", own_root):
        assert train(at_step(gpt, lambda _: 1 / 0), text_file, path, "--iters", "1", *tiny) == 2


def test_a_compiler_that_does_not_work_is_done_without(text_file, own_root, tiny, monkeypatch, capsys):
    from torch._dynamo.exc import BackendCompilerFailed

    def broken(*_):
        raise BackendCompilerFailed(broken, RuntimeError("no working compiler\nand more"), None)

    monkeypatch.setattr(torch, "compile", lambda model, dynamic: broken)
    assert train(gpt, text_file, own_root / "w.pt", "--iters", "1", *tiny[:-2], "--compile", "True") == 0
    (said,) = [line for line in capsys.readouterr().err.splitlines() if "--compile False" in line]
    assert "uncompiled" in said
    monkeypatch.setattr(torch, "compile", lambda model, dynamic: lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(gpt, text_file, own_root / "w.pt", "--iters", "1", *tiny[:-2], "--compile", "True")


@pytest.mark.parametrize("rows", ["", "1,1,2,2,2\n1,1,2,2,2,9", "1,x,2,2,2"])
def test_what_is_no_log_of_a_training_is_refused(tmp_path, rows):
    header = "step,elapsed_sec,train_loss,val_loss,batch_total_loss"
    (tmp_path / "log.csv").write_text(f"{header}\n{rows}\n")
    with pytest.raises(cli.UserError, match=r"log\.csv: no training log"):
        records.read_log(tmp_path / "log.csv", plot_training_curves.COMMON)
    (tmp_path / "log.csv").rename(tmp_path / "log.zip")  # a name says nothing of what is in a file
    with pytest.raises(cli.UserError, match=r"log\.zip: no training log"):
        records.read_log(tmp_path / "log.zip", plot_training_curves.COMMON)


def test_a_prompt_longer_than_the_opening_that_is_stored_is_refused_before_a_training(
    text_file, own_root, tiny, capsys
):
    os.replace(text_file, own_root / "data.txt")
    argv = ["--train", "--weights", str(own_root / "w.pt"), "--iters", "1", "--prompt-len", "33", *tiny]
    assert command.run(diffusion, argv) == 2
    assert "prompt_len 33" in capsys.readouterr().err and not (own_root / "w.pt").exists()


def test_a_folder_in_the_place_of_the_resume_file_is_one_message(text_file, own_root, tiny, capsys):
    (own_root / "w.resume.pt").mkdir()
    assert train(diffusion, text_file, own_root / "w.pt", "--iters", "1", *tiny) == 2
    assert "w.resume.pt: is a folder" in capsys.readouterr().err
    assert [path.name for path in own_root.glob("w*")] == ["w.resume.pt"] and not (own_root / "logs").exists()
