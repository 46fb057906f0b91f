"""What happens before PyTorch is loaded, which takes seconds: the first import of every script, and of what imports PyTorch.

Where the machine is busy OpenMP's threads are told to sleep while they wait for each other. Those that spin, as they do by
default, take from each other, and from other programs, the very time that they wait for; on a quiet machine they are the
faster ones. OpenMP reads this when it is loaded; what the user has set stays.

A script is then *rehearsed*: imported with hollow stand-ins for the heavy packages, and its flags are read. So `--help`, and
whatever is wrong with the flags, comes at once, and no script is written in another way for it. Where the flags are right, or
depend on what a stand-in cannot know, nothing of the rehearsal is kept, and the script runs.
"""

import atexit
import contextlib
import importlib.util
import os
import re
import sys
import time
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from pathlib import Path

from lab import cli
from lab.progress import Bar, end

HEAVY = ("torch", "numpy", "scipy", "pandas", "matplotlib", "PIL")
OURS = ("lab", "benchmarks")


class Needed(BaseException):
    """A rehearsal has come to its end. No `except Exception` takes it for a mistake of the user's."""


class Hollow:
    """Stands for a heavy package and all that is in it: enough to define classes and functions with, and no more."""

    def __init__(self, *_):
        pass

    def __call__(self, *_, **__):
        return Hollow()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Hollow()

    def __mro_entries__(self, bases):
        return ()

    def __or__(self, other):  # as in `mask: torch.Tensor | None`
        return self

    def needed(self, *_):
        """What no stand-in can do."""
        raise Needed

    __ror__ = __or__
    __bool__ = __iter__ = __len__ = __getitem__ = __contains__ = __lt__ = __gt__ = __instancecheck__ = needed


class Finder:
    """Finds a stand-in for each heavy package and for each part of one."""

    create_module = Hollow

    def find_spec(self, name, path=None, target=None):
        """As Python asks every finder."""
        if name.partition(".")[0] in HEAVY:
            return ModuleSpec(name, self, is_package=True)

    def exec_module(self, module):
        """Nothing is in it."""


def rehearse(path):
    """Import a script with stand-ins and read its flags. Exits where they ask for help, or cannot be read."""
    before = {*sys.modules}
    finder = Finder()
    sys.meta_path.insert(0, finder)
    spec = importlib.util.spec_from_file_location("rehearsal", path)
    sys.modules["rehearsal"] = script = importlib.util.module_from_spec(spec)
    try:
        with contextlib.suppress(Exception, Needed):  # a bug shows when the script runs
            spec.loader.exec_module(script)
            Args = sys.modules["lab.command"].flags(script.METHOD) if hasattr(script, "METHOD") else script.Args
            sys.exit(cli.run(Hollow().needed, Args, doc=script.__doc__))
    finally:
        sys.meta_path.remove(finder)
        known = {name.partition(".")[0] for name in before} | sys.stdlib_module_names
        forget(name for name in sys.modules if name not in before and name.partition(".")[0] not in known - {*OURS})


def forget(names):
    """Have modules imported anew, but for those in C, many of which can be loaded once only."""
    for name in list(names):
        if not isinstance(getattr(sys.modules[name].__spec__, "loader", None), ExtensionFileLoader):
            parent, _, own = name.rpartition(".")
            del sys.modules[name]
            if parent in sys.modules:
                vars(sys.modules[parent]).pop(own, None)


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
if importer()["__name__"] == "__main__" and "__file__" in importer() and "torch" not in sys.modules:
    rehearse(Path(importer()["__file__"]))
    loading = Bar("loading PyTorch")
    loading.start()
    atexit.register(end)
    if loading.disable:  # at once: while it loads no other thread may get to speak
        cli.say("loading PyTorch")
