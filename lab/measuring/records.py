"""Rows on disk: a folder per run, rows appended as they come, JSON without NaN, CSV for spreadsheets."""

import codecs
import time

import msgspec

from lab import cli
from lab.cli import UserError, check
from lab.files import atomic, create_unique, reading, writing
from lab.model import machine

ROWS = "rows.jsonl"  # of a run: its rows as they come


class Row(msgspec.Struct, kw_only=True):
    """The columns of every row; None where a measure is not known.

    What else it has are settings: who wrote it (module, weights, sampler) and how, measured against what (corpus, evaluator).
    """

    name: str  # of the settings
    seed: int
    prompt: str
    text: str  # prompt included
    chars: int  # written after the prompt
    nfe: int  # forward passes
    full_passes: float | None = None  # the same, each weighted by its share of a whole window
    seconds: float | None  # None when the text was not written alone
    cpu_seconds: float | None = None  # of the process, in these seconds
    batch: int | None = None  # texts written together
    generative_nll: float | None  # nats per character under the evaluator model
    real_words: float | None  # share of words that the training text has
    distinct_2: float | None  # different pairs of words by all pairs (Li et al. 2016, arXiv 1510.03055)
    repetition: float | None  # share of characters in a run of 16 that stood before
    copied_share: float | None  # share of characters in runs of 32 that stand there

    def __post_init__(self):
        if not (0 < self.chars <= len(self.text) and self.text.startswith(self.prompt)):
            raise ValueError("`text` does not begin with `prompt` and end with `chars` characters")


def stamp(args=None, **more):
    """What a figure depends on: the command, its flags and what else is set, versions."""
    flags = vars(args) if args else {}
    return {"command": cli.typed_command(), "settings": flags | more, **machine.versions()}


def encoded(value):
    """A value as JSON: no NaN, no infinity; a path below the project's root without that."""

    def replaced(item):  # what JSON lacks: numpy's numbers, paths
        return item.item() if hasattr(item, "item") else cli.short(item)

    return msgspec.json.encode(value, enc_hook=replaced)


def json_roundtrip(value):
    """The value as it is read back from JSON."""
    return msgspec.json.decode(encoded(value))


def write_json(path, value):
    """Write a value atomically. Raises UserError."""
    write_text(path, msgspec.json.format(encoded(value), indent=1).decode() + "\n")


def write_csv(path, rows):
    """Write rows (dictionaries) atomically, with every column that one of them has. Raises UserError."""
    import pandas  # not at the top: whoever only writes a text need not wait for it

    table = pandas.DataFrame(json_roundtrip(rows), dtype=object)  # numbers as they are in JSON
    write_text(path, "\ufeff" + table.to_csv(index=False, lineterminator="\r\n"))  # the mark: spreadsheets see UTF-8


def write_text(path, text):
    """Write a text atomically. Raises UserError."""
    with atomic(path) as file:
        file.write(text.encode())


def read_json(path):
    """A JSON file, or the list of what stands in the lines of a .jsonl, without a last one that is cut. Raises UserError."""
    with reading(path, "name a JSON file"):
        data = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    try:
        if path.suffix == ".jsonl":
            return msgspec.json.Decoder().decode_lines(data[: data.rfind(b"\n") + 1])
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a JSON file ({error})") from error


def read_rows(path):
    """The rows of a file, as `read_json` reads it. Raises UserError that names what is not as `Row` says, as in
    `$[0].text`: the text of the first row."""
    rows = read_json(path)
    check(rows, f"{path}: holds no rows")
    try:
        msgspec.convert(rows, list[Row])
    except msgspec.ValidationError as error:
        raise UserError(f"{path}: {error}. Give a results.json as one of the scripts wrote it") from error
    return rows


def read_log(path, needed):
    """These columns of a training's log as a table of numbers; empty cells, as at step 0, are NaN. Raises UserError."""
    import pandas  # not at the top: whoever only writes a text need not wait for it

    try:
        with reading(path, "name the log of a training"):
            log = pandas.read_csv(path, encoding="utf-8-sig", index_col=False, compression=None)
        check(len(log), f"{path}: no training log: it has no rows")
        return log[list(needed)].astype(float)
    except (KeyError, ValueError) as error:  # pandas' own errors are ValueErrors
        raise UserError(f"{path}: no training log, or that of another method ({error})") from error


def identity(row):
    """What a text is of: its setting, seed and prompt."""
    return row["name"], row["seed"], row["prompt"]


class RunDir:
    """Where a run puts its files. Its rows are appended to ROWS as they come.

    rows: those that it holds, also of an earlier run that is gone on with, by `identity`; path: the folder.
    """

    def __init__(self, output_dir, label, resume=None):
        """label: of the method, or "" for none; resume: an earlier run's folder to go on with. Raises UserError."""
        self.path = resume or new_run_dir(output_dir, label)
        self.lines = self.path / ROWS
        rows = read_json(self.lines) if resume else []
        write_text(self.lines, msgspec.json.Encoder().encode_lines(rows).decode())  # without a line that is cut
        self.rows = {identity(row): row for row in rows}

    def find(self, key):
        """The row that has all columns of a key, or None."""
        row = self.rows.get(identity(key), {})
        return row if key.items() <= row.items() else None

    def append(self, rows):
        """Store rows. Raises UserError."""
        rows = json_roundtrip(rows)
        with writing(self.lines), open(self.lines, "ab") as file:
            file.write(msgspec.json.Encoder().encode_lines(rows))
        self.rows |= {identity(row): row for row in rows}

    def write(self, name, value):
        """Write a file of the folder: .csv from rows, .json from anything, else text."""
        path = self.path / name
        {".json": write_json, ".csv": write_csv}.get(path.suffix, write_text)(path, value)


def new_run_dir(output_dir, label):
    """A new folder named after the label and the time. Raises UserError."""
    name = f"{label}_{time.strftime('%Y%m%d_%H%M%S')}".removeprefix("_")
    return create_unique(output_dir / name, is_folder=True)
