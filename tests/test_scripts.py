"""The experiment scripts: the order's own commands on tiny weights, the files they leave, resume, and bad input."""

import csv
import importlib
import itertools
import json
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from diffusion import METHOD as diffusion
from diffusion_flow import METHOD as diffusion_flow
from gpt import METHOD as gpt
from lab import cli
from lab.cli import UserError
from lab.measuring import records, trials
from lab.measuring.quality import Reference

ROOT = Path(__file__).resolve().parent.parent
SMALL = ["--prompts", "2", "--prompt-len", "4", "--max-new-tokens", "12", "--batch", "3"]


@pytest.fixture
def lab(own_root, make_weights, monkeypatch):
    """run(script, *argv) -> exit status; a corpus, weights of all three and of an evaluator model lie in own_root.

    The text holds the characters that the weights know, and no other.
    """
    text = " ".join("abcdefghijklmnopqrstuvwxyz"[i % 26 : i % 26 + 3 + i % 5] for i in range(1500)) + "\n"
    (own_root / "text.txt").write_text(text, encoding="utf-8")
    weights = {m.name: make_weights(m, f"{m.name}.pt") for m in (gpt, diffusion, diffusion_flow)}
    evaluator = make_weights(gpt, "evaluator.pt", n_embd=32)

    def run(script, *argv, writes=True):
        module = importlib.import_module(script)
        extra = ["--data", str(own_root / "text.txt"), "--evaluator", str(run.evaluator), *SMALL] if writes else []
        monkeypatch.setattr(sys, "argv", [f"{script}.py", *map(str, argv)])
        return cli.run(module.main, module.Args, [*map(str, argv), *extra])

    run.weights, run.root, run.evaluator = weights, own_root, evaluator
    return run


def test_both_models_of_a_comparison_know_one_alphabet(lab, capsys):
    payload = torch.load(lab.weights["diffusion_flow"], weights_only=True)
    payload["characters"] = payload["characters"][::-1]
    torch.save(payload, lab.root / "other.pt")
    weights = ["--baseline-weights", lab.weights["diffusion"], "--flow-weights", lab.root / "other.pt"]
    assert lab("evaluate_flow_vs_baseline", *weights, "--seeds", "1") == 2
    assert "has other characters than the text of other.pt" in capsys.readouterr().err


def test_rows_are_not_compared_with_a_text_that_they_cannot_follow(lab, capsys):
    argv = ["--module", "diffusion", "--weights", lab.weights["diffusion"], "--output-dir", lab.root / "out"]
    assert lab("run_inference_sweep", *argv) == 0
    (lab.root / "digits.txt").write_text("0123456789" * 900, encoding="utf-8")
    for script, flag in (("analyze_inference_sweep", "--inputs"), ("analyze_generate_quality", "--input")):
        rows = only(lab.root / "out") / "results.json"
        argv = [flag, rows, "--data", lab.root / "digits.txt", "--output-dir", lab.root / "found"]
        assert lab(script, *argv, writes=False) == 2
        assert "digits.txt: lacks characters of these texts" in capsys.readouterr().err
    assert not (lab.root / "found").exists()


def only(folder):
    """The one folder in a folder."""
    (found,) = folder.iterdir()
    return found


def names(folder):
    return {path.name for path in folder.iterdir()}


def load(path):
    """A JSON file, without the NaN that Python would accept."""

    def refuse(word):
        raise AssertionError(f"{path}: {word} is no JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def flags_of(settings, prefix=""):
    """{"top_k": 3} -> ["--top-k", "3"]"""
    pairs = [(f"--{prefix}{name.replace('_', '-')}", value) for name, value in settings.items()]
    return [word for pair in pairs for word in pair]


def check_settings(rows, typed):
    """Every row has the settings that were typed for its name."""
    assert {row["name"] for row in rows} == typed.keys()
    for row in rows:
        assert row.items() >= typed[row["name"]].items()


def test_flow_against_baseline(lab, capsys):
    flags = ["--baseline-weights", lab.weights["diffusion"], "--flow-weights", lab.weights["diffusion_flow"]]
    both = {"temp": 0.9, "top_k": 5, "confidence_threshold": 0.6, "draft_threshold": 0.4, "spacing": 2}
    flags += [*flags_of(both), "--flow-step", "0.3", "--seeds", "1,2,3", "--output-dir", lab.root / "out"]
    assert lab("evaluate_flow_vs_baseline", *flags) == 0
    folder = only(lab.root / "out")
    assert names(folder) == {
        "summary.json",
        "samples_baseline.csv",
        "samples_flow.csv",
        "blind_samples.csv",
        "blind_key.csv",
        "rows.jsonl",
    }
    summary = load(folder / "summary.json")
    written = records.read_rows(folder / "rows.jsonl")
    assert len(written) == 3 * 3 * 2
    flow = both | {"module": "diffusion_flow", "flow_step": 0.3}
    typed = {"baseline": both | {"module": "diffusion"}, "flow": flow | {"flow_until": 0.5}}
    check_settings(written, typed | {"flow_off": flow | {"flow_until": 1.0}})
    assert summary["stamp"]["settings"]["seeds"] == [1, 2, 3]
    with open(folder / "samples_flow.csv", newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6 and all(len(row["text"]) == 16 and row["generative_nll"] for row in rows)
    with open(folder / "blind_samples.csv", newline="", encoding="utf-8-sig") as file:
        pairs = list(csv.DictReader(file))
    with open(folder / "blind_key.csv", newline="", encoding="utf-8-sig") as file:
        key = list(csv.DictReader(file))
    texts = {name: {r["text"] for r in written if r["name"] == name} for name in ("baseline", "flow")}
    for pair, names_ in zip(pairs, key, strict=True):
        assert all(pair[side] in texts[names_[side]] for side in ("text_1", "text_2"))
    assert "baseline" not in json.dumps(pairs)


def test_the_key_of_a_blind_comparison_is_drawn_from_its_texts(lab):
    flags = ["--baseline-weights", lab.weights["diffusion"], "--flow-weights", lab.weights["diffusion_flow"]]
    keys = []
    for n, seeds in enumerate(["1,2,3,4,5", "1,2,3,4,5", "6,7,8,9,10"]):
        assert lab("evaluate_flow_vs_baseline", *flags, "--seeds", seeds, "--output-dir", lab.root / str(n)) == 0
        keys.append((only(lab.root / str(n)) / "blind_key.csv").read_bytes())
    assert keys[0] == keys[1] != keys[2]


def test_a_stamp_names_paths_as_seen_from_the_project():
    stamp = records.json_roundtrip(records.stamp(data=cli.ROOT / "my.txt", evaluator=Path("/elsewhere/evaluator.pt")))
    assert stamp["settings"] == {"data": "my.txt", "evaluator": "/elsewhere/evaluator.pt"}


@pytest.mark.parametrize("flags, expected", [("", 2), ("--top-k 3", 3), ("--top-k all", None)])
def test_top_k_is_a_number_or_all(flags, expected):
    for name in ("evaluate_flow_vs_baseline", "evaluate_generate_methods", "sweep_new_two_stage_vs_baseline"):
        Args, parsed = importlib.import_module(name).Args, []
        assert cli.run(lambda args, parsed=parsed: parsed.append(args), Args, flags.split()) == 0
        assert parsed[0].top_k == expected


def test_sweep_and_its_analysis(lab, capsys):
    grid = {"temp": (0.7, 0.8), "top_k": (2, 3), "confidence_threshold": (0.75, 0.85, 0.95)}
    grid |= {"spacing": (1,), "draft_threshold": (0.5,), "confirm_threshold": (0.6,)}
    grid |= {"replace_margin": (0.1,), "target_chunk_len": (9,), "flow_step": (0.3,), "flow_until": (0.4,)}
    argv = flags_of({name: ",".join(map(str, values)) for name, values in grid.items()})
    argv += ["--module", "diffusion_flow", "--weights", lab.weights["diffusion_flow"], "--seeds", "1337,2027"]
    assert lab("run_inference_sweep", *argv, "--output-dir", lab.root / "out") == 0
    folder = only(lab.root / "out")
    assert folder.name.startswith("diffusion_flow_")
    assert names(folder) == {"results.csv", "results.json", "samples.txt", "rows.jsonl"}
    rows = load(folder / "results.json")
    assert len(rows) == 2 * 3 * 2 * 2 * 2
    cells = [dict(zip(grid, cell, strict=True)) for cell in itertools.product(*grid.values())]
    varied = ("temp", "top_k", "confidence_threshold")
    typed = {", ".join(f"{name} {cell[name]}" for name in varied): cell for cell in cells}
    assert len(typed) == 12
    check_settings(rows, typed)
    assert {row["seconds"] is None for row in rows if row["batch"] > 1} == {True}
    assert all(row["seconds"] > 0 for row in rows if row["batch"] == 1)
    analysis = ["--inputs", folder / "results.json", "--tag", "t", "--output-dir", lab.root / "a"]
    assert lab("analyze_inference_sweep", *analysis, "--data", lab.root / "text.txt", writes=False) == 0
    suffixes = "aggregated.csv pareto_speed_parallel.csv pareto_speed_quality.csv summary.json"
    suffixes += " speed_vs_parallel.png speed_vs_quality.png"
    assert names(lab.root / "a") == {f"t_{suffix}" for suffix in suffixes.split()}
    assert load(lab.root / "a" / "t_summary.json")["settings"] == 12


def test_two_ways_to_decode_and_their_quality(lab, capsys):
    a = {"confidence_threshold": 0.6, "draft_threshold": 0.5, "confirm_threshold": 0.7, "replace_margin": 0.1}
    b = {"confidence_threshold": 0.9, "draft_threshold": 0.3, "confirm_threshold": 0.8, "replace_margin": 0.2}
    a, b = a | {"spacing": 1, "target_chunk_len": 9}, b | {"spacing": 2, "target_chunk_len": 8}
    typed = {"old_like": a | {"temp": 0.9, "top_k": 5}, "new_two_stage": b | {"temp": 0.9, "top_k": 5}}
    argv = ["--seeds", "1337,2027,7", "--temp", "0.9", "--top-k", "5", *flags_of(a, "a-"), *flags_of(b, "b-")]
    argv += ["--weights", lab.weights["diffusion"], "--output-dir", lab.root / "out"]
    assert lab("evaluate_generate_methods", *argv) == 0
    folder = only(lab.root / "out")
    assert names(folder) == {"summary.json", "results.json", "results.csv", "rows.jsonl"}
    found = {each["measure"]: each for each in load(folder / "summary.json")["differences"]}
    rows = load(folder / "results.json")
    check_settings(rows, typed)
    mean = {n: sum(r["nfe"] for r in rows if r["name"] == n) / 6 for n in ("old_like", "new_two_stage")}
    assert found["nfe"]["difference"] == pytest.approx(mean["new_two_stage"] - mean["old_like"])
    quality = ["--input", folder / "results.json", "--tag", "ab", "--output-dir", lab.root / "q"]
    assert lab("analyze_generate_quality", *quality, "--data", lab.root / "text.txt", writes=False) == 0
    assert names(lab.root / "q") == {"ab_summary.json", "ab_rows.json"}
    assert set(load(lab.root / "q" / "ab_summary.json")["sets"]) == {"old_like", "new_two_stage"}


def test_grid_against_baseline(lab, capsys):
    shared = {"temp": 0.9, "top_k": 5, "spacing": 2}
    base = {"confidence_threshold": 0.6, "draft_threshold": 0.5, "confirm_threshold": 0.7, "replace_margin": 0.1}
    sweep = {"confidence_threshold": 0.9, "replace_margin": 0.2, "target_chunk_len": 8}
    base, several = base | {"target_chunk_len": 9}, {"draft_threshold": "0.2,0.7", "confirm_threshold": "0.85,0.88"}
    argv = [*flags_of(shared), *flags_of(base, "base-"), *flags_of(sweep | several, "sweep-"), "--seeds", "1,2,3"]
    argv += ["--weights", lab.weights["diffusion"], "--output-dir", lab.root / "out"]
    assert lab("sweep_new_two_stage_vs_baseline", *argv) == 0
    folder = only(lab.root / "out")
    expected = "run_level.json agg_vs_baseline.json summary.json speed_vs_quality.png speed_vs_parallel.png top_speed_configs.png"
    assert names(folder) == {*expected.split(), "rows.jsonl"}
    points = load(folder / "agg_vs_baseline.json")
    assert len(points) == 5 and points[0]["name"] == "baseline"
    typed = {
        f"draft_threshold {draft}, confirm_threshold {confirm}": sweep
        | shared
        | {"draft_threshold": draft, "confirm_threshold": confirm}
        for draft in (0.2, 0.7)
        for confirm in (0.85, 0.88)
    }
    rows = records.read_rows(folder / "rows.jsonl")
    check_settings(rows, typed | {"baseline": base | shared})
    check_pairs(load(folder / "run_level.json"), rows)
    for verdict in load(folder / "summary.json")["top_5"]:
        assert next(p for p in points if verdict.startswith(f"{p['name']}: {p['nfe']:.0f} passes; "))["not_worse"]


def test_a_setting_of_the_grid_is_judged_by_its_own_texts(lab):
    reference = Reference.of_data(lab.root / "text.txt")
    real = [piece["text"] for piece in reference.cut(8, 0, 40)]
    texts = {"baseline": real, "same": real, "worse": ["zq" * 20] * 8, "same again": real}
    common = {"chars": 40, "nfe": 1, "seed": 1, "copied_share": 0.0}
    groups = {
        name: [common | {"name": name, "prompt": str(n), "text": text} for n, text in enumerate(own)]
        for name, own in texts.items()
    }
    _, others = importlib.import_module("sweep_new_two_stage_vs_baseline").aggregate(groups, reference)
    assert [point["not_worse"] for point in others] == [True, False, True]
    assert all(f"({point['name']})" in point["verdict"] for point in others) and "worse higher" in others[1]["verdict"]


def check_pairs(pairs, rows):
    """Each new row beside the baseline's of its seed and prompt, with their differences."""
    assert len(rows) == 5 * 3 * 2 and len(pairs) == 4 * 3 * 2
    by_key = {(row["name"], row["seed"], row["prompt"]): row for row in rows}
    for pair in pairs:
        new = by_key.pop((pair["name"], pair["seed"], pair["prompt"]))
        baseline = by_key["baseline", pair["seed"], pair["prompt"]]
        assert pair.items() >= new.items()
        assert all(pair[f"{key}_baseline"] == value for key, value in baseline.items() if key not in ("seed", "prompt"))
        assert pair["nfe_difference"] == new["nfe"] - baseline["nfe"]
        calls = new["chars"] / new["nfe"] - baseline["chars"] / baseline["nfe"]
        assert pair["chars_per_call_difference"] == pytest.approx(calls)
        timed = None not in (new["seconds"], baseline["seconds"])
        assert pair["seconds_difference"] == (new["seconds"] - baseline["seconds"] if timed else None)
    assert {key[0] for key in by_key} == {"baseline"}
    assert any(pair["seconds_difference"] is not None for pair in pairs)


def test_the_grid_without_a_corpus(lab, capsys):
    script = importlib.import_module("sweep_new_two_stage_vs_baseline")
    argv = ["--weights", str(lab.weights["diffusion"]), "--output-dir", str(lab.root / "out"), "--seeds", "1,2"]
    argv += ["--sweep-draft-threshold", "0.2", "--sweep-replace-margin", "0.0", "--max-new-tokens", "8"]
    assert cli.run(script.main, script.Args, argv) == 0
    pairs = load(only(lab.root / "out") / "run_level.json")
    assert len(pairs) == 4 and {pair["generative_nll_difference"] for pair in pairs} == {None}


def test_the_grid_without_seconds(lab):
    flags = ["--weights", lab.weights["diffusion"], "--sweep-draft-threshold", "0.2", "--seeds", "1,2,3"]
    flags += ["--timed", "0", "--output-dir", lab.root / "out"]
    assert lab("sweep_new_two_stage_vs_baseline", *flags) == 0
    assert (only(lab.root / "out") / "top_speed_configs.png").exists()


def test_the_grid_of_the_order_is_small_enough_for_half_an_hour():
    """37 settings, 10 seeds, one prompt, 240 characters: some 370 texts of a few seconds each."""
    script = importlib.import_module("sweep_new_two_stage_vs_baseline")
    args = script.Args()
    assert len(script.decodings(args)) * len(args.seeds) * args.prompts == 370 and args.max_new_tokens == 240


def test_presets(lab, capsys):
    presets = lab.root / "presets.json"
    presets.write_text((ROOT / "configs" / "inference_presets.json").read_text(encoding="utf-8"), encoding="utf-8")
    for preset in ("flow_quality", "flow_balanced", "baseline_fast"):
        module = "diffusion" if preset == "baseline_fast" else "diffusion_flow"
        argv = ["--preset", preset, "--presets-file", presets, "--weights", lab.weights[module]]
        assert lab("run_inference_preset", *argv, "--max-new-tokens", "20", writes=False) == 0
        captured = capsys.readouterr()
        assert len(captured.out) == 16 + 20 + 1 and preset in captured.err
    assert lab("run_inference_preset", "--preset", "nope", writes=False) == 2
    assert "flow_quality, flow_balanced, baseline_fast" in capsys.readouterr().err
    presets.write_text('{"odd": {"module": "gpt", "spacing": 3}}', encoding="utf-8")
    argv = ["--preset", "odd", "--presets-file", presets, "--weights", lab.weights["gpt"]]
    assert lab("run_inference_preset", *argv, writes=False) == 2
    assert f"{presets}: odd: " in (said := capsys.readouterr().err) and "has no spacing" in said


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temp": "0.5"}, "'str'"),
        ({"temp": -1}, "temp must lie in 0..inf"),
        ({"top_k": "most"}, "'str'"),
        ({"top_k": 0}, "top_k must lie in 1..inf"),
        ({"spacing": [5]}, "'list'"),
        ({"gap": 5}, "has no gap"),
        ({"draft_threshold": 0.5}, "draft_threshold: no effect without two stages"),
        (
            {"confirm_threshold": 0.5, "replace_margin": 0.1},
            "confirm_threshold and replace_margin: no effect without two stages",
        ),
        ({"module": "gtp"}, "unknown module 'gtp'"),
        ({"module": ["diffusion"]}, "unknown module"),
        ({"module": None}, "unknown module"),
    ],
)
def test_a_preset_that_makes_no_sense_is_one_message(lab, capsys, settings, message):
    presets = lab.root / "presets.json"
    presets.write_text(json.dumps({"mine": {"module": "diffusion"} | settings}), encoding="utf-8")
    argv = ["--preset", "mine", "--presets-file", presets, "--weights", lab.weights["diffusion"]]
    assert lab("run_inference_preset", *argv, writes=False) == 2
    said = capsys.readouterr().err
    assert "presets.json: mine: " in said and message in said


@pytest.mark.parametrize("content", ['{"mine": {}}', "[]", '{"mine": {"temp": 1}}'])
def test_a_preset_without_a_module_is_one_message(lab, capsys, content):
    (lab.root / "presets.json").write_text(content, encoding="utf-8")
    assert (
        lab("run_inference_preset", "--preset", "mine", "--presets-file", lab.root / "presets.json", writes=False) == 2
    )
    assert "presets.json" in capsys.readouterr().err


@pytest.mark.parametrize(("top_k", "words"), [("null", "all"), ("3", "3")])
def test_a_preset_draws_from_all_characters_by_null(top_k, words, lab, capsys):
    presets = lab.root / "presets.json"
    presets.write_text(f'{{"mine": {{"module": "diffusion", "top_k": {top_k}, "temp": 1}}}}', encoding="utf-8")
    argv = ["--preset", "mine", "--presets-file", presets, "--weights", lab.weights["diffusion"]]
    assert lab("run_inference_preset", *argv, "--max-new-tokens", "20", writes=False) == 0
    assert f"mine: diffusion, top_k {words}, temp 1\n" in capsys.readouterr().err


def test_a_preset_of_a_huge_size_is_one_message(lab, capsys):
    argv = ["--preset", "baseline_fast", "--weights", lab.weights["diffusion"], "--max-new-tokens", "99999999999"]
    assert lab("run_inference_preset", *argv, writes=False) == 2
    assert "max_new_tokens must lie in 1..1,000,000" in capsys.readouterr().err


def test_training_curves(lab, capsys):
    logs = ["--baseline-log", ROOT / "results" / "diffusion_train.csv"]
    logs += ["--flow-log", ROOT / "results" / "diffusion_flow_train.csv"]
    assert lab("plot_training_curves", *logs, "--tag", "r", "--output-dir", lab.root / "p", writes=False) == 0
    plots = "train_val_loss batch_total_loss flow_breakdown val_vs_time"
    assert names(lab.root / "p") == {f"r_{name}.png" for name in plots.split()}
    logs[3] = logs[1]  # the baseline's log lacks the flow's columns
    assert lab("plot_training_curves", *logs, "--output-dir", lab.root / "p", writes=False) == 2
    assert "batch_flow_loss" in capsys.readouterr().err
    logs[1] = logs[1].with_stem("diffusion_flow_train")  # swapped
    assert lab("plot_training_curves", *logs, "--output-dir", lab.root / "p", writes=False) == 2
    assert "diffusion_train.csv: no training log, or that of another method" in capsys.readouterr().err


SWEEP = ["--module", "diffusion", "--seeds", "1,2,3", "--temp", "0.5,0.9"]


def strip(rows):
    """Rows without what a clock says, and what stood beside them in a batch."""
    return [
        {key: value for key, value in row.items() if key not in ("seconds", "cpu_seconds", "batch")} for row in rows
    ]


def test_a_resumed_run_has_the_rows_of_one_left_alone(lab, capsys):
    argv = [*SWEEP, "--weights", lab.weights["diffusion"]]
    assert lab("run_inference_sweep", *argv, "--output-dir", lab.root / "whole") == 0
    whole = only(lab.root / "whole")
    rows = load(whole / "results.json")
    for kept in (0, 1, 3, 4, 6, len(rows)):  # rows come batch by batch; 3 is in the middle of one
        part = lab.root / f"part{kept}"
        part.mkdir()
        (part / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:kept]), encoding="utf-8")
        # of other batches than before, in which some texts of a batch may be there already
        assert lab("run_inference_sweep", *argv, "--batch", "3", "--resume", part) == 0
        assert strip(load(part / "results.json")) == strip(rows)
        assert names(part) == names(whole)
        held = records.read_rows(part / "rows.jsonl")
        assert len(held) == len(rows) and strip(held) == strip(rows)


@pytest.mark.slow
def test_a_killed_run_can_be_resumed(lab, capsys):
    argv = [
        *SWEEP,
        "--weights",
        lab.weights["diffusion"],
        "--data",
        lab.root / "text.txt",
        "--evaluator",
        lab.evaluator,
    ]
    argv = [*map(str, argv), *SMALL, "--batch", "1", "--output-dir", str(lab.root / "out")]
    with subprocess.Popen(
        [sys.executable, ROOT / "run_inference_sweep.py", *argv], stderr=subprocess.DEVNULL
    ) as process:
        for _ in range(1200):
            if list((lab.root / "out").glob("*/rows.jsonl")) or process.poll() is not None:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    folder = only(lab.root / "out")
    assert lab("run_inference_sweep", *SWEEP, "--weights", lab.weights["diffusion"], "--resume", folder) == 0
    assert (
        lab("run_inference_sweep", *SWEEP, "--weights", lab.weights["diffusion"], "--output-dir", lab.root / "w") == 0
    )
    alone, resumed = load(only(lab.root / "w") / "results.json"), load(folder / "results.json")
    assert [row["text"] for row in resumed] == [row["text"] for row in alone]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_a_scheduler_that_ends_it_say_how_to_go_on(how, lab, capsys, monkeypatch):
    def interrupted(engine, trial):
        signal.raise_signal(how)

    monkeypatch.setattr(trials, "run", interrupted)
    argv = ["--weights", lab.weights["diffusion"], "--output-dir", lab.root / "out"]
    assert lab("run_inference_sweep", *SWEEP, *argv) == 130
    assert f"--resume {only(lab.root / 'out')}" in capsys.readouterr().err


def test_a_resumed_run_that_is_interrupted_at_once_keeps_what_the_folder_holds(lab, capsys, monkeypatch):
    argv = [*SWEEP, "--weights", lab.weights["diffusion"]]
    assert lab("run_inference_sweep", *argv, "--output-dir", lab.root / "out") == 0
    folder = only(lab.root / "out")
    before = (folder / "rows.jsonl").read_text(encoding="utf-8")
    monkeypatch.setattr(trials, "run", lambda *_: signal.raise_signal(signal.SIGINT))
    assert lab("run_inference_sweep", *argv[:5], "0.5,0.8", *argv[6:], "--resume", folder) == 130
    assert before and (folder / "rows.jsonl").read_text(encoding="utf-8") == before


def test_a_resumed_run_writes_what_the_folder_does_not_hold(lab, capsys):
    """Rows of other settings, of another evaluator or of another text stay in rows.jsonl and are none of its results."""
    argv = [*SWEEP, "--weights", lab.weights["diffusion"]]
    assert lab("run_inference_sweep", *argv, "--output-dir", lab.root / "out") == 0
    folder, text = only(lab.root / "out"), lab.root / "text.txt"

    def resumed(*argv):
        """The results, and how many rows the folder holds that it did not hold before."""
        before = len(records.read_rows(folder / "rows.jsonl"))
        assert lab("run_inference_sweep", *argv, "--resume", folder) == 0
        return load(folder / "results.json"), len(records.read_rows(folder / "rows.jsonl")) - before

    rows, new = resumed(*argv[:5], "0.5,0.8", *argv[6:])
    assert {row["temp"] for row in rows} == {0.5, 0.8} and new == 6
    lab.evaluator = lab.weights["gpt"]
    rows, new = resumed(*argv)
    assert {row["evaluator"][:6] for row in rows} == {"gpt.pt"} and new == len(rows) == 12
    corpus, held_out = rows[0]["corpus"], text.read_text(encoding="utf-8")
    text.write_text("zz" + held_out[2:], encoding="utf-8")  # the prompts that are held out stay
    rows, new = resumed(*argv)
    assert {row["corpus"] == corpus for row in rows} == {False} and new == 12
    assert resumed(*argv) == (rows, 0)


SPLIT = ["--module", "gpt", "--temp", "0.8,0.8001", "--top-k", "all", "--seeds", "1,2,3", "--timed", "0"]


@pytest.fixture
def interrupted(lab):
    """The rows of a sweep of two settings that write the same texts, stopped in the second."""
    argv = [*SPLIT, "--weights", lab.weights["gpt"], "--max-new-tokens", "60", "--output-dir", lab.root / "out"]
    assert lab("run_inference_sweep", *argv) == 0
    path = only(lab.root / "out") / "results.json"
    path.write_text(json.dumps(load(path)[:8]), encoding="utf-8")  # 6 and 2 of 6
    return path


def analysed(lab, *paths, status=0):
    """The rows of aggregated.csv that the analysis of these files makes."""
    flags = ["--inputs", ",".join(map(str, paths)), "--data", lab.root / "text.txt", "--output-dir", lab.root / "a"]
    assert lab("analyze_inference_sweep", *flags, writes=False) == status
    if status == 0:
        with open(lab.root / "a" / "analysis_aggregated.csv", newline="", encoding="utf-8-sig") as file:
            return list(csv.DictReader(file))


def test_settings_are_compared_over_the_texts_that_all_have(lab, interrupted, capsys):
    first, second = analysed(lab, interrupted)
    assert first["n"] == second["n"] == "2" and first["distance"] == second["distance"]
    said = "only the 2 texts whose seed and prompt all settings have are compared; some have 6"
    assert said in capsys.readouterr().err
    flags = ["--input", interrupted, "--data", lab.root / "text.txt", "--output-dir", lab.root / "q"]
    assert lab("analyze_generate_quality", *flags, writes=False) == 0
    found = load(lab.root / "q" / "quality_summary.json")
    (differences,) = found["differences"].values()
    assert {row["difference"] for row in differences} == {0} and {each["n"] for each in found["sets"].values()} == {2}
    assert said in capsys.readouterr().err


def changed(path, into, *, seeds=0, **columns):
    """The rows of a file with other seeds and columns, in a file of another name; a column of None is left out."""
    rows = [row | columns | {"seed": row["seed"] + seeds} for row in load(path)]
    rows = [{key: value for key, value in row.items() if columns.get(key, 0) is not None} for row in rows]
    path.with_name(into).write_text(json.dumps(rows), encoding="utf-8")
    return path.with_name(into)


def test_what_cannot_be_compared_is_refused(lab, interrupted, capsys):
    rows = load(interrupted)
    apart = [row | {"seed": row["seed"] + 9 * (row["temp"] == 0.8001)} for row in rows]
    interrupted.write_text(json.dumps(apart), encoding="utf-8")
    analysed(lab, interrupted, status=2)
    assert "no seed and prompt is common to all settings" in capsys.readouterr().err
    short = [row | {"chars": 9, "text": row["text"][:13], "seed": row["seed"] + 9} for row in rows]
    interrupted.write_text(json.dumps(rows + short), encoding="utf-8")
    for script, flag in (("analyze_inference_sweep", "--inputs"), ("analyze_generate_quality", "--input")):
        flags = [flag, interrupted, "--data", lab.root / "text.txt", "--output-dir", lab.root / "a"]
        assert lab(script, *flags, writes=False) == 2
        assert "texts of [9, 12] characters: give those of one length" in capsys.readouterr().err


@pytest.mark.parametrize("other", [{"steps": 7}, {"forgotten": 3}, {"evaluator": "another.pt"}])
def test_settings_of_one_name_are_told_apart_by_what_differs(other, lab):
    argv = ["--module", "diffusion", "--weights", lab.weights["diffusion"], "--temp", "0.5,0.9"]
    assert lab("run_inference_sweep", *argv, "--output-dir", lab.root / "out") == 0
    path = only(lab.root / "out") / "results.json"
    (key, value), *_ = other.items()
    was = load(path)[0].get(key)
    points = analysed(lab, path, changed(path, "b.json", **other))
    names = {point["name"] for point in points}
    assert names == {f"temp {temp}, {key} {which}" for temp in (0.5, 0.9) for which in (was, value)}


@pytest.mark.slow
def test_workers_write_the_same_texts_and_time_nothing(lab, capsys):
    argv = [*SWEEP, "--weights", lab.weights["diffusion"]]
    assert lab("run_inference_sweep", *argv, "--output-dir", lab.root / "one") == 0
    assert lab("run_inference_sweep", *argv, "--workers", "2", "--output-dir", lab.root / "two") == 0
    one, two = (load(only(lab.root / name) / "results.json") for name in ("one", "two"))
    assert [row["text"] for row in one] == [row["text"] for row in two]
    assert {row["seconds"] for row in two} == {None}


def test_without_a_corpus_texts_are_written_and_measures_stay_empty(lab, capsys, monkeypatch):
    script = importlib.import_module("run_inference_sweep")
    argv = ["--module", "diffusion", "--weights", str(lab.weights["diffusion"]), "--output-dir", str(lab.root / "out")]
    assert cli.run(script.main, script.Args, [*argv, "--max-new-tokens", "12"]) == 0
    assert "measures that need it stay empty" in capsys.readouterr().err
    (row,) = load(only(lab.root / "out") / "results.json")
    assert row["nfe"] > 0 and len(row["text"]) == 28
    assert row["generative_nll"] is row["real_words"] is row["copied_share"] is None


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("--seeds ''", "seeds"),
        ("--seeds 1,x", "seeds"),
        ("--temp -1", "temp"),
        ("--top-k 0", "top_k"),
        ("--top-k x", "--top-k"),
        ("--confidence-threshold 1.5", "confidence_threshold"),
        ("--flow-step 0.5", "no flow_step"),
        ("--module nope", "nope"),
        ("--batch 0", "batch"),
        ("--batch 99999999999", "batch must lie in"),
        ("--max-new-tokens 99999999999", "max_new_tokens must lie in"),
        ("--max-new-tokens 3", "max_new_tokens must lie in 4"),
        ("--cluster nowhere --prompts 1 --max-new-tokens 9", "--cluster"),
        ("--resume nowhere", "nowhere"),
        ("--prompts 100000", "room"),
        ("--prompt-len 1000", "prompt_len"),
        ("--nonsense 3", "nonsense"),
    ],
)
def test_bad_input_of_a_sweep_is_one_message(lab, capsys, argv, message):
    flags = [word.strip("'") for word in argv.split()]
    script = importlib.import_module("run_inference_sweep")
    base = ["--module", "diffusion", "--weights", str(lab.weights["diffusion"]), "--data", str(lab.root / "text.txt")]
    base += ["--output-dir", str(lab.root / "out")]
    base = base if flags[0] != "--module" else base[2:]
    assert cli.run(script.main, script.Args, [*base, *flags]) == 2
    captured = capsys.readouterr()
    assert message in captured.err + captured.out and "Traceback" not in captured.err
    assert not (lab.root / "out").exists() or not any((lab.root / "out").iterdir())


def test_a_wrong_top_k_of_the_flow_comparison_is_one_message(lab, capsys):
    flags = ["--baseline-weights", lab.weights["diffusion"], "--flow-weights", lab.weights["diffusion_flow"]]
    assert lab("evaluate_flow_vs_baseline", *flags, "--top-k", "x") == 2
    assert "--top-k" in capsys.readouterr().err


def test_a_sweep_tries_every_setting_of_the_methods():
    flags = {field.name for field in fields(importlib.import_module("run_inference_sweep").Args)}
    assert flags >= {field.name for field in fields(diffusion_flow.Decoding)}


def test_scripts_end_with_the_files_and_the_next_command(lab, capsys):
    argv = ["--weights", lab.weights["diffusion"], "--output-dir", lab.root / "my out"]
    assert lab("run_inference_sweep", *SWEEP, *argv) == 0
    captured, folder = capsys.readouterr(), only(lab.root / "my out")
    *_, files, following = captured.out.splitlines()
    assert files == f"files: {folder}"
    words = shlex.split(following.removeprefix("next:  uv run "))
    words[words.index("--tag") + 1 :] = ["t", "--data", str(lab.root / "text.txt"), "--output-dir", str(lab.root / "a")]
    assert lab(words[0].removesuffix(".py"), *words[1:], writes=False) == 0


def test_an_evaluator_that_is_not_there_is_to_be_trained_apart(lab, capsys):
    """Not by the default recipe, which would make the model that writes."""
    argv = ["--module", "diffusion", "--weights", lab.weights["diffusion"], "--output-dir", lab.root / "out"]
    script = importlib.import_module("run_inference_sweep")
    argv += ["--data", lab.root / "text.txt", "--evaluator", lab.root / "nope.pt", *SMALL]
    assert cli.run(script.main, script.Args, [*map(str, argv)]) == 2
    message = capsys.readouterr().err
    assert "nope.pt: no such file" in message and "docs/training.md" in message


def test_two_sides_have_names(lab, capsys):
    argv = ["--weights", lab.weights["diffusion"], "--output-dir", lab.root / "out"]
    assert lab("evaluate_generate_methods", *argv, "--b-name", "old_like") == 2
    assert "must be two names" in capsys.readouterr().err
    assert not (lab.root / "out").exists()


def test_a_folder_in_place_of_rows_is_named_so(lab, capsys):
    assert lab("analyze_inference_sweep", "--inputs", lab.root, writes=False) == 2
    assert "name a JSON file" in capsys.readouterr().err


def test_without_an_evaluator_of_the_text_a_page_is_named(lab, capsys):
    argv = ["--weights", lab.weights["diffusion"], "--output-dir", lab.root / "out", "--seeds", "1"]
    lab("run_inference_sweep", "--module", "diffusion", *argv)
    assert "no independent evaluator" not in capsys.readouterr().err
    script = importlib.import_module("run_inference_sweep")
    argv = ["--module", "diffusion", *map(str, argv), "--data", str(lab.root / "text.txt"), *SMALL]
    argv += ["--evaluator", str(lab.weights["gpt"])]
    gpt_too = [*argv, "--weights", str(lab.weights["gpt"]), "--module", "gpt"]
    assert cli.run(script.main, script.Args, gpt_too) == 0  # the evaluator itself writes
    message = capsys.readouterr().err
    assert "no independent evaluator" in message and "docs/training.md says how to train one" in message


def test_outputs_are_ignored_by_git():
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    for path in ROOT.glob("*.py"):
        Args = getattr(importlib.import_module(path.stem), "Args", None)
        folder = Args and {field.name: field.default for field in fields(Args)}.get("output_dir")
        assert folder is None or f"/{folder.relative_to(ROOT).as_posix()}/" in ignored, path
    assert "/likelihood_reports/" in ignored


@pytest.mark.parametrize("script", ["analyze_inference_sweep", "analyze_generate_quality"])
@pytest.mark.parametrize("content", [None, "", "{", "[]", '[{"name": 1}]', "[1]"])
def test_bad_rows_are_refused(lab, capsys, script, content):
    path = lab.root / "results.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    flag = "--inputs" if script == "analyze_inference_sweep" else "--input"
    assert lab(script, flag, path, "--output-dir", lab.root / "out", writes=False) == 2
    assert str(path) in capsys.readouterr().err
    assert not (lab.root / "out").exists()


def test_missing_weights_name_the_command_that_makes_them(lab, capsys):
    assert lab("evaluate_generate_methods", "--weights", lab.root / "none.pt", "--output-dir", lab.root / "out") == 2
    assert "diffusion.py --train" in capsys.readouterr().err


def test_json_has_no_nan_and_csv_opens_in_a_spreadsheet(tmp_path):
    records.write_json(tmp_path / "a.json", {"x": float("nan"), "y": (1, Path("p")), "z": float("inf")})
    assert load(tmp_path / "a.json") == {"x": None, "y": [1, "p"], "z": None}
    records.write_csv(tmp_path / "a.csv", [{"text": 'two\nlines, "quoted"', "n": 1}])
    assert (tmp_path / "a.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    with open(tmp_path / "a.csv", newline="", encoding="utf-8-sig") as file:
        assert list(csv.DictReader(file)) == [{"text": 'two\nlines, "quoted"', "n": "1"}]
    records.write_csv(tmp_path / "b.csv", [{"a": 1}, {"b": 2}])
    assert (tmp_path / "b.csv").read_text(encoding="utf-8-sig").split() == ["a,b", "1,", ",2"]
    (tmp_path / "file").touch()
    with pytest.raises(UserError):
        records.write_json(tmp_path / "file" / "a.json", {})
    with pytest.raises(UserError):
        records.RunDir(tmp_path / "file", "x")


def test_two_runs_of_one_second_have_two_folders(tmp_path):
    assert len({records.new_run_dir(tmp_path, "x") for _ in range(3)}) == 3


def test_a_sweep_is_set_beside_as_much_real_text_as_one_setting_has(lab, capsys, monkeypatch):
    argv = ["--module", "diffusion", "--weights", lab.weights["diffusion"], "--temp", "0.5,0.7,0.9", "--spacing", "2"]
    assert lab("run_inference_sweep", *argv, "--output-dir", lab.root / "out") == 0
    results = only(lab.root / "out") / "results.json"
    analysis = ["--inputs", results, "--data", lab.root / "text.txt", "--output-dir", lab.root / "a"]
    assert lab("analyze_inference_sweep", *analysis, writes=False) == 0
    assert load(lab.root / "a" / "analysis_summary.json")["real_text"]["n"] == 2  # SMALL asks for two prompts
    with open(lab.root / "a" / "analysis_aggregated.csv", newline="", encoding="utf-8-sig") as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["temp 0.5", "temp 0.7", "temp 0.9"]
