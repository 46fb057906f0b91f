"""What happens before PyTorch is loaded, which takes seconds: the first import of every script, and of what imports PyTorch.

Where the machine is busy OpenMP's threads are told to sleep while they wait for each other. Those that spin, as they do by
default, take from each other, and from other programs, the very time that they wait for; on a quiet machine they are the
faster ones. OpenMP reads this when it is loaded; what the user has set stays.

A script is then *rehearsed*: imported with hollow stand-ins for the heavy packages, and its command line is read. So `--help`,
and flags that are refused, come at once, and no script is written in another way for it. Otherwise nothing of the rehearsal
is kept or shown, and the script runs.
"""

import atexit
import contextlib
import importlib.util
import os
import sys
from importlib.machinery import ExtensionFileLoader, ModuleSpec, PathFinder
from pathlib import Path

from lab import cli
from lab.progress import Bar, end

HEAVY = {
    "torch",
    "numpy",
    "scipy",
    "pandas",
    "matplotlib",
    "PIL",
    "gradio",
    "dask",
    "distributed",
    "onnx",
    "onnxruntime",
    "safetensors",
}
OURS = {"lab", "benchmarks"}


class Needed(BaseException):
    """A rehearsal has come to where a heavy package is needed. No `except Exception` takes it for a mistake of the user's."""


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
        """What no stand-in can answer."""
        raise Needed

    __ror__ = __or__
    __bool__ = __iter__ = __len__ = __getitem__ = __contains__ = __lt__ = __gt__ = __instancecheck__ = needed


class Finder:
    """Finds a stand-in for each heavy package that is installed; for a part of one, always."""

    create_module = Hollow

    def find_spec(self, name, path=None, target=None):
        """As Python asks every finder."""
        package, _, part = name.partition(".")
        if package in HEAVY and (part or PathFinder.find_spec(name)):
            return ModuleSpec(name, self, is_package=True)
        return None

    def exec_module(self, module):
        """Nothing is in it."""


def rehearse(path):
    """Import a script with stand-ins and read its command line. Exits where that asks for help or is refused."""
    before, finder = {*sys.modules}, Finder()
    spec = importlib.util.spec_from_file_location("rehearsal", path)
    sys.modules["rehearsal"] = script = importlib.util.module_from_spec(spec)

    def read():
        cli.parse(script.Args, None, script.__doc__ or "")
        raise Needed

    sys.meta_path.insert(0, finder)
    try:
        with contextlib.suppress(Exception, Needed):  # a bug shows when the script runs
            spec.loader.exec_module(script)
            sys.exit(cli.guard(read))
    finally:
        sys.meta_path.remove(finder)
        packages = {name.partition(".")[0] for name in before} | sys.stdlib_module_names
        forget(name for name in {*sys.modules} - before if name.partition(".")[0] not in packages - OURS)


def forget(names):
    """Have modules imported anew, but for those in C, many of which can be loaded once only."""
    for name in list(names):
        if not isinstance(getattr(sys.modules[name].__spec__, "loader", None), ExtensionFileLoader):
            parent, _, own = name.rpartition(".")
            del sys.modules[name]
            if parent in sys.modules:
                vars(sys.modules[parent]).pop(own, None)


def importer():
    """The namespace of the file that imports this one."""
    frame = sys._getframe(1)
    while frame.f_globals is globals() or "importlib" in frame.f_code.co_filename:
        frame = frame.f_back
    return frame.f_globals


if hasattr(os, "getloadavg") and os.getloadavg()[0] > (os.cpu_count() or 1) / 4:  # over the last minute; not on Windows
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # GNU's OpenMP (Linux) listens to it, and LLVM's (macOS)
if importer()["__name__"] == "__main__" and "__file__" in importer() and "torch" not in sys.modules:
    rehearse(Path(importer()["__file__"]))
    loading = Bar("loading PyTorch")
    loading.start()
    atexit.register(end)
    if loading.disable:
        cli.say("loading PyTorch")
