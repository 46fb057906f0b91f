"""Files that are whole or absent, and locks."""

import contextlib
import errno
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import matplotlib  # noqa: F401 (what is imported later is not found by another user)
import pandas  # noqa: F401
import PIL.ImageFont  # noqa: F401
import pytest

import methods
from lab import files
from lab.cli import UserError
from lab.measuring import experiment, records
from lab.model import checkpoint, corpus
from lab.showing import painter

ROOT = Path(__file__).resolve().parent.parent
FULL = Path("/dev/full")  # a device without room: every write to it fails


def write(path, content=b"new"):
    with files.atomic(path) as file:
        file.write(content)


def refusal(path, content=b"new"):
    """The message with which writing is refused, one line that names the file."""
    with pytest.raises(UserError) as caught:
        write(path, content)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_takes_its_name_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "file"
    with files.atomic(path) as file:
        file.write(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole" and [*path.parent.iterdir()] == [path]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_what_breaks_off_leaves_the_old_file_and_nothing_else(error, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(error), files.atomic(path) as file:
        file.write(b"new")
        raise error
    assert path.read_bytes() == b"old" and [*tmp_path.iterdir()] == [path]


def test_a_symbolic_link_stays_and_its_target_is_written(tmp_path):
    target, link = tmp_path / "elsewhere" / "target", tmp_path / "link"
    target.parent.mkdir()
    for content in (b"first", b"second"):  # the link dangles before the first
        if not link.is_symlink():
            link.symlink_to(target)
        write(link, content)
        assert link.is_symlink() and target.read_bytes() == content
    assert [*target.parent.iterdir()] == [target]


def test_what_is_no_file_is_refused_and_stays(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "link").symlink_to("/dev/null")
    before = sorted(tmp_path.iterdir())
    for name in ("pipe", "folder", "loop", "link"):
        assert "not a file to write to" in refusal(tmp_path / name)
        with pytest.raises(UserError), files.locked(tmp_path / name):
            pass
    assert sorted(tmp_path.iterdir()) == before
    assert "not a file" in refusal(Path("/dev/null")) and Path("/dev/null").is_char_device()


@pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is full")
@pytest.mark.parametrize("size", [3, 1_000_000], ids=["at its end", "on the way"])
def test_a_disk_that_is_full_is_called_so(size, tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    (tmp_path / "file.x.part").symlink_to(FULL)
    monkeypatch.setattr(files.secrets, "token_hex", lambda _: "x")
    message = refusal(path, bytes(size))
    assert "cannot be written: No space left" in message
    assert path.read_bytes() == b"old" and [*tmp_path.iterdir()] == [path]


def test_a_quota_that_is_used_up_is_one_message(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(os, "replace", fail)
    assert "quota" in refusal(tmp_path / "file")
    assert not [*tmp_path.iterdir()]


def test_two_that_write_one_file_at_once_do_not_meet(tmp_path):
    """Nor does one take away what another is writing, though its process, on another machine, seems dead."""
    path, other = tmp_path / "file", tmp_path / "file.999999999.part"
    other.touch()
    with files.atomic(path) as first:
        first.write(b"first")
        write(path, b"second")
        assert path.read_bytes() == b"second"
    assert path.read_bytes() == b"first" and sorted(tmp_path.iterdir()) == [path, other]


LOCK = """
import os, pathlib, socket, sys
from lab import files
_, path, machine, end = sys.argv
socket.gethostname = lambda: machine
with files.locked(pathlib.Path(path)):
    print(os.getpid(), flush=True)
    if end == "wait":
        sys.stdin.read()
    os._exit(0)
"""


def lock(path, machine=None, end="die", start=()):
    """A process that locks a file and waits, or dies without taking the lock back."""
    command = [*start, sys.executable, "-c", LOCK, path, machine or socket.gethostname(), end]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_lock_is_of_the_file_behind_a_link_and_names_its_process(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with lock(tmp_path / "file", end="wait") as process:
        pid = process.stdout.readline().strip()
        with (
            pytest.raises(UserError, match=f"link: process {pid}, .* delete {tmp_path}/file.lock"),
            files.locked(tmp_path / "link"),
        ):
            pass
    with files.locked(tmp_path / "link"):
        assert (tmp_path / "file.lock").exists()
    assert not [*tmp_path.glob("*.lock")]


CONTAINER = ["unshare", "--pid", "--fork"]  # process ids of its own
apart = (
    shutil.which("unshare") and subprocess.run([*CONTAINER, "true"], check=False, capture_output=True).returncode == 0
)


@pytest.mark.parametrize(
    ("where", "free"),
    [
        ({}, True),
        ({"machine": "elsewhere"}, False),
        pytest.param({"start": CONTAINER}, False, marks=pytest.mark.skipif(not apart, reason="needs rights")),
    ],
    ids=["here", "another machine", "a container"],
)
def test_a_lock_is_taken_over_from_a_process_that_is_known_to_be_dead_only(where, free, tmp_path):
    with lock(tmp_path / "file", **where) as process:
        pid = process.communicate()[0].strip()
    found = contextlib.nullcontext() if free else pytest.raises(UserError, match=f"process {pid}, here or elsewhere")
    with found, files.locked(tmp_path / "file"):
        assert free
    assert (tmp_path / "file.lock").exists() != free


def test_unused_names_are_numbered_and_never_given_twice(tmp_path):
    given = [files.create_unique(tmp_path / "logs" / "log.csv") for _ in range(3)]
    assert [path.name for path in given] == ["log.csv", "log_2.csv", "log_3.csv"]
    assert all(path.exists() for path in given)


@pytest.fixture
def locked_folder(tmp_path):
    """A folder that this process, as root too, may not look into meanwhile."""
    root = os.geteuid() == 0
    "".encode("utf-8-sig")  # imported while that can be
    try:
        tmp_path.chmod(0)
        if root:
            os.seteuid(65534)  # root may look everywhere
        yield tmp_path
    finally:
        if root:
            os.seteuid(0)
        tmp_path.chmod(0o700)


@pytest.mark.skipif(os.name != "posix", reason="needs permissions")
@pytest.mark.parametrize(
    "use",
    [
        lambda path: checkpoint.read(path.with_suffix(".pt"), "train it"),
        lambda path: methods.load("gpt", path.with_suffix(".pt")),
        lambda path: files.check_place(path),
        lambda path: records.read_json(path),
        lambda path: records.read_log(path, ()),
        lambda path: corpus.Corpus(path),
        lambda path: experiment.Args(resume=path),
        lambda path: painter.load_font(path),
        write,
    ],
)
def test_a_folder_that_may_not_be_looked_into_is_one_message(locked_folder, use):
    with pytest.raises(UserError, match=f"{locked_folder.name}/file"):
        use(locked_folder / "file")


def test_a_place_is_tried_before_long_work(tmp_path):
    files.check_place(tmp_path / "new" / "file")
    assert [*tmp_path.rglob("*")] == [tmp_path / "new"]
    (tmp_path / "new" / "file").mkdir()
    with pytest.raises(UserError, match="is a folder or a device"):
        files.check_place(tmp_path / "new" / "file")
    (tmp_path / "full").write_text("a file")
    with pytest.raises(UserError, match="cannot be written: File exists"):
        files.check_place(tmp_path / "full" / "file")


def test_what_need_not_end_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (Path("/dev/zero"), tmp_path / "pipe"):
        with pytest.raises(UserError, match="a device or a pipe"), files.reading(path):
            path.read_bytes()


def test_what_cannot_be_read_is_named_with_a_hint(tmp_path):
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(UserError, match=f"{path}: .*; name a text"), files.reading(path, "name a text"):
            path.read_bytes()
