"""How far a long run is, on standard error: a bar on a terminal, a line every minute elsewhere."""

import math
import time
from datetime import timedelta

from rich.console import Console
from rich.progress import Progress

from lab.records import warn


class Bar(Progress):
    """A context; of a run that takes more than some seconds it first says how long at most."""

    def __init__(self, total, done):
        """total: texts to write; done: those that an earlier run has written."""
        console = Console(stderr=True)
        super().__init__(console=console, disable=not console.is_terminal)
        self.task, self.total, self.before = self.add_task("", total=total, completed=done), total, done
        self.began, self.due = time.monotonic(), 0.0

    def show(self, done, name):
        """done: texts of all that are written; name: of the settings at work."""
        self.update(self.task, completed=done, description=name)
        now, new = time.monotonic(), done - self.before
        left = round((now - self.began) / max(1, new) * (self.total - done))
        if new > 0 and now >= self.due and left >= 10:
            most = "about" if self.due else "at most"  # texts written together take less time than the first, alone
            warn(f"{done} of {self.total} texts, {most} {timedelta(seconds=left)} to go: {name}")
            self.due = now + 60 if self.disable else math.inf
