"""Training: it learns, it can be stopped at any moment, and what it did can be done again."""

import csv
import io
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import diffusion
import diffusion_flow
import gpt
from lab import backbone, checkpoint, cli, muon, training
from lab.machine import Rng
from methods import METHODS

HERE = Path(__file__).resolve().parent.parent
ENV = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE)}
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


def train(method, data, weights, *flags, main=None):
    argv = ["--train", "--data", str(data), "--weights", str(weights), "--max-new-tokens", "8", *flags]
    return cli.run(main or method.main, method.Args, argv)


def make_script(name, root):
    """A file that runs a method's command with its logs and cache in `root`, for a process of its own."""
    path = root / f"run_{name}.py"
    path.write_text(
        f"import pathlib, sys, {name}\nfrom lab import cli, corpus, training\n"
        f"corpus.ROOT = training.ROOT = pathlib.Path({str(root)!r})\nsys.exit(cli.run({name}.main, {name}.Args))\n"
    )
    return str(path)


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
    assert log.name.startswith(f"{method.NAME}_train_")
    header = log.read_text().splitlines()[0].split(",")
    expected = ["step", "elapsed_sec", "train_loss", "val_loss", "batch_total_loss"]
    if method is diffusion_flow:
        expected += ["batch_ce_loss", "batch_flow_loss", "flow_weight", "grad_norm"]
    assert header == expected
    assert [row["step"] for row in rows(log)] == ["20"]
    assert [p.name for p in path.parent.iterdir()] == ["model.pt"]  # the resume file is gone, nothing half-written
    made = torch.load(path, weights_only=True)["provenance"]
    assert ("temperature" in made) == (method is gpt)


@every_method
def test_it_learns(method, text_file, own_root, tiny):
    flags = ["--iters", "400", "--eval-every", "400", "--adam-lr", "0.02", *tiny]
    assert train(method, text_file, own_root / "w.pt", *flags) == 0
    characters = len(torch.load(own_root / "w.pt", weights_only=True)["characters"])
    (row,) = rows(logs(own_root)[0])
    assert float(row["val_loss"]) < 0.75 * torch.tensor(float(characters)).log()


@every_method
def test_it_trains_on_chinese(method, chinese_file, own_root, tiny, capsys):
    assert train(method, chinese_file, own_root / "w.pt", "--iters", "3", *tiny) == 0
    assert len(capsys.readouterr().out) == 16 + 8 + 1


@every_method
def test_interrupted_and_resumed_equals_uninterrupted(method, text_file, own_root, tiny, monkeypatch, capfd):
    flags = ["--iters", "12", "--eval-every", "4", "--bf16", "False", *tiny]
    final, real, keep = [], training.advance, training.Run.keep_best

    def keeping(run, measure):
        final.append({key: value.clone() for key, value in run.model.state_dict().items()})
        keep(run, measure)

    def interrupting(run, *args):
        if run.step == 6:
            os.kill(os.getpid(), signal.SIGINT)
        return real(run, *args)

    monkeypatch.setattr(training.Run, "keep_best", keeping)
    assert train(method, text_file, own_root / "a.pt", *flags) == 0
    monkeypatch.setattr(training, "advance", interrupting)
    time.sleep(1)  # logs are named by the second
    assert train(method, text_file, own_root / "b.pt", *flags) == 130
    assert capfd.readouterr().err.count("finishing this step; another Ctrl-C") == 1
    assert not (own_root / "b.pt").exists()
    assert torch.load(own_root / "b.resume.pt", weights_only=True)["step"] == 7
    monkeypatch.setattr(training, "advance", real)
    assert train(method, text_file, own_root / "b.pt", "--resume", *flags) == 0
    assert same(*final)  # to the last bit, in float32
    assert same(weights_of(own_root / "a.pt"), weights_of(own_root / "b.pt"))
    first, second = logs(own_root)
    assert rows(first) == rows(second)


def test_a_killed_training_resumes_from_its_last_checkpoint(text_file, own_root, tiny):
    flags = ["--iters", "400", "--eval-every", "400", "--save-every", "0", "--seed", "3", *tiny]
    paths = ["--data", str(text_file), "--weights", str(own_root / "w.pt")]
    command = [sys.executable, make_script("gpt", own_root), "--train", *paths, *flags]
    resume = checkpoint.resume_path(own_root / "w.pt")
    with subprocess.Popen(command, env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not (resume.exists() and torch.load(resume, weights_only=True)["step"] >= 5):
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.05)
        process.kill()
    state = torch.load(resume, weights_only=True)
    assert 5 <= state["step"] < 400
    assert not (own_root / "w.pt").exists()
    assert train(gpt, text_file, own_root / "w.pt", "--resume", *flags) == 0
    time.sleep(1)  # logs are named by the second
    assert train(gpt, text_file, own_root / "alone.pt", *flags) == 0
    assert same(weights_of(own_root / "w.pt"), weights_of(own_root / "alone.pt"))


def test_resume_refuses_other_settings_and_a_missing_state(text_file, own_root, tiny, monkeypatch, capsys):
    flags = ["--iters", "4", *tiny]
    assert train(gpt, text_file, own_root / "w.pt", "--resume", *flags) == 2
    assert "w.resume.pt" in capsys.readouterr().err
    real = training.advance

    def stopping(run, *args):
        if run.step == 2:
            raise KeyboardInterrupt
        return real(run, *args)

    monkeypatch.setattr(training, "advance", stopping)
    assert train(gpt, text_file, own_root / "w.pt", *flags) == 130
    assert train(gpt, text_file, own_root / "w.pt", "--resume", "--muon-lr", "0.5", *flags) == 2
    assert "muon_lr" in capsys.readouterr().err


def test_weights_are_replaced_only_at_the_end(text_file, own_root, tiny, monkeypatch):
    path = own_root / "w.pt"
    assert train(gpt, text_file, path, "--iters", "2", *tiny) == 0
    before, seen, real = path.read_bytes(), [], training.advance

    def watching(*args):
        seen.append(path.read_bytes())
        return real(*args)

    monkeypatch.setattr(training, "advance", watching)
    assert train(gpt, text_file, path, "--iters", "3", *tiny) == 0
    assert seen == [before] * 3
    assert path.read_bytes() != before


def test_the_best_weights_are_kept_not_the_last(text_file, own_root, tiny, monkeypatch):
    snapshots = []

    def worse_and_worse(model, *args):
        snapshots.append({key: value.clone() for key, value in model.state_dict().items()})
        return float(len(snapshots))

    monkeypatch.setattr(training, "evaluate", worse_and_worse)
    assert train(gpt, text_file, own_root / "w.pt", "--iters", "6", "--eval-every", "2", "--no-calibrate", *tiny) == 0
    best = {key: value.bfloat16() for key, value in snapshots[0].items()}
    assert same(weights_of(own_root / "w.pt"), best)


@pytest.mark.parametrize(
    ("typed", "processes", "advice"),
    [
        (["--train"], 1, "uv run gpt.py --train --resume"),
        (["--train", "--iters", "9", "--init", "a.pt"], 1, "uv run gpt.py --iters 9 --train --resume"),
        (["--init=a.pt", "--resume", "--train"], 1, "uv run gpt.py --train --resume"),
        (
            ["--train", "--init", "my a.pt", "--weights", "b c.pt"],
            1,
            "uv run gpt.py --weights 'b c.pt' --train --resume",
        ),
        (["--train"], 2, "uv run torchrun --nproc-per-node 2 gpt.py --train --resume"),
    ],
)
def test_what_was_stopped_says_how_to_go_on(typed, processes, advice, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/lab/gpt.py", *typed])
    run = training.Run(None, {"provenance": {"processes": processes}}, None, None, None, None, None, step=5)
    training.stop_early(run, measure=None)
    assert capsys.readouterr().err == f"stopped at step 5; go on with: {advice}\n"


@pytest.mark.parametrize(("answer", "kept"), [("y\n", True), ("\n", False)])
def test_after_a_ctrl_c_the_best_weights_are_kept_and_calibrated_if_the_user_says_so(
    answer, kept, text_file, own_root, tiny, monkeypatch
):
    terminal, asked = io.StringIO(answer), iter([False, False, True])
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stdin", terminal)
    monkeypatch.setattr(training.machine.Ranks, "any", lambda *_: next(asked))
    path = own_root / "w.pt"
    assert train(gpt, text_file, path, "--iters", "6", "--eval-every", "1", *tiny) == 130
    assert path.exists() == kept
    if kept:
        made = torch.load(path, weights_only=True)["provenance"]
        assert made["steps"] == 2 and 0.8 <= made["temperature"] <= 1.6


def test_init_takes_a_model_that_differs_in_dropout_only(text_file, own_root, tiny, capsys):
    assert train(gpt, text_file, own_root / "a.pt", "--iters", "1", *tiny) == 0
    again = ["--init", str(own_root / "a.pt"), "--iters", "1", *tiny]
    assert train(gpt, text_file, own_root / "b.pt", "--dropout", "0.05", *again) == 0
    assert train(gpt, text_file, own_root / "c.pt", *again, "--n-embd", "24") == 2
    assert "other sizes" in capsys.readouterr().err


def test_init_starts_from_other_weights_and_is_recorded(text_file, own_root, tiny):
    assert train(diffusion, text_file, own_root / "a.pt", "--iters", "3", *tiny) == 0
    still = ["--muon-lr", "0", "--adam-lr", "0", "--iters", "1"]
    assert train(diffusion, text_file, own_root / "b.pt", "--init", str(own_root / "a.pt"), *still, *tiny) == 0
    assert same(weights_of(own_root / "a.pt"), weights_of(own_root / "b.pt"))
    assert torch.load(own_root / "b.pt", weights_only=True)["provenance"]["init"] == str(own_root / "a.pt")


def test_init_refuses_other_sizes(text_file, own_root, tiny, capsys):
    assert train(gpt, text_file, own_root / "a.pt", "--iters", "1", *tiny) == 0
    wider = ["--init", str(own_root / "a.pt"), "--iters", "1", *tiny, "--n-embd", "32"]
    assert train(gpt, text_file, own_root / "b.pt", *wider) == 2
    assert "a.pt" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["gpt", "diffusion_flow"])
def test_two_processes_train_like_one_on_the_joined_batch(name, text_file, own_root, tiny):
    flags = ["--iters", "10", "--eval-every", "10", "--batch-size", "2", "--bf16", "False", "--dropout", "0"]
    flags += ["--warmup", "0", "--adam-lr", "0.02", *tiny]
    assert train(METHODS[name], text_file, own_root / "one.pt", *flags) == 0
    assert train(METHODS[name], text_file, own_root / "other.pt", "--seed", "7", *flags) == 0
    two = ["--train", "--data", str(text_file), "--weights", str(own_root / "two.pt"), "--max-new-tokens", "8", *flags]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launch, make_script(name, own_root), *two]
    done = subprocess.run(command, env=ENV, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert torch.load(own_root / "two.pt", weights_only=True)["provenance"]["processes"] == 2
    one, both, other = (flat(weights_of(own_root / f"{which}.pt")) for which in ("one", "two", "other"))
    assert (one - both).norm() < 0.02 * (one - other).norm()


def flat(weights):
    return torch.cat([value.flatten().float() for value in weights.values()])


def test_processes_share_one_draw():
    whole, parts = Rng(4), [Rng(4, rank, 2) for rank in range(2)]
    for draw in (
        lambda r, n: r.rand(n, 3),
        lambda r, n: r.randn(n, 2),
        lambda r, n: r.randint(9, n),
        lambda r, n: r.strata(n),
    ):
        assert torch.equal(draw(whole, 4), torch.cat([draw(part, 2) for part in parts]))


def test_strata_put_one_number_in_each_slice():
    numbers = Rng(0).strata(8).sort().values
    assert torch.equal((numbers * 8).long(), torch.arange(8))


def test_orthogonal_makes_singular_values_nearly_one():
    for shape in ((3, 8, 8), (3, 8, 32), (3, 32, 8)):
        values = torch.linalg.svdvals(muon.orthogonal(torch.randn(shape, generator=torch.Generator().manual_seed(0))))
        assert 0.5 < values.min()
        assert values.max() < 1.3


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
    scale = training.Recipe(iters=100, warmup=10, decay=0.5).lr_scale
    assert [round(scale(step), 2) for step in (0, 4, 9, 30, 50, 75, 99)] == [0.1, 0.5, 1.0, 1.0, 1.0, 0.5, 0.02]


def test_validation_is_the_same_for_both_masked_models(text_file, own_root):
    """Fixed windows and masks: with equal weights the curves of the two are equal."""
    config = diffusion_flow.Config(vocab_size=9, block_size=16, n_layer=1, n_head=2, n_embd=16)
    flow = diffusion_flow.Model(config)
    torch.nn.init.normal_(flow.lm_head.weight)
    plain = diffusion.Model(diffusion.Config(**{k: v for k, v in vars(config).items() if k != "flow_weight"}))
    plain.load_state_dict({key: value for key, value in flow.state_dict().items() if key in plain.state_dict()})
    held = torch.randint(9, (20, 17))
    off = torch.autocast("cpu", enabled=False)
    values = [training.evaluate(model, diffusion.loss, held, off) for model in (plain, flow, flow)]
    assert values[0] == values[1] == values[2]


def test_recipe_refuses_the_impossible():
    for wrong in ({"iters": 0}, {"batch_size": 0}, {"decay": 1.5}, {"muon_lr": -1.0}, {"eval_every": 0}):
        with pytest.raises(cli.UserError):
            replace(training.Recipe(), **wrong)


def test_a_training_that_diverges_says_so(text_file, own_root, tiny, monkeypatch, capsys):
    monkeypatch.setattr(training, "evaluate", lambda *_: float("nan"))
    assert train(gpt, text_file, own_root / "w.pt", "--iters", "2", *tiny) == 2
    assert "--muon-lr" in capsys.readouterr().err


def test_a_new_training_keeps_the_unfinished_one_aside(text_file, own_root, tiny):
    resume = own_root / "w.resume.pt"
    resume.write_bytes(b"hours of work")
    wrong = ["--init", str(own_root / "missing.pt")]
    assert train(gpt, text_file, own_root / "w.pt", "--iters", "1", *wrong, *tiny) == 2
    assert resume.read_bytes() == b"hours of work"
    assert train(gpt, text_file, own_root / "w.pt", "--iters", "1", *tiny) == 0
    assert (own_root / "w.resume.pt.old").read_bytes() == b"hours of work"
