"""What a sampler's frames look like: recorded once, then drawn (painter.py), put on a page (page.py) or in a terminal.

A picture shows what the method knows at that moment: it depends on a frame and its predecessors alone. A masked newline
is a cell like any other, and ends a line once it is written.
"""

import re
from dataclasses import dataclass, field, replace
from itertools import groupby

import torch

from lab import trials

MASKED, DRAFT, NEW, SETTLED, EMPTY = 0, 1, 2, 3, 4
LEGEND = {
    MASKED: "masked",
    DRAFT: "draft: may be taken back",
    NEW: "written in this call",
    SETTLED: "underlined: less confident",
}
COLUMNS = 56  # cells in a line
MASK = "░"  # a masked cell, where nothing better can be drawn
SHORTEST, LONGEST, PICTURES = 8.0, 20.0, 240  # of an animation: seconds, seconds, pictures at most
CONTROL = "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]"  # never drawn or sent as they are


@dataclass(frozen=True)
class Still:
    """The canvas after a call: the characters (L,), their states, and how confident the method was when it wrote them.

    A masked position's character is the alphabet's mask symbol.
    """

    calls: int
    seconds: float  # that the sampler had taken
    characters: str
    states: bytes
    confidence: bytes  # probability in ninths, rounded down
    candidates: dict = field(default_factory=dict)  # of this call: position -> [(character, probability), ...]


@dataclass(frozen=True)
class Film:
    """The stills of one text. note: what there is to say below its title."""

    title: str
    stills: list
    note: str = ""

    def at(self, seconds):
        """The still that stands at a time."""
        return next(still for still in reversed(self.stills) if still.seconds <= seconds)


@dataclass(frozen=True)
class Picture:
    """A moment of an animation: a still of each film side by side, the methods' clock, how long it is shown (seconds)."""

    stills: tuple
    clock: float
    lasts: float


def record(engine, trial):
    """Drain a trial of one text -> Film."""
    return Film(engine.method.title, list(stills(engine, trial)))


def stills(engine, trial):
    """Write a trial of one text: yields a Still before its first call, one after each, and one at last, all settled.

    A causal model has no masks: what it has not written is empty paper. The clock runs round the sampler alone.
    """
    idx, masked, alphabet = trial.canvas.idx[0], trial.canvas.masked[0], engine.alphabet
    states, ahead = torch.full(idx.shape, SETTLED), EMPTY if engine.method.is_causal else MASKED
    calls, spent, confidence, candidates = 0, 0.0, torch.ones(len(idx), dtype=torch.float64), {}

    def still():
        shades, shown = (confidence * 9).int().tolist(), states.masked_fill(masked, ahead).tolist()
        return Still(calls, spent, alphabet.decode(idx, masked), bytes(shown), bytes(shades), candidates)

    yield still()
    for frame, took in trials.frames(engine, trial):
        calls, spent = calls + 1, spent + took
        columns, fresh, idx = frame.columns[0], masked & ~frame.masked[0], frame.idx[0]
        written = confidence.scatter(0, columns, frame.confidence[0])
        confidence, masked = torch.where(fresh, written, confidence), frame.masked[0]
        states = torch.where(fresh, NEW, SETTLED).masked_fill(frame.draft[0], DRAFT)
        candidates = likeliest(frame, fresh, alphabet)
        yield still()
    yield replace(still(), states=bytes([SETTLED] * len(idx)), candidates={})


def likeliest(frame, fresh, alphabet, count=5):
    """The likeliest characters at each position that a call wrote: {position: [(character, probability), ...]}."""
    seen = fresh[frame.columns[0]]
    best, tokens = frame.probs[0][seen].topk(min(count, len(alphabet)))
    rows = [list(zip(alphabet.decode(t), b.tolist(), strict=True)) for t, b in zip(tokens, best, strict=True)]
    return dict(zip(frame.columns[0][seen].tolist(), rows, strict=True))


def visible(text):
    """Text with a sign in place of each control character but the newline: what reaches no screen as it is."""
    text = text.replace("\t", "→")
    return re.sub(CONTROL, lambda m: chr(0x2400 + ord(m[0])) if m[0] < " " else "\ufffd", text)


def signs(still):
    """What each cell shows: a character, a sign for a control character, MASK, or a space on empty paper."""
    known = zip(visible(still.characters), still.states, strict=True)
    return "".join({MASKED: MASK, EMPTY: " "}.get(state, character) for character, state in known)


def rows(text, width):
    """Signs in lines of at most `width`, which join to the text: a newline stays at the end of its line, beyond the last column.

    A word that does not fit goes to the next line where it is known from its first character on; masks are filled up.
    """
    made, row = [], ""
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


def timeline(films, fps):
    """The animation: a list of Pictures, at most PICTURES of them and LONGEST seconds in all.

    One film: a picture for each call. Several: one clock; what took less than SHORTEST is slowed down to it. GIF times are
    hundredths of a second, so all are.
    """
    (real, shown), step = duration(films), max(2, round(100 / fps))
    count = min(PICTURES, len(films[0].stills) if len(films) == 1 else 1 + int(100 * shown / step))
    step = min(step if len(films) == 1 else round(100 * shown / count), int(100 * LONGEST / count))
    moments = [real * k / max(1, count - 1) for k in range(count)]
    if len(films) == 1:
        made = films[0].stills
        chosen = [made[round(k * (len(made) - 1) / max(1, count - 1))] for k in range(count)]
        sides = [((still,), still.seconds) for still in chosen]
    else:
        sides = [(tuple(film.at(moment) for film in films), moment) for moment in moments]
    groups = [list(group) for _, group in groupby(sides, key=lambda side: side[0])]
    return [Picture(*group[0], len(group) * step / 100) for group in groups]


def duration(films):
    """Seconds of the methods' clock until the last film ends, and seconds that an animation on that clock takes."""
    real = max(film.stills[-1].seconds for film in films)
    return real, min(max(real, SHORTEST), LONGEST)


def pace(pictures, say=str):
    """How the animation's time compares with the methods', in words."""
    shown, real = sum(picture.lasts for picture in pictures), pictures[-1].clock
    ratio = shown / real if real else 1.0
    if 0.95 < ratio < 1.05:
        return say("in real time")
    slower, faster = say("{:.2g} times slower than real"), say("{:.2g} times faster than real")
    return slower.format(ratio) if ratio > 1 else faster.format(1 / ratio)


def figures(still, say=str):
    """What a still has cost, in a line."""
    return f"{still.calls}{say(' calls, ' if still.calls != 1 else ' call, ')}{still.seconds:.2f}{say(' s')}"
