"""Files that are whole or absent, and files that one process at a time may make.

While FILE is written it is named FILE.RANDOM.part; what a crash leaves of it is harmless and may be deleted.
"""

import contextlib
import itertools
import os
import secrets
from pathlib import Path

from filelock import SoftFileLock, Timeout

from lab.cli import UserError, check


@contextlib.contextmanager
def atomic(path):
    """A file to write bytes to that takes its name only when it is whole; otherwise nothing is left of it.

    Makes the folder; writes through a symbolic link. Raises UserError when there is no room or no place for the file.
    """
    target = destination(path)
    part = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")  # ids of processes repeat on other machines
    with writing(path):
        target.parent.mkdir(parents=True, exist_ok=True)
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
    """No other process has the lock of the same file, FILE.lock, meanwhile. Raises UserError that names the one that has.

    It names its process, machine and container, and is seen by all that share the disk; locks of the system (flock) keep
    nobody out on some network disks. That of a dead process is taken over where its death can be known: on its machine, in
    its container.
    """
    target = destination(path)
    lock = SoftFileLock(f"{target}.lock", timeout=0.2)  # seconds; enough to take one over
    with writing(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout as error:
            hint = f"Wait, name another file, or if it is not, delete {lock.lock_file}"
            raise UserError(f"{path}: process {lock.pid}, here or elsewhere, is making it. {hint}") from error
    try:
        yield
    finally:
        lock.release()


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


@contextlib.contextmanager
def reading(path, hint="name another file"):
    """Turns the system's refusal to read a file into a UserError that ends with the hint.

    So are a text that is no UTF-8, and a device or a pipe: it need not end, and cannot be read twice.
    """
    ends = os.path.isfile(path) or os.path.isdir(path) or not os.path.exists(path)
    check(ends, f"{path}: is a device or a pipe; name a file")
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}; {hint}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a UTF-8 text ({error.reason}). Convert it first") from error


def create_unique(path, is_folder=False):
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
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error
