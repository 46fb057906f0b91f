"""What a long work says: a line soon on a pipe, then one a minute; a clock that runs on a terminal; one estimate of the rest."""

import io
import itertools
from unittest import mock

import pytest
from rich.console import Console

from lab import progress
from lab.progress import Bar


@pytest.fixture
def clock(monkeypatch):
    """A list whose one number is the time, which a Bar's pauses move on."""
    now = [0.0]
    monkeypatch.setattr(progress, "Console", lambda **more: Console(get_time=lambda: now[0], **more))
    return now


def told(bar, clock, seconds, meanwhile=lambda: None):
    """The (time, line) pairs that a Bar prints on a pipe within so many seconds."""

    class Ended:
        def wait(self, pause):
            clock[0] += pause
            meanwhile()
            return clock[0] > seconds

        def set(self):
            pass

    lines, bar.ended = [], Ended()
    with mock.patch.object(progress, "note", lambda line: lines.append((clock[0], line))):
        bar.tell()
    return lines


def test_a_pipe_hears_of_a_long_work_within_five_seconds_and_then_every_minute(clock):
    lines = told(Bar("compiling"), clock, 600)
    times = [0.0, *(time for time, _ in lines), 600.0]
    assert times[1] <= 5 and all(later - earlier <= 60 for earlier, later in itertools.pairwise(times))
    assert lines[0][1] == "compiling: 0:00:03" and lines[2][1] == "compiling: 0:02:03"


def test_a_line_says_how_much_is_done_and_left_at_the_pace_of_this_run(clock):
    bar = Bar("writing", total=1000, done=10, unit="texts")
    lines = told(bar, clock, 190, lambda: bar.show(10 + int(clock[0] // 3), "temp .5"))
    assert lines[-1][1] == "temp .5: 71 of 1,000 texts, 0:03:03, about 0:46:27 left"


def test_before_there_is_a_pace_there_is_no_estimate(clock):
    bar = Bar("writing", total=5, done=2)
    assert bar.left() == ""
    assert told(bar, clock, 4) == [(3.0, "writing: 2 of 5, 0:00:03")]


def test_a_short_work_says_nothing_on_a_pipe(capsys):
    with Bar("writing", total=3) as bar:
        for done in range(4):
            bar.show(done, "temp 0.5")
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_the_work_stands_at_once_with_its_estimate_and_leaves_no_trace(monkeypatch, clock):
    screen = io.StringIO()
    look = {"file": screen, "force_terminal": True, "width": 80, "get_time": lambda: clock[0]}
    monkeypatch.setattr(progress, "Console", lambda **_: Console(**look))
    with Bar("training", total=10, unit="steps") as bar:
        clock[0] = 5.0
        bar.show(5)
        bar.refresh()
        assert "training" in screen.getvalue() and "0:00:05" in screen.getvalue() and bar.left() in screen.getvalue()
    assert screen.getvalue().endswith("\x1b[2K")


def test_one_work_is_shown_at_a_time_and_the_outer_one_again_after_it(clock):
    with Bar("-m benchmarks.frontier") as outer:
        with Bar("compiling") as inner:
            assert Bar.shown is inner and told(outer, clock, 200) == []
        assert Bar.shown is outer and told(outer, clock, 400) != []
        progress.end()
        assert Bar.shown is None
