"""The command line, made from dataclasses; a user's mistake is one message and exit status 2."""

import contextlib
import errno
import math
import os
import re
import shlex
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, get_args

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from lab import progress
from lab.progress import is_heard

ROOT = Path(__file__).resolve().parent.parent  # default paths lie here, typed paths where they were typed


class UserError(Exception):
    """What is wrong and what to do about it, in words for the user; never a bug of ours."""


def check(ok, message):
    """Raise UserError(message) unless ok."""
    if not ok:
        raise UserError(message)


def say(message):
    """A line on standard error, once."""
    if is_heard():
        print(message, file=sys.stderr, flush=True)


def check_range(settings, least, most, *names):
    """Raise UserError unless these fields of a dataclass lie in least..most; None always does."""
    for name in names:
        value = getattr(settings, name)
        span = f"lie in {least}..{most:,}" if most < math.inf else f"be at least {least}"
        check(value is None or least <= value <= most, f"{name} must {span}, not {value}")


def check_seeds(*seeds):
    """Raise UserError unless all seeds lie in 0..2^32 - 1: torch's CPU generator takes no other ones for different."""
    for seed in seeds:
        check(0 <= seed < 2**32, f"seed must lie in 0..2^32 - 1, not {seed}")


def run(main, Args, argv=None, doc=None):
    """Parse argv (default: the process's own) into Args and call main with it -> the exit status, as `guard` gives it.

    doc: what --help begins with; default the docstring of main's file.
    """
    progress.end()
    is_benchmark = program().startswith("-m")  # it takes minutes

    def action():
        args = parse(Args, argv, doc or sys.modules[main.__module__].__doc__ or "")
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
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains at exit
        return 141
    except UserError as error:
        say(f"error: {error}")
        return 2
    except OSError as error:
        if error.errno != errno.ENOSPC or error.filename:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        say("error: standard output: the disk is full. Free some space and try again")
        return 2
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not re.search("allocate|out of memory", str(error)):
            raise
        say("error: out of memory: reduce the sizes of the model, or the number of texts at a time")
        return 2
    except SystemExit as stop:  # tyro has printed the help, or what it does not understand
        return stop.code or 0
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    return status or 0


def parse(Args, argv, doc):
    """argv as Args. The help begins with the first two paragraphs of `doc`: the purpose, and commands to type."""
    about = "\n\n".join(doc.split("\n\n")[:2])
    registry = ConstructorRegistry()
    registry.primitive_rule(optional)
    registry.primitive_rule(path)
    return tyro.cli(Args, prog=program(), args=argv, description=about, config=CONFIG, registry=registry)


def optional(info):
    """tyro's rule for `X | None`: whatever is typed is an X, None only what is not typed."""
    kinds = {*get_args(info.type)} - {type(None)}
    if type(None) not in get_args(info.type) or len(kinds) != 1:
        return None
    spec = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(kinds.pop(), info.markers))
    return replace(spec, str_from_instance=lambda v: ["None"] if v is None else spec.str_from_instance(v))


def path(info):
    """tyro's rule for a Path: the help shows a default one of ours without the project's folder."""
    if info.type is not Path:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="PATH",
        instance_from_str=lambda words: Path(words[0]),
        is_instance=lambda value: isinstance(value, Path),
        str_from_instance=lambda value: [short(value)],
    )


def short(value):
    """A value as a text, a path below the project's root without that."""
    is_ours = isinstance(value, Path) and value.is_relative_to(ROOT)
    return value.relative_to(ROOT).as_posix() if is_ours else str(value)


def check_tag(tag):
    """Raise UserError unless file names may begin with this word."""
    check(
        re.fullmatch(r"[\w -][\w. -]*", tag),
        f"--tag {tag[:40]!r}: the files' names begin with it: letters, digits, . _ -",
    )


def typed_command(*more, without=()):
    """The command line that is running, as a reader would type it, with more flags, and without some and their values."""
    typed = []
    words = iter(sys.argv[1:])
    for word in words:
        flag, _, value = word.partition("=")
        if flag not in (*more, *without):
            typed.append(word)
        elif flag in VALUED and not value:
            next(words, None)
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
        values = tuple(map(kind, typed))
        if not values:
            raise ValueError("an empty list")
        if len(set(values)) < len(values):
            raise ValueError(f"{' '.join(words)}: the same value twice")
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
    check(word == "all" or word.isdecimal(), f"top_k {word}: a number, or all")
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
VALUED = ("--init",)  # of the flags that a hint leaves out, those with a value
