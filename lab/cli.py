"""The command line, made from dataclasses; a user's mistake is one message and exit status 2."""

import math
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import tyro

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
        span = f"lie in {least}..{most}" if most < math.inf else f"be at least {least}"
        check(value is None or least <= value <= most, f"{name} must {span}, not {value}")


def check_seeds(*seeds):
    """Raise UserError unless all seeds lie in 0..2^32 - 1: torch's CPU generator takes no other ones for different."""
    for seed in seeds:
        check(0 <= seed < 2**32, f"seed must lie in 0..2^32 - 1, not {seed}")


def run(main, Args, argv=None):
    """Parse argv (default: the process's own) into Args and call main with it.

    Returns the exit status: 0, 2 for a user's mistake, 130 for Ctrl-C, 141 when the reader of our output left.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # a file name may be no UTF-8
    try:
        main(tyro.cli(Args, args=argv, description=sys.modules[main.__module__].__doc__, config=CONFIG))
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains at exit
        return 141
    except (UserError, OSError) as error:  # of a disk or a folder: torch, numpy and Python name the file
        print(f"error: {error}", file=sys.stderr)
        return 2
    except SystemExit as stop:  # tyro has printed its box, or the help
        return stop.code or 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def command(*more, without=()):
    """The command line that is running, as a reader would type it, with more flags, and without some and their values."""
    script, typed = Path(sys.argv[0]), []
    name = ["-m", f"benchmarks.{script.stem}"] if script.parent.name == "benchmarks" else [script.name]
    processes = os.environ.get("LOCAL_WORLD_SIZE", "1")  # set by torchrun
    start = ["torchrun", "--nproc-per-node", processes] if processes != "1" else []
    words = iter(sys.argv[1:])
    for word in words:
        flag, _, value = word.partition("=")
        if flag not in (*more, *without):
            typed.append(word)
        elif flag in VALUED and not value:
            next(words, None)
    return shlex.join(["uv", "run", *start, *name, *typed, *more])


def listed(kind):
    """A tyro type: values of `kind` separated by commas, as in --seeds 1,2,3."""

    def read(words):
        values = tuple(kind(word) for word in words[0].split(",") if word.strip())
        if not values:
            raise ValueError("an empty list")
        return values

    spec = tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar=f"{kind.__name__.upper()},...",
        instance_from_str=read,
        is_instance=lambda values: isinstance(values, tuple),
        str_from_instance=lambda values: [",".join(map(str, values)) or "its default"],
    )
    return Annotated[tuple[kind, ...], spec]


def number_or_all(word):
    """How many characters to draw from: a number, or all of them (None)."""
    check(word == "all" or word.isdecimal(), f"top_k {word}: a number, or all")
    return None if word == "all" else int(word)


def one_number_or_all():
    """A tyro type of the same, as in --top-k all."""
    spec = tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="INT|all",
        instance_from_str=lambda words: number_or_all(words[0]),
        is_instance=lambda value: value is None or isinstance(value, int),
        str_from_instance=lambda value: ["all" if value is None else str(value)],
    )
    return Annotated[int | None, spec]


def prefixed(args, prefix):
    """The fields of args that begin with `prefix_`, without it: {"temp": ...} from base_temp."""
    start = f"{prefix}_"
    return {name.removeprefix(start): value for name, value in vars(args).items() if name.startswith(start)}


VALUED = ("--init",)  # of the flags that a hint leaves out, those with a value
CONFIG = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)
