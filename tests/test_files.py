"""Files that are whole or absent, and locks."""

import errno
import os
from pathlib import Path

import fontTools.ttLib  # noqa: F401 (what is imported later is not found by another user)
import matplotlib  # noqa: F401
import pandas  # noqa: F401
import PIL.ImageFont  # noqa: F401
import pytest

import methods
from lab import checkpoint, corpus, files, painter, records, trials
from lab.cli import UserError

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
def test_a_disk_that_is_full_is_called_so(size, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    files.beside(path, "part").symlink_to(FULL)
    message = refusal(path, bytes(size))
    assert "the disk is full" in message and "Free some space" in message
    assert path.read_bytes() == b"old" and [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_quota_that_is_used_up_is_a_full_disk(code, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "replace", fail)
    assert "the disk is full" in refusal(tmp_path / "file")
    assert not [*tmp_path.iterdir()]


def test_what_dead_processes_left_is_swept_away(tmp_path, dead_pid):
    path, ours = tmp_path / "a[1]", tmp_path / "a[1].txt.part"
    for name in (f"a[1].{dead_pid}.part", "a[1].99999999999999999999.part", f"a[1].{os.getppid()}.part", ours.name):
        (tmp_path / name).touch()
    (tmp_path / f"a1.{dead_pid}.part").touch()  # of another file
    write(path)
    left = {path.name, f"a[1].{os.getppid()}.part", ours.name, f"a1.{dead_pid}.part"}
    assert {entry.name for entry in tmp_path.iterdir()} == left


def test_a_lock_is_of_the_file_behind_a_link_and_names_its_process(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    lock = tmp_path / f"file.{os.getppid()}.lock"
    lock.touch()
    with pytest.raises(UserError, match=f"process {os.getppid()} .* delete {lock}"), files.locked(tmp_path / "link"):
        pass
    assert [entry.name for entry in tmp_path.glob("*.lock")] == [lock.name]
    lock.unlink()
    with files.locked(tmp_path / "link"):
        assert (tmp_path / f"file.{os.getpid()}.lock").exists()
    assert not [*tmp_path.glob("*.lock")]


def test_another_users_process_is_alive(monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    with pytest.raises(PermissionError):
        files.is_alive(1)


def test_unused_names_are_numbered_and_never_given_twice(tmp_path):
    given = [files.unused(tmp_path / "logs" / "log.csv") for _ in range(3)]
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
        lambda path: checkpoint.read(path, "train it"),
        lambda path: methods.load("gpt", path),
        lambda path: files.check_place(path),
        lambda path: records.read_json(path),
        lambda path: records.read_log(path, ()),
        lambda path: corpus.Corpus(path),
        lambda path: trials.Args(resume=path),
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
    with pytest.raises(UserError, match="a file has the name of its folder"):
        files.check_place(tmp_path / "full" / "file")


def test_what_need_not_end_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (Path("/dev/zero"), tmp_path / "pipe"):
        with pytest.raises(UserError, match="a device or a pipe"):
            files.check_ends(path)
    for path in (tmp_path, tmp_path / "nothing", Path(__file__)):
        files.check_ends(path)
