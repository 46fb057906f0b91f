"""Rows on disk: a folder per run, a row file that is whole at every moment, JSON without NaN, CSV for spreadsheets."""

import csv
import io
import json
import math
import sys
import time
from pathlib import Path

from rich.console import Console

from lab import cli, machine
from lab.cli import UserError, check
from lab.files import atomic


def stamp(**settings):
    """What a figure depends on: the command, its settings, versions."""
    return {"command": cli.command(), "settings": settings, **machine.versions()}


def plain(value):
    """The value as JSON knows it: no NaN, no infinity, no tuple; a path below the project's root without that."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Path) and value.is_relative_to(cli.ROOT):
        value = value.relative_to(cli.ROOT).as_posix()
    return value if value is None or isinstance(value, str | int) else str(value)


def write_json(path, value):
    """Write a value atomically. Raises UserError."""
    write_text(path, json.dumps(plain(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(path, rows):
    """Write rows (dictionaries) atomically, with every column that one of them has. Raises UserError."""
    lines = io.StringIO()
    writer = csv.DictWriter(lines, list(dict.fromkeys(key for row in rows for key in row)))
    writer.writeheader()
    writer.writerows(map(plain, rows))
    write_text(path, "\ufeff" + lines.getvalue())  # the mark tells spreadsheets that this is UTF-8


def write_text(path, text):
    """Write a text atomically. Raises UserError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as file:
            file.write(text.encode())
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error


def read_json(path):
    """A JSON file. Raises UserError."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise UserError(f"{path}: not a JSON file ({error})") from error


def read_rows(path, needed=()):
    """The rows of a JSON file: a list, or a dictionary that holds one as "rows". Raises UserError.

    needed: columns that every row must have.
    """
    value = read_json(path)
    rows = value.get("rows") if isinstance(value, dict) else value
    ok = isinstance(rows, list) and all(isinstance(row, dict) for row in rows)
    check(ok and rows, f"{path}: holds no rows; give a results.json that one of the scripts wrote")
    missing = sorted(set(needed) - set.intersection(*map(set, rows)))
    check(
        not missing, f"{path}: its rows have no {', '.join(missing)}; give a results.json that one of the scripts wrote"
    )
    return rows


class Folder:
    """Where a run puts its files. The row file is written anew, atomically, whenever rows come in.

    rows: those on disk; path: the folder.
    """

    def __init__(self, output_dir, label, rows_file, resume=None):
        """label: of the method, or "" for none; resume: an earlier run's folder, whose rows are kept."""
        self.path = resume or fresh(output_dir, label)
        self.file = self.path / rows_file
        check(
            resume is None or self.file.exists(),
            f"--resume {resume}: has no {rows_file}, so there is no run to go on with",
        )
        value = read_json(self.file) if resume else []
        self.rows = value["rows"] if isinstance(value, dict) else value

    def append(self, rows):
        """Add rows to those on disk."""
        self.rows += map(plain, rows)
        write_json(self.file, self.rows)

    def write(self, name, value):
        """Write a file of the folder: .csv from rows, .json from anything, else text."""
        path = self.path / name
        {".json": write_json, ".csv": write_csv}.get(path.suffix, write_text)(path, value)


def fresh(output_dir, label):
    """A new folder named after the label and the time."""
    name = "_".join(filter(None, (label, time.strftime("%Y%m%d_%H%M%S"))))
    for suffix in ("", *(f"_{i}" for i in range(2, 1000))):
        path = output_dir / (name + suffix)
        try:
            path.mkdir(parents=True)
            return path
        except FileExistsError:
            check(path.is_dir(), f"{output_dir}: is not a folder")
        except OSError as error:
            raise UserError(f"{path}: cannot be made ({error.strerror or error})") from error
    raise UserError(f"{output_dir}: too many runs in one second")


def show(*tables):
    """Print rich's tables, whole where the output is no terminal."""
    console = Console(width=None if sys.stdout.isatty() else 140)
    for table in tables:
        console.print(table)


def warn(message):
    """A line on standard error."""
    print(f"note: {message}", file=sys.stderr, flush=True)
