"""The command line, made from dataclasses; a user's mistake is one message and exit status 2."""

import contextlib
import errno
import os
import re
import shlex
import signal
import sys
from pathlib import Path
from typing import Annotated

import tyro
from tyro.constructors import PrimitiveConstructorSpec

from lab import progress
from lab.progress import is_heard, say

ROOT = Path(__file__).resolve().parent.parent  # default paths lie here, typed paths where they were typed


class UserError(Exception):
    """What is wrong and what to do about it, in words for the user; never a bug of ours."""


def check(ok, message):
    """Raise UserError(message) unless ok."""
    if not ok:
        raise UserError(message)


def check_range(settings, least, most, *names):
    """Raise UserError unless these fields of a dataclass lie in least..most; None always does."""
    for name in names:
        value = getattr(settings, name)
        check(value is None or least <= value <= most, f"{name} must lie in {least}..{most:,}, not {value}")


def run(main, Args, argv=None, doc=None):
    """Parse argv (default: the process's own) into Args and call main with it -> the exit status, as `guard` gives it.

    doc: its first two paragraphs are what --help begins with; default the docstring of main's file.
    """
    progress.end()
    is_benchmark = program().startswith("-m")  # it takes minutes
    doc = doc or sys.modules[main.__module__].__doc__ or ""
    about = "\n\n".join(doc.split("\n\n")[:2])

    def action():
        args = tyro.cli(Args, prog=program(), args=argv, description=about, config=CONFIG)
        with progress.Bar(program()) if is_benchmark else contextlib.nullcontext():
            main(args)

    return guard(action)


def guard(action):
    """Call action and say in one message what is wrong.

    Returns the exit status: action's own or 0, 2 for a user's mistake, 130 for Ctrl-C or SIGTERM, 141 when the reader of our
    output left.
    """
    if is_heard():  # other processes of torchrun wait for the first one, where no signal is noticed
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # of a scheduler or a container: as Ctrl-C
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # a file name may be no UTF-8
    try:
        status = action()
        sys.stdout.flush()
    except UserError as error:
        say(f"error: {error}")
        return 2
    except OSError as error:
        if error.filename or error.errno not in (errno.EPIPE, errno.ENOSPC):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains at exit
        if error.errno == errno.EPIPE:
            return 141
        say(f"error: standard output: {error.strerror}")
        return 2
    except (MemoryError, RuntimeError) as error:
        if not re.search("MemoryError|allocate|out of memory", repr(error)):
            raise
        say("error: out of memory: reduce the sizes of the model, or the number of texts at a time")
        return 2
    except SystemExit as stop:  # tyro has printed the help, or what it does not understand
        return stop.code or 0
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    return status or 0


def short(value):
    """A value as a text, a path below the project's root without that."""
    is_ours = isinstance(value, Path) and value.is_relative_to(ROOT)
    return value.relative_to(ROOT).as_posix() if is_ours else str(value)


def typed_command(*more, without=()):
    """The command line that is running, as a reader would type it, with more flags, and without some."""
    typed = [word for word in sys.argv[1:] if word not in (*more, *without)]
    processes = os.environ.get("LOCAL_WORLD_SIZE", "1")  # set by torchrun
    start = ["torchrun", "--nproc-per-node", processes] if processes != "1" else []
    return uv_run(*program().split(), *typed, *more, start=start)


def program():
    """What is running, as Python is told it."""
    script = Path(sys.argv[0])
    if not script.is_relative_to(ROOT / "benchmarks"):
        return script.name
    return "-m " + ".".join(script.relative_to(ROOT).with_suffix("").parts)


def uv_run(script, *words, start=()):
    """A command that runs a script of ours, as it is typed in the user's folder."""
    if not os.path.samefile(os.curdir, ROOT):
        script = ROOT / script
        start = ("--project", ROOT, *start)
    return shlex.join(map(str, ["uv", "run", *start, script, *words]))


def comma_list(kind):
    """A tyro type: different values of `kind`, separated by commas or spaces, as in --seeds 1,2,3."""

    def parsed(words):
        typed = filter(None, map(str.strip, ",".join(words).split(",")))
        values = tuple(dict.fromkeys(map(kind, typed)))
        if not values:
            raise ValueError("an empty list")
        return values

    def shown(values):
        return [",".join(map(short, values)) or "none"]

    spec = PrimitiveConstructorSpec(
        nargs="*",
        metavar=f"{kind.__name__.upper()},...",
        instance_from_str=parsed,
        is_instance=lambda value: isinstance(value, tuple),
        str_from_instance=shown,
    )
    return Annotated[tuple[kind, ...], spec]


def number_or_all(word):
    """How many characters to draw from: a number, or all of them (None)."""
    return None if word == "all" else int(word)


def one_number_or_all():
    """A tyro type of the same, as in --top-k all."""
    spec = PrimitiveConstructorSpec(
        nargs=1,
        metavar="INT|all",
        instance_from_str=lambda words: number_or_all(words[0]),
        is_instance=lambda value: isinstance(value, int | None),
        str_from_instance=lambda value: ["all" if value is None else str(value)],
    )
    return Annotated[int | None, spec]


def method_name():
    """A tyro type: a method's name or file, as --module or as --method."""
    return Annotated[str, tyro.conf.arg(aliases=("--method",), metavar="NAME|FILE.py")]


def prefixed(args, prefix):
    """The fields of args that begin with `prefix_`, without it: {"temp": ...} from base_temp."""
    start = f"{prefix}_"
    return {name.removeprefix(start): value for name, value in vars(args).items() if name.startswith(start)}


CONFIG = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)
