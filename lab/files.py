"""Files that are whole or absent, and files that one process at a time may make.

What a process leaves beside FILE while it works is named FILE.PID.part or FILE.PID.lock, and deleted by the next one when
that process is dead: a lock needs no kind of lock of the system's, which differ between Linux, macOS and Windows.
"""

import contextlib
import errno
import glob
import itertools
import os
from pathlib import Path

from lab.cli import UserError, check


@contextlib.contextmanager
def atomic(path):
    """A file to write bytes to that takes its name only when it is whole; otherwise nothing is left of it.

    Makes the folder; writes through a symbolic link. Raises UserError when there is no room or no place for the file.
    """
    target = destination(path)
    part = beside(target, "part")
    with writing(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        others(target, "part")
        try:
            with open(part, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())  # else a power cut can leave an empty file under the name
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(path):
    """No other process of this machine has the lock of the same file meanwhile. Raises UserError that names it."""
    target = destination(path)
    lock = beside(target, "lock")
    with writing(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_CREAT | os.O_WRONLY)  # open until the end: see `is_alive`
    try:
        for pid in others(target, "lock"):  # after making ours: of two that start together, one at least sees the other
            other = beside(target, "lock", pid)
            remedy = f"Wait, name another file, or if it is not, delete {other}"
            raise UserError(f"{path}: process {pid} is making it. {remedy}")
        yield
    finally:
        os.close(descriptor)
        lock.unlink(missing_ok=True)


def destination(path):
    """The file that a path stands for, symbolic links followed. Raises UserError for a folder, a device or a pipe."""
    target = Path(os.path.realpath(path))
    free = os.path.isfile(target) or not os.path.lexists(target)
    check(free and target.name, f"{path}: is a folder or a device, not a file to write to")
    return target


def check_place(path):
    """Raise UserError at once, and not after long work, where `atomic` could not write a file; makes the folder."""
    with contextlib.suppress(LookupError), atomic(path):
        raise LookupError  # so that nothing is left


def check_ends(path):
    """Raise UserError for a device or a pipe to read: it need not end, and cannot be read twice."""
    ends = os.path.isfile(path) or os.path.isdir(path) or not os.path.exists(path)
    check(ends, f"{path}: is a device or a pipe; name a file")


def beside(target, kind, pid=None):
    """The name of what a process (default: this one) leaves beside a file."""
    return target.with_name(f"{target.name}.{pid or os.getpid()}.{kind}")


def others(target, kind):
    """Ids of the other living processes that left such a file; those of dead ones are deleted."""
    found = []
    for path in target.parent.glob(f"{glob.escape(target.name)}.*.{kind}"):
        pid = path.name[len(target.name) + 1 : -len(kind) - 1]
        if pid.isdecimal() and int(pid) != os.getpid():
            try:
                if not is_alive(int(pid)):
                    path.unlink(missing_ok=True)
                    continue
            except PermissionError:  # another user's process, or on Windows a file that its process has open
                pass
            found.append(int(pid))
    return found


def is_alive(pid):
    """Whether a process runs; False on Windows, where os.kill would end it but a file in use cannot be deleted."""
    try:
        os.kill(pid, 0) if os.name == "posix" else None
    except (ProcessLookupError, OverflowError):
        return False
    return os.name == "posix"


def unused(path, is_folder=False):
    """An empty file or folder of this name, or of the first number behind it that is free -> its path. Raises UserError."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        for n in itertools.count(1):
            free = path if n == 1 else path.with_name(f"{path.stem}_{n}{path.suffix}")
            with contextlib.suppress(FileExistsError):
                free.mkdir() if is_folder else free.touch(exist_ok=False)
                return free


@contextlib.contextmanager
def writing(path):
    """Turns the system's refusal to write a file into a UserError that says what to do."""
    try:
        yield
    except OSError as error:
        in_the_way = isinstance(error, (FileExistsError, NotADirectoryError))
        why = "a file has the name of its folder" if in_the_way else error.strerror or error
        reason = f"{path}: cannot be written ({why})"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            reason = f"{path}: cannot be written: the disk is full, or your quota. Free some space and try again"
        raise UserError(reason) from error
