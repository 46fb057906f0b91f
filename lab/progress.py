"""What a long work is at, in a line on standard error: a terminal shows it all the time, a pipe soon and then every minute."""

import os
import sys
import threading
from datetime import timedelta

from rich.console import Console
from rich.progress import Progress

SOON, EVERY = 3, 60  # seconds until the first line where there is no terminal, and between two


class Bar(Progress):
    """A context. One within another takes its place meanwhile."""

    shown = None

    def __init__(self, what, total=None, done=0, unit=""):
        """what: the work, as in "compiling"; total: how much there is to do, where that is known.

        done: how much an earlier run did; unit: of total, as in "texts".
        """
        console = Console(stderr=True, markup=False)
        hidden = not (console.is_terminal and is_heard())
        self.ended = threading.Event()
        self.unit = unit
        super().__init__(
            console=console,
            disable=hidden,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),
            speed_estimate_period=3600,
        )
        self.add_task(what, total=total, completed=done)
        (self.work,) = self.tasks

    def show(self, completed, what=None):
        """completed: how much of the total is done; what: the work now."""
        self.update(self.work.id, completed=completed, description=what or self.work.description)

    def left(self):
        """How long the rest takes at the pace so far, in words; nothing before there is a pace."""
        seconds = self.work.time_remaining
        return f"about {timedelta(seconds=seconds)} left" if seconds else ""

    def line(self):
        """How far the work is, in words."""
        done = f"{self.work.completed:,} of {self.work.total:,} {self.unit}".rstrip() if self.work.total else ""
        so_far = done, str(timedelta(seconds=round(self.work.elapsed))), self.left()
        return f"{self.work.description}: {', '.join(filter(None, so_far))}"

    def get_renderables(self):
        """What a terminal shows: the same line, once there is work."""
        return [self.line()] if self.tasks else []

    def start(self):
        """Show it, in place of the one that is shown."""
        self.outer = Bar.shown
        Bar.shown = self
        if self.outer:
            self.outer.live.stop()
        super().start()
        if self.disable:
            threading.Thread(target=self.tell, daemon=True).start()

    def stop(self):
        """Take it away; the one before is shown again."""
        self.ended.set()
        super().stop()
        Bar.shown = self.outer
        if self.outer and not self.disable:
            self.outer.live.start()

    def tell(self):
        """Print lines until the work has ended."""
        pause = SOON
        while not self.ended.wait(pause):
            if Bar.shown in (self, None):
                note(self.line())
            pause = EVERY


def is_heard():
    """Whether this process speaks to the user: the first on its machine of those that torchrun starts, as any other."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def say(message):
    """A line on standard error, once."""
    if is_heard():
        print(message, file=sys.stderr, flush=True)


def note(message):
    """What a user should know, and need not act on."""
    say(f"note: {message}")


def end():
    """Take away what is shown, before anything else is printed."""
    if Bar.shown:
        Bar.shown.stop()
