"""What a sampler's frames look like: recorded once, then drawn (painter.py), put on a page (page.py) or in a terminal.

A snapshot shows what the method knows at that moment: it depends on a frame and its predecessors alone. A masked newline
is a cell like any other, and ends a line once it is written.
"""

import re
from dataclasses import dataclass, field, replace
from itertools import islice

import torch

from lab.measuring import trials

MASKED = 0
DRAFT = 1
NEW = 2
SETTLED = 3
EMPTY = 4
LEGEND = {
    MASKED: "masked",
    DRAFT: "draft: may be taken back",
    NEW: "written in this pass",
    SETTLED: "underlined: less confident",
}
COLUMNS = 56  # cells in a line
MASK = "░"  # a masked cell, where nothing better can be drawn
SHORTEST, LONGEST, PICTURES = 8.0, 20.0, 240  # of an animation: seconds, seconds, frames at most
CONTROL = "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]"  # never drawn or sent as they are


@dataclass(frozen=True)
class Snapshot:
    """The canvas after a forward pass: the characters (L,), their states, and how confident the method was of them.

    A masked position's character is its likeliest one, or the alphabet's mask symbol where no pass has looked at it.
    """

    calls: int
    seconds: float  # that the sampler had taken
    characters: str
    states: bytes
    confidence: bytes  # probability in ninths, rounded down
    candidates: dict = field(default_factory=dict)  # of this pass: position -> [(character, probability), ...]
    certainty: bytes = b""  # root of the share of a flow's noise that is gone, in ninths; empty without a flow


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
        self.guessed = torch.zeros_like(self.masked)
        self.certainty = None
        self.calls = 0
        self.seconds = 0.0
        self.candidates = {}

    def add(self, frame, seconds):
        """Take up the frame of a pass, which took so many seconds."""
        self.calls += 1
        self.seconds += seconds
        columns = frame.columns[0]
        masked = frame.masked[0]
        new = self.masked & ~masked
        hidden = masked[columns]
        best, likeliest = frame.probs[0].max(-1)
        self.idx = torch.where(masked, self.idx, frame.idx[0]).scatter(0, columns[hidden], likeliest[hidden])
        seen = self.masked[columns] | hidden
        sure = torch.where(hidden, best, frame.confidence[0])
        self.confidence = self.confidence.scatter(0, columns[seen], sure[seen])
        self.guessed = self.guessed.scatter(0, columns, hidden)
        self.masked = masked
        self.states = torch.where(new, NEW, SETTLED).masked_fill(frame.draft[0], DRAFT)
        if frame.certainty is not None:
            self.certainty = torch.zeros_like(self.confidence).scatter(0, columns, frame.certainty[0].sqrt())
        shown = new[columns]
        self.candidates = self.likeliest(columns[shown], frame.probs[0][shown])

    def likeliest(self, positions, probs, count=5):
        """The likeliest characters at some positions (N,) with their probs (N, V)."""
        found = {}
        for position, own in zip(positions.tolist(), probs, strict=True):
            best, tokens = own.topk(min(count, len(self.alphabet)))
            found[position] = list(zip(self.alphabet.decode(tokens), best.tolist(), strict=True))
        return found

    def snapshot(self):
        """What stands there now."""
        characters = self.alphabet.decode(self.idx, self.masked & ~self.guessed)
        states = bytes(self.states.masked_fill(self.masked, self.ahead).tolist())
        certainty = b"" if self.certainty is None else ninths(self.certainty)
        return Snapshot(
            self.calls, self.seconds, characters, states, ninths(self.confidence), self.candidates, certainty
        )


def ninths(shares):
    """Shares (L,) of 1 in few numbers: bytes, rounded down."""
    return bytes((shares * 9).int().tolist())


def snapshots(engine, trial):
    """Write a trial of one text: yields a Snapshot before its first pass, one after each, and one at last, all settled."""
    recorder = Recorder(engine, trial.canvas)
    yield recorder.snapshot()
    for frame, seconds in trials.frames(engine, trial):
        recorder.add(frame, seconds)
        yield recorder.snapshot()
    last = recorder.snapshot()
    yield replace(last, states=bytes([SETTLED] * len(last.states)), candidates={})


def record(engine, trial):
    """Write a trial of one text -> Film."""
    return Film(engine.method.title, list(snapshots(engine, trial)))


def visible(text):
    """Text with a sign in place of each control character but the newline: what reaches no screen as it is."""
    return re.sub(CONTROL, "\ufffd", text.replace("\t", "→"))


def glyphs(snapshot):
    """What each cell shows: a character, a sign for a control character, MASK, or a space where it is blank."""
    instead = {MASKED: MASK, EMPTY: " "}
    cells = zip(visible(snapshot.characters), snapshot.states, strict=True)
    return "".join(instead.get(state, character) for character, state in cells)


def rows(text, width):
    """Glyphs in lines of at most `width`, which join to the text: a newline stays at the end of its line, beyond the last column.

    A word that does not fit goes to the next line where it is known from its first character on; masks are filled up.
    """
    made = []
    row = ""
    for character in text:
        if len(row) >= width and character != "\n":
            word = re.search(f"(?<= )[^ {MASK}]+$", row) if character not in (" ", MASK) else None
            made.append(row[: word.start()] if word else row)
            row = row[len(made[-1]) :]
        row += character
        if character == "\n":
            made.append(row)
            row = ""
    return [*made, row] if row else made


def lines(snapshot, width):
    """A snapshot in lines of at most `width` cells: [[(glyph, state, confidence, certainty), ...], ...]."""
    text = glyphs(snapshot)
    certainty = snapshot.certainty or bytes(len(text))
    cells = zip(text, snapshot.states, snapshot.confidence, certainty, strict=True)
    return [list(islice(cells, len(row))) for row in rows(text, width)]


def used(films):
    """The states that some films have, of those that LEGEND explains."""
    states = set().union(*(snapshot.states for film in films for snapshot in film.snapshots))
    return sorted(states & LEGEND.keys())


def timeline(films, fps):
    """The animation: its moments, each a snapshot of every film; the seconds for which each is shown; its pace in words.

    There are at most PICTURES moments, LONGEST seconds in all. GIF times are hundredths of a second, so all are.
    """
    real = duration(films)[0]
    moments, lasts = by_pass(films[0], fps) if len(films) == 1 else by_clock(films, fps)
    lasts = max(2, min(round(100 * lasts), int(100 * LONGEST / len(moments)))) / 100
    return moments, lasts, pace(real, lasts * len(moments))


def by_pass(film, fps):
    """A moment for each pass of a film -> [a snapshot of it, ...], seconds that each lasts."""
    last = len(film.snapshots) - 1
    count = min(PICTURES, last + 1)
    chosen = [film.snapshots[k * last // max(1, count - 1)] for k in range(count)]
    return [(snapshot,) for snapshot in chosen], 1 / fps


def by_clock(films, fps):
    """Moments of one clock of several films, likewise; what took less than SHORTEST is slowed down to it."""
    real, shown = duration(films)
    count = min(PICTURES, 1 + int(shown * fps))
    clocks = [real * (k / (count - 1)) for k in range(count)]
    return [[film.at(clock) for film in films] for clock in clocks], shown / count


def duration(films):
    """Seconds of the methods' clock until the last film ends, and seconds that an animation on that clock takes."""
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
