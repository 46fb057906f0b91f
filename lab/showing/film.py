"""What a sampler's frames look like: recorded once, then drawn (painter.py), put on a page (page.py) or in a terminal.

A snapshot shows what the method knows at that moment: it depends on a frame and its predecessors alone. A masked newline
is a cell like any other, and ends a line once it is written.
"""

import re
from dataclasses import dataclass, replace
from itertools import islice

import numpy
import torch

from lab.measuring import trials

MASKED = 0
NEW = 1  # written in this pass, or a draft, which a later one may take back
SETTLED = 2
EMPTY = 3
LEGEND = {
    MASKED: "masked",
    NEW: "written in this pass, or a draft",
    SETTLED: "underlined: less confident",
}
EVIDENCE = "evidence of the flow: how much of its noise is gone"
COLUMNS = 56  # cells in a line
MASK = "░"  # a masked cell, where nothing better can be drawn
SHORTEST, LONGEST, PICTURES = 8.0, 20.0, 240  # of an animation: seconds, seconds, frames at most
CONTROL = "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]"  # never drawn or sent as they are


@dataclass(frozen=True)
class Snapshot:
    """The canvas after a forward pass: the characters (L,), their states, and how confident the method was of them.

    A masked position's character is the alphabet's mask symbol, its confidence 0; a control character has a stand-in.
    """

    calls: int
    seconds: float  # that the sampler had taken
    characters: str
    states: bytes
    confidence: bytes  # probability in ninths, rounded down
    certainty: bytes  # root of the share of a flow's noise that is gone, in ninths; 0 without a flow


@dataclass(frozen=True)
class Film:
    """The snapshots of one text."""

    title: str
    snapshots: list

    def at(self, seconds):
        """The snapshot that stands at a time."""
        return next(snapshot for snapshot in reversed(self.snapshots) if snapshot.seconds <= seconds)


class Recorder:
    """Follows the frames of one text: counts forward passes and seconds, and knows the state of each cell.

    A causal model has no masks: what it has not written is blank.
    """

    def __init__(self, engine, canvas):
        self.alphabet = engine.alphabet
        self.idx = canvas.idx[0]
        self.masked = canvas.masked[0]
        self.ahead = EMPTY if engine.method.is_causal else MASKED
        self.states = torch.full(self.idx.shape, SETTLED)
        self.confidence = (~self.masked).double()
        self.certainty = torch.zeros_like(self.confidence)
        self.calls = 0
        self.seconds = 0.0

    def add(self, frame, seconds):
        """Take up the frame of a pass, which took so many seconds."""
        self.calls += 1
        self.seconds += seconds
        columns = frame.columns[0]
        new = self.masked & ~frame.masked[0]
        self.idx = frame.idx[0]
        self.masked = frame.masked[0]
        self.states = torch.where(new | frame.draft[0], NEW, SETTLED)
        sure = self.confidence.scatter(0, columns, frame.confidence[0])
        self.confidence = torch.where(new, sure, self.confidence).masked_fill(self.masked, 0)
        if frame.certainty is not None:
            self.certainty = torch.zeros_like(self.confidence).scatter(0, columns, frame.certainty[0].sqrt())

    def snapshot(self):
        """What stands there now."""
        text = self.alphabet.decode(self.idx, self.masked).replace("\t", "→")
        characters = re.sub(CONTROL, "\ufffd", text)  # they reach no screen as they are
        states = bytes(self.states.masked_fill(self.masked, self.ahead).tolist())
        return Snapshot(self.calls, self.seconds, characters, states, ninths(self.confidence), ninths(self.certainty))


def ninths(shares):
    """Shares (L,) of 1 in few numbers: bytes, rounded down."""
    return bytes((shares * 9).int().tolist())


def record(engine, trial):
    """Write a trial of one text -> Film: a snapshot before its first pass, one after each, and one at last, all settled."""
    recorder = Recorder(engine, trial.canvas)
    snapshots = [recorder.snapshot()]
    for frame, seconds in trials.frames(engine, trial):
        recorder.add(frame, seconds)
        snapshots.append(recorder.snapshot())
    last = snapshots[-1]
    return Film(engine.method.title, [*snapshots, replace(last, states=bytes([SETTLED]) * len(last.states))])


def has_flow(films):
    """Whether one of the films shows a flow's evidence."""
    return any(any(snapshot.certainty) for film in films for snapshot in film.snapshots)


def glyphs(snapshot):
    """What each cell shows: a character, MASK, or a space where it is blank."""
    instead = {MASKED: MASK, EMPTY: " "}
    cells = zip(snapshot.characters, snapshot.states, strict=True)
    return "".join(instead.get(state, character) for character, state in cells)


def rows(text, width):
    """Glyphs in lines of at most `width`, which join to the text: a newline stays at the end of its line, beyond the last column.

    A line breaks beside a space or a mask; within a word only where that is longer than a line.
    """
    fits = f".{{1,{width}}}"
    ends = f"\n|$|(?=[ {MASK}])|(?<=[ {MASK}])"
    return re.findall(f"\n|{fits}(?:{ends})|{fits}", text)


def lines(snapshot, width):
    """A snapshot in lines of at most `width` cells: [[(glyph, state, confidence, certainty), ...], ...]."""
    text = glyphs(snapshot)
    cells = zip(text, snapshot.states, snapshot.confidence, snapshot.certainty, strict=True)
    return [list(islice(cells, len(row))) for row in rows(text, width)]


def timeline(films, fps):
    """The animation: its moments, each a snapshot of every film; the seconds for which each is shown; its pace in words.

    All films run on one clock. GIF times are hundredths of a second, so all are.
    """
    real, shown = duration(films)
    count = min(PICTURES, 1 + int(shown * fps))
    lasts = round(100 * shown / count) / 100
    moments = [[film.at(clock) for film in films] for clock in numpy.linspace(0, real, count)]
    return moments, lasts, pace(real, lasts * count)


def duration(films):
    """Seconds that the slowest method took, and seconds that an animation of it takes."""
    real = max(film.snapshots[-1].seconds for film in films)
    return real, min(max(real, SHORTEST), LONGEST)


def pace(real, shown):
    """How the animation's time, in seconds, compares with the methods', in words."""
    ratio = shown / real if real else 1.0
    if 0.95 < ratio < 1.05:
        return "in real time"
    return f"{ratio:.2g} times slower than real" if ratio > 1 else f"{1 / ratio:.2g} times faster than real"


def figures(snapshot):
    """What a snapshot has cost, in a line."""
    passes = "forward pass" if snapshot.calls == 1 else "forward passes"
    return f"{snapshot.calls} {passes}, {snapshot.seconds:.2f} s"
