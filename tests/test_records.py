"""Rows on disk: what is damaged is named, what is written can be read back, what was cut can be gone on with."""

import importlib
import json

import numpy as np
import pytest

from lab import cli
from lab.cli import UserError
from lab.measuring import records

ROW = {
    "name": "temp 0.5",
    "module": "gpt",
    "weights": "gpt.pt",
    "seed": 1,
    "prompt": "to ",
    "text": "to be or not",
    "chars": 9,
    "nfe": 9,
    "full_passes": 1.5,
    "seconds": 0.5,
    "batch": 1,
    "generative_nll": None,
    "real_words": None,
    "distinct_2": 1.0,
    "repetition": 0.0,
    "copied_share": None,
}


def without(column):
    return {key: value for key, value in ROW.items() if key != column}


VALUES = {
    "name": ["null", "1", "[]", "{}"],
    "seed": ["null", '"1"', "1.5", "[1]"],
    "prompt": ["null", "3", "{}"],
    "text": ["null", '""', "[]", "7"],
    "chars": ["null", "0", "-3", "NaN", '"9"', "[]", "1e999", "99", "true"],
    "nfe": ["null", "{}", '"many"', "Infinity"],
    "seconds": ['"fast"', "[]", "NaN", "true"],
    "full_passes": ["{}"],
    "copied_share": ['"all"', "[[]]"],
    "generative_nll": ['"low"', "{}"],
    "temp": ["NaN"],
}
DAMAGED = [(column, value) for column, values in VALUES.items() for value in values]
SCRIPTS = {"analyze_inference_sweep": "--inputs", "analyze_generate_quality": "--input"}


def refused(script, path, own_root, capsys):
    """The message with which a script refuses a row file; nothing may have been written."""
    module = importlib.import_module(script)
    argv = [SCRIPTS[script], str(path), "--output-dir", str(own_root / "out")]
    assert cli.run(module.main, module.Args, argv) == 2
    message = capsys.readouterr().err
    assert "Traceback" not in message and str(path) in message and not (own_root / "out").exists()
    return message


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(("column", "value"), DAMAGED, ids=[f"{column} {value[:12]}" for column, value in DAMAGED])
def test_a_damaged_value_is_refused_and_named(own_root, capsys, script, column, value):
    path = own_root / "results.json"
    bad = json.dumps(ROW | {column: "@"}).replace('"@"', value)
    path.write_text(f"[{json.dumps(ROW)}, {bad}]", encoding="utf-8")
    message = refused(script, path, own_root, capsys)
    assert "not a JSON file" in message or f"`$[1].{column}`" in message or "`$[1]`. Give" in message


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("column", ["name", "seed", "prompt", "text", "chars", "nfe", "seconds", "copied_share"])
def test_a_missing_column_is_named(own_root, capsys, script, column):
    path = own_root / "results.json"
    path.write_text(json.dumps([without(column)]), encoding="utf-8")
    message = refused(script, path, own_root, capsys)
    assert f"field `{column}` - at `$[0]`" in message


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("content", ["null", "3", '"rows"', "{}", '{"rows": 3}', "[null]", "[[]]", "\ufeff[]"])
def test_what_is_no_list_of_rows_is_refused(own_root, capsys, script, content):
    path = own_root / "results.json"
    path.write_text(content, encoding="utf-8")
    refused(script, path, own_root, capsys)


def test_a_byte_order_mark_is_no_part_of_json(tmp_path):
    (tmp_path / "rows.json").write_text(json.dumps([ROW]), encoding="utf-8-sig")
    assert records.read_rows(tmp_path / "rows.json") == [ROW]


def test_a_last_line_that_is_cut_is_dropped_and_written_again(tmp_path):
    whole = json.dumps(ROW) + "\n"
    (tmp_path / "rows.jsonl").write_text(whole + whole[:30], encoding="utf-8")
    folder = records.RunDir(tmp_path, "", resume=tmp_path)
    assert [*folder.rows.values()] == [ROW]
    folder.append([ROW | {"seed": 2}])
    assert [*folder.rows.values()] == [ROW, ROW | {"seed": 2}]
    assert records.read_rows(tmp_path / "rows.jsonl") == [ROW, ROW | {"seed": 2}]


def test_the_rows_of_an_earlier_run_are_found_by_all_that_identifies_them(tmp_path):
    (tmp_path / "rows.jsonl").write_text(json.dumps(ROW) + "\n")
    folder = records.RunDir(tmp_path, "", resume=tmp_path)
    keys = [{"name": "temp 0.5", "seed": seed, "prompt": ROW["prompt"], "module": "gpt"} for seed in (1, 2)]
    assert [*map(folder.find, keys)] == [ROW, None]
    assert folder.find(keys[0] | {"spacing": 3}) is folder.find(keys[0] | {"module": "diffusion"}) is None


def test_rows_of_a_run_that_has_just_begun_are_none_to_measure(tmp_path):
    (tmp_path / "rows.jsonl").write_text("")
    with pytest.raises(UserError, match=r"rows\.jsonl: holds no rows"):
        records.read_rows(tmp_path / "rows.jsonl")
    assert records.RunDir(tmp_path, "", resume=tmp_path).rows == {}


def test_appending_writes_the_new_rows_only(tmp_path):
    folder = records.RunDir(tmp_path, "x")
    folder.append([ROW | {"seed": 1000 + n} for n in range(100)])
    first = folder.lines.stat()
    folder.append([ROW | {"seed": 1100}])
    assert folder.lines.stat().st_ino == first.st_ino  # the same file, longer by one row
    assert folder.lines.stat().st_size == first.st_size * 101 // 100


def analysed(own_root, rows, *paths):
    """Names of the files that the analysis of these rows leaves, without a corpus."""
    module = importlib.import_module("analyze_inference_sweep")
    for seed, path in enumerate(paths):
        (own_root / path).write_text(json.dumps([row | {"seed": seed} for row in rows]), encoding="utf-8")
    argv = ["--inputs", *(str(own_root / path) for path in paths), "--output-dir", str(own_root / "out")]
    assert cli.run(module.main, module.Args, argv) == 0
    return {path.name.removeprefix("analysis_") for path in (own_root / "out").iterdir()}


def test_what_was_not_measured_has_no_table_and_no_plot(own_root, capsys):
    untimed = ROW | {"seconds": None}
    assert analysed(own_root, [untimed, untimed | {"name": "temp 1", "nfe": 5}], "a.json") == {
        "aggregated.csv",
        "summary.json",
    }
    assert "pareto_speed_parallel" in capsys.readouterr().err


def test_texts_of_one_name_and_different_settings_are_not_one_setting(own_root):
    rows = [ROW | {"spacing": 9}, ROW | {"spacing": 0}, ROW | {"spacing": 9, "weights": "gpt_2.pt"}]
    analysed(own_root, rows, "a.json")
    lines = (own_root / "out" / "analysis_aggregated.csv").read_text(encoding="utf-8-sig").splitlines()
    assert len(lines) == 1 + 3


def test_a_file_given_twice_does_not_count_twice(own_root, capsys):
    module = importlib.import_module("analyze_inference_sweep")
    for path in ("a.json", "b.json"):
        (own_root / path).write_text(json.dumps([ROW]), encoding="utf-8")
    argv = ["--inputs", str(own_root / "a.json"), str(own_root / "b.json"), "--output-dir", str(own_root)]
    assert cli.run(module.main, module.Args, argv) == 2
    assert "was a file given twice?" in capsys.readouterr().err


@pytest.mark.parametrize(("column", "value"), [("chars", [1]), ("seed", {"a": 1}), ("text", "x" * 50)])
def test_rows_that_no_script_writes_are_refused(tmp_path, column, value):
    (tmp_path / "rows.json").write_text(json.dumps([ROW | {column: value}]), encoding="utf-8")
    with pytest.raises(UserError, match=r"at `\$\[0\]"):
        records.read_rows(tmp_path / "rows.json")


def test_two_files_of_timed_rows_and_no_column_of_our_own_in_the_table(own_root):
    rows = [ROW, ROW | {"name": "temp 1", "nfe": 5}]
    timed = {"aggregated.csv", "summary.json", "pareto_speed_parallel.csv", "speed_vs_parallel.png"}
    assert analysed(own_root, rows, "a.json", "b.json") == timed
    header = (own_root / "out" / "analysis_pareto_speed_parallel.csv").read_text(encoding="utf-8-sig").splitlines()[0]
    assert "serial" not in header


def test_numbers_of_numpy_are_numbers_in_json():
    value = {"a": np.float32(0.5), "b": np.int64(3), "c": np.bool_(True), "d": np.float64("nan")}
    assert records.json_roundtrip(value) == {"a": 0.5, "b": 3, "c": True, "d": None}
