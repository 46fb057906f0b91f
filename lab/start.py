"""What happens before PyTorch is loaded, which takes seconds: the first import of every script, and of what imports PyTorch.

Where the machine is busy OpenMP's threads are told to sleep while they wait for each other. Those that spin, as they do by
default, take from each other, and from other programs, the very time that they wait for; on a quiet machine they are the
faster ones. OpenMP reads this when it is loaded; what the user has set stays.

A script is then *rehearsed*: a child process runs it with hollow stand-ins for the heavy packages, up to where one of them is
used. So --help, and whatever is refused before a model is needed, comes at once, and no script is written in another way for
it. Where a rehearsal ends otherwise nothing of it is kept or shown, and the script runs: what its `main` does before it uses
a heavy package is done twice, as reading and checking may be. What may not be ends the rehearsal too: to write a file, make a
folder, start a process, go to the network. Windows cannot fork, and has no rehearsal.
"""

import atexit
import io
import os
import re
import runpy
import sys
import time
from importlib.machinery import ModuleSpec
from pathlib import Path

from lab import cli
from lab.progress import Bar, end

HEAVY = ("torch", "numpy", "scipy", "pandas", "matplotlib", "PIL")
OUTWARD = ("subprocess.Popen", "os.mkdir", "socket.connect")
NEEDED = 250  # exit status of a rehearsal that has come to where more than stand-ins is needed


class Hollow:
    """Stands for a heavy package and all that is in it: enough to define classes and functions with, and no more."""

    is_enough = True  # until `main` runs, where any use is one too many

    def __init__(self, *_):
        pass

    def __call__(self, *_, **__):
        return Hollow() if Hollow.is_enough else self.needed()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self()

    def __mro_entries__(self, bases):
        return ()

    def __or__(self, other):  # as in `mask: torch.Tensor | None`
        return self

    def needed(self, *_):
        """What no stand-in can answer; no exception, which a handler might take for a mistake of the user's."""
        os._exit(NEEDED)

    __ror__ = __or__
    __bool__ = __iter__ = __len__ = __getitem__ = __contains__ = __instancecheck__ = needed


class Finder:
    """Finds a stand-in for each heavy package, and for each part of one."""

    create_module = Hollow

    def find_spec(self, name, path=None, target=None):
        """As Python asks every finder."""
        if name.partition(".")[0] not in HEAVY:
            return None
        return ModuleSpec(name, self, is_package=True) if Hollow.is_enough else Hollow().needed()

    def exec_module(self, module):
        """Nothing is in it."""


class Held(io.StringIO):
    """What a rehearsal says on a stream, written as it would be there."""

    def __init__(self, stream):
        super().__init__()
        self.isatty = stream.isatty


def watch(event, args):
    """End a rehearsal before it does what must not be done twice."""
    writes = event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR)
    if event in OUTWARD or writes:
        os._exit(NEEDED)


def rehearse(path):
    """Run a script with stand-ins in a child process -> its exit status; None where it needs more than these."""
    child = os.fork()
    if child == 0:
        perform(path)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if 0 <= code < NEEDED else None


def perform(path):
    """Run a script with stand-ins, say what it said where it came to its end, and exit."""
    streams = sys.stdout, sys.stderr
    held = sys.stdout, sys.stderr = [*map(Held, streams)]
    guard = cli.guard

    def with_main(action):
        for name in [name for name, module in sys.modules.items() if isinstance(module, Hollow)]:
            del sys.modules[name]  # tyro asks whether PyTorch is there
        Hollow.is_enough = False
        return guard(action)

    cli.guard = with_main
    sys.meta_path.insert(0, Finder())
    sys.dont_write_bytecode = True
    sys.addaudithook(watch)
    try:
        runpy.run_path(path, run_name="__main__")
    except SystemExit as stop:
        for stream, said in zip(streams, held, strict=True):
            stream.write(said.getvalue())
            stream.flush()
        os._exit(stop.code or 0)
    finally:  # a bug shows when the script runs
        os._exit(NEEDED)


def is_busy():
    """Whether other programs want the cores: over the last minute, and now where the system says so. False on Windows."""
    if not hasattr(os, "getloadavg") or os.getloadavg()[0] < (os.cpu_count() or 1) / 4:
        return False
    running = Path("/proc/stat")  # the load may be that of a command of ours that has just ended
    if not running.exists():
        return True
    beside_this = 0
    for _ in range(10):
        beside_this += int(re.search(r"procs_running (\d+)", running.read_text())[1]) > 1
        time.sleep(0.001)
    return beside_this > 2  # what the system itself does takes a moment only


def importer():
    """The namespace of the file that imports this one."""
    frame = sys._getframe(1)
    while frame.f_globals is globals() or "importlib" in frame.f_code.co_filename:
        frame = frame.f_back
    return frame.f_globals


if is_busy():
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # GNU's OpenMP (Linux) listens to it, and LLVM's (macOS)
script = importer()
if script["__name__"] == "__main__" and "__file__" in script and "torch" not in sys.modules:
    status = rehearse(script["__file__"]) if hasattr(os, "fork") else None
    if status is not None:
        sys.exit(status)
    loading = Bar("loading PyTorch")
    loading.start()
    atexit.register(end)
    if loading.disable:
        cli.say("loading PyTorch")
