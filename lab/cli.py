"""The command line, made from dataclasses; a user's mistake is one message and exit status 2."""

import contextlib
import errno
import io
import math
import os
import re
import shlex
import shutil
import signal
import sys
import textwrap
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
        span = f"lie in {least}..{most}" if most < math.inf else f"be at least {least}"
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
    last = (
        progress.Bar(program()) if program().startswith("-m") else contextlib.nullcontext()
    )  # a benchmark takes minutes

    def action():
        args = parse(Args, argv, doc or sys.modules[main.__module__].__doc__ or "")
        with last:
            main(args)

    return guard(action)


def guard(action):
    """Call action and say what is wrong in a message.

    Returns the exit status: 0, 2 for a user's mistake, 130 for Ctrl-C or SIGTERM, 141 when the reader of our output left.
    """
    if is_heard():  # the others may wait for the first one's, where no signal would be noticed
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # of a scheduler or a container: as Ctrl-C
    for name, mode in {"stdin": "r", "stdout": "w", "stderr": "w"}.items():
        if getattr(sys, name) is None:  # closed, as by >&-
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 (until the process ends)
    if 0 < shutil.get_terminal_size().columns < 20:  # tyro's help never ends in fewer than six
        os.environ["COLUMNS"] = "20"
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # a file name may be no UTF-8
    try:
        action()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains at exit
        return 141
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EBADF) or error.filename:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        with contextlib.suppress(OSError):  # standard error may be what is full
            full = "the disk is full. Free some space and try again"
            print(f"error: standard output: {full if error.errno == errno.ENOSPC else error.strerror}", file=sys.stderr)
        return 2
    except UserError as error:
        say(f"error: {error}")
        return 2
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not re.search("allocate|out of memory", str(error)):
            raise
        print("error: not enough memory for that: take smaller sizes, or fewer texts at a time", file=sys.stderr)
        return 2
    except SystemExit as stop:  # tyro has printed its box, or the help
        return stop.code or 0
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    return 0


def parse(Args, argv, doc):
    """argv as Args. The help begins with the first paragraph of `doc` and its lines that run a command."""
    registry, shown = ConstructorRegistry(), io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    registry.primitive_rule(as_typed)
    try:
        with contextlib.redirect_stdout(shown):
            return tyro.cli(Args, prog=program(), args=argv, description="", config=CONFIG, registry=registry)
    finally:
        shown.seek(0)
        usage, _, options = shown.read().partition("\n\n")
        if usage:
            runs = [line for line in doc.splitlines() if line.startswith("    uv run")]
            purpose = textwrap.fill(doc.partition("\n\n")[0], 80)
            print(*filter(None, (usage, purpose, "\n".join(map(folded, runs)), shortened(options))), sep="\n\n", end="")


def folded(line):
    """A command, continued on further lines where it is wider than a terminal."""
    return " \\\n        ".join(textwrap.wrap(line, 78, break_long_words=False, break_on_hyphens=False))


def shortened(options):
    """The boxes of the help without defaults that say nothing: of flags, and of what may be left out."""
    empty = re.compile(r"\(default:( |\s*│\n│\s*)(None|True|False)\)")
    return re.sub(r"│ +│\n", "", empty.sub(lambda found: re.sub(r"[^\s│]", " ", found[0]), options))


def as_typed(info):
    """tyro's rule for what is typed: a text as TEXT, its line ends as in a corpus; `X | None` as X, whatever the word."""
    kinds = {*get_args(info.type)} - {type(None)}
    if type(None) in get_args(info.type) and len(kinds) == 1:
        spec = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(kinds.pop(), info.markers))
        return replace(spec, str_from_instance=lambda v: ["None"] if v is None else spec.str_from_instance(v))
    if info.type is str:
        return typed("TEXT", str, lambda words: text_of(words[0]))
    if info.type is Path:
        return typed(
            "PATH", Path, lambda words: path_of(words[0]), lambda path: str(path).removeprefix(f"{ROOT}{os.sep}")
        )
    return None


def text_of(word):
    """A text as it is typed, its line ends as in a corpus. Raises UserError for one that is no UTF-8."""
    check(utf8(word) == word, f"{word[:40]!r}: not a UTF-8 text; type it in a terminal that writes UTF-8")
    return word.replace("\r\n", "\n")


def utf8(word):
    """A word of the system's with what no UTF-8 file can hold spelt out."""
    return word.encode("utf-8", "backslashreplace").decode()


def path_of(word):
    """A path as it is typed. Raises UserError for none, and for a name that no file can have."""
    check(word, "an empty path; name a file or a folder")
    long = [part for part in Path(word).parts if len(os.fsencode(part)) > 255]
    long = long or len(os.fsencode(word)) > 4000
    check(not long, f"{word[:40]}...: the path has a name too long for a file")
    return Path(word)


def check_tag(tag):
    """Raise UserError unless file names may begin with this word."""
    plain = re.fullmatch(r"[\w -][\w. -]*", tag) and len(os.fsencode(tag)) <= 200
    check(plain, f"--tag {tag[:40]!r}: the files' names begin with it: letters, digits, and . _ - only, no . first")


def typed(metavar, kind, parsed, shown=str, nargs=1):
    """What tyro must know of a type: its name in the help, its Python type, words -> value, value -> word."""
    return PrimitiveConstructorSpec(
        nargs=nargs,
        metavar=metavar,
        instance_from_str=parsed,
        is_instance=lambda value: isinstance(value, kind),
        str_from_instance=lambda value: [shown(value)],
    )


def command(*more, without=()):
    """The command line that is running, as a reader would type it, with more flags, and without some and their values."""
    typed = []
    processes = os.environ.get("LOCAL_WORLD_SIZE", "1")  # set by torchrun
    start = ["torchrun", "--nproc-per-node", processes] if processes != "1" else []
    words = iter(sys.argv[1:])
    for word in words:
        flag, _, value = word.partition("=")
        if flag not in (*more, *without):
            typed.append(word)
        elif flag in VALUED and not value:
            next(words, None)
    return uv_run(*program().split(), *typed, *more, start=start)


def program():
    """What is running, as Python is told it."""
    script = Path(sys.argv[0])
    return f"-m benchmarks.{script.stem}" if script.parent.name == "benchmarks" else script.name


def uv_run(script, *words, start=()):
    """A command that runs a script of ours, as it is typed in the user's folder."""
    if not os.path.samefile(os.curdir, ROOT):
        script, start = ROOT / script, ("--project", ROOT, *start)
    return utf8(shlex.join(map(str, ["uv", "run", *start, script, *words])))


def listed(kind):
    """A tyro type: different values of `kind`, separated by commas or spaces, as in --seeds 1,2,3."""

    def parsed(words):
        typed = filter(None, map(str.strip, ",".join(words).split(",")))
        values = tuple(map(path_of if kind is Path else kind, typed))
        if not values:
            raise ValueError("an empty list")
        if len(set(values)) < len(values):
            raise ValueError(f"{' '.join(words)}: the same value twice")
        return values

    metavar = f"{kind.__name__.upper()},..."
    spec = typed(metavar, tuple, parsed, lambda values: ",".join(map(str, values)) or "None", nargs="*")
    return Annotated[tuple[kind, ...], spec]


def number_or_all(word):
    """How many characters to draw from: a number, or all of them (None)."""
    check(word == "all" or word.isdecimal(), f"top_k {word}: a number, or all")
    return None if word == "all" else int(word)


def one_number_or_all():
    """A tyro type of the same, as in --top-k all."""
    parsed, shown = lambda words: number_or_all(words[0]), {None: "all"}
    return Annotated[int | None, typed("INT|all", int | None, parsed, lambda value: str(shown.get(value, value)))]


def a_method():
    """A tyro type: a method's name or file, as --module or as --method."""
    return Annotated[str, tyro.conf.arg(aliases=("--method",), metavar="NAME|FILE.py")]


def prefixed(args, prefix):
    """The fields of args that begin with `prefix_`, without it: {"temp": ...} from base_temp."""
    start = f"{prefix}_"
    return {name.removeprefix(start): value for name, value in vars(args).items() if name.startswith(start)}


VALUED = ("--init",)  # of the flags that a hint leaves out, those with a value
CONFIG = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)
