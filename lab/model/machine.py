"""What the machine has: device, number format, compiler, threads, processes, versions."""

import contextlib
import ctypes
import functools
import math
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy
import torch

from lab.cli import ROOT, UserError
from lab.decoding.sampling import generator

FEW, WINDOW = 8, 256  # positions of a forward pass, up to which threads do not pay: those that spin; those that sleep
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # from malloc.h


def pick_device(name=None):
    """The named device, else the machine's accelerator, else the CPU.

    Raises UserError when the named one is unknown or absent.
    """
    try:
        if name is None:
            return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
        device = torch.device(name)
        torch.empty(1, device=device).item()
        return device
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"--device {name}: cannot be used here ({reason}). Leave it out, or try: cpu") from error


def bf16_is_faster(device):
    """Whether matrix products in bfloat16 are faster here than in float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":  # without such units bfloat16 is emulated, three times slower than float32
        units = getattr(torch.cpu, "get_capabilities", dict)()
        return units.get("avx512_bf16", False) or units.get("amx_bf16", False)
    return False


def can_compile(device):
    """Whether torch.compile is safe and can work: Linux (Mac and Windows builds break), a C++ compiler, headers."""
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    headers = Path(sysconfig.get_path("include"), "Python.h").exists()
    return sys.platform == "linux" and device.type in ("cpu", "cuda") and compiler is not None and headers


@functools.cache
def all_threads():
    """How many PyTorch takes by itself, or by OMP_NUM_THREADS."""
    return torch.get_num_threads()


def use_threads(positions=math.inf):
    """Have one thread where a forward pass computes few positions, in all rows together; else all.

    There, threads wait for each other longer than they work.
    """
    sleep = os.environ.get("OMP_WAIT_POLICY", "").upper() == "PASSIVE"
    wanted = 1 if positions <= (WINDOW if sleep else FEW) else all_threads()
    if wanted != torch.get_num_threads():  # a change costs as much as a pass of GPT
        torch.set_num_threads(wanted)


def tune_malloc():
    """Have the C library keep the memory that is freed: else each training step pays for it again in page faults.

    A fifth of a step's time on two cores (glibc only; elsewhere nothing happens).
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(M_TRIM_THRESHOLD, 1 << 30)
        libc.mallopt(M_MMAP_THRESHOLD, 1 << 25)  # the largest that glibc takes


class Ranks:
    """The processes that train one model together; a single one unless started by `torchrun`."""

    def __init__(self):
        self.rank = int(os.environ.get("RANK", "0"))
        self.world = int(os.environ["WORLD_SIZE"]) if "RANK" in os.environ else 1
        self.is_main = self.rank == 0

    def join(self, device):
        """Meet the other processes -> the device of this one."""
        if self.world > 1:
            if device.type == "cuda":
                device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
                torch.cuda.set_device(device)
            else:
                device = torch.device("cpu")  # gloo, the other way to meet, knows no Apple GPU
            torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        self.device = device
        return device

    def mean(self, numbers):
        """The means over the processes of numbers that each has, by name; all get the same ones."""
        if self.world == 1:
            return numbers
        sums = torch.tensor([float(value) for value in numbers.values()], device=self.device)
        torch.distributed.all_reduce(sums)
        return dict(zip(numbers, (sums / self.world).tolist(), strict=True))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Let the other processes go."""
        if self.world > 1 and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


class Rng:
    """Random numbers for the rows of a batch, drawn on the CPU so that every device sees the same ones.

    Each of several processes gets its own rows of one joint draw: together they train on what one would.
    step: of the training, which a loss may depend on.
    """

    def __init__(self, seed, step=0, rank=0, world=1):
        self.step = step
        self.rank = rank
        self.world = world
        self.generator = generator(seed, step)

    def _mine(self, joint):
        return joint.chunk(self.world)[self.rank]

    def rand(self, rows, *shape):
        """Uniform numbers in [0, 1): (rows, *shape)."""
        return self._mine(torch.rand(rows * self.world, *shape, generator=self.generator))

    def randn(self, rows, *shape):
        """Standard normal numbers: (rows, *shape)."""
        return self._mine(torch.randn(rows * self.world, *shape, generator=self.generator))

    def randint(self, high, rows):
        """Integers in 0 .. high - 1: (rows,)."""
        return self._mine(torch.randint(high, (rows * self.world,), generator=self.generator))

    def stratified(self, rows):
        """Uniform numbers in [0, 1), one in each of as many equal slices as the joint batch has rows: (rows,)."""
        n = rows * self.world
        return self._mine((torch.rand(1, generator=self.generator) + torch.arange(n) / n) % 1)


def versions():
    """What a figure depends on besides its settings: versions, commit, threads."""
    try:
        commit = git("describe --always --abbrev=12")
        if git("status --porcelain --untracked-files=no -- . :!weights :!results :!*.md"):
            commit += "-dirty"  # what commands write is no change of the code
    except (OSError, subprocess.CalledProcessError):
        commit = None
    return {
        "commit": commit,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": numpy.__version__,
        "threads": torch.get_num_threads(),
        "processor": processor(),
    }


def git(command):
    """What a git command says of the project. Raises OSError, CalledProcessError."""
    return subprocess.check_output(["git", *command.split()], cwd=ROOT, stderr=subprocess.DEVNULL, text=True).strip()


def processor():
    """The CPU's name."""
    cpuinfo = Path("/proc/cpuinfo")
    named = cpuinfo.exists() and re.search(r"model name\s*: (.+)", cpuinfo.read_text())
    return named[1].strip() if named else platform.processor() or platform.machine()
