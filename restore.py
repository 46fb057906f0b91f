"""Restore a damaged text: write its missing characters, each with its probability and what else it might be.

    uv run restore.py damaged.txt --output restored.txt
    uv run restore.py damaged.txt --output restored.txt --weights my_weights.pt --mask "?" --keep-below 0.5

Each mask sign of the text stands for one missing character. Characters that the model does not know stay as they are, and the
model sees masks in their place. OUTPUT.json lists every missing character.
"""

import bisect
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import lab.start  # noqa: F401 (before PyTorch)

import torch
from tyro.conf import Positional

import methods
from lab import cli
from lab.cli import check, check_range
from lab.decoding.canvas import Canvas
from lab.decoding.sampling import probabilities
from lab.files import check_place, reading
from lab.measuring import records
from lab.measuring.trials import Trial, frames
from lab.model import checkpoint
from lab.progress import Bar


@dataclass(frozen=True)
class Args:
    damaged: Positional[Path]  # UTF-8 text with mask signs
    output: Path  # where the restored text goes; what is said of each character goes to OUTPUT.json
    weights: Path = checkpoint.default_path("diffusion")  # of a masked model
    mask: str = "_"  # the sign of one missing character
    keep_below: float = 0.0  # what is less probable than this stays masked
    spacing: int = 8  # characters written in one pass lie more than this apart; 0: anywhere

    def __post_init__(self):
        check(len(self.mask) == 1, f"--mask {self.mask!r}: give one character")
        check_range(self, 0, 1, "keep_below")


@torch.inference_mode()
def first_looks(model, idx, masked):
    """Probabilities (V,) of each masked position of a text by its position, given the known text alone.

    idx: (L,) tokens, vocab_size where not known; masked: (L,) bool. Windows overlap by half, the last one by more: but for
    the first, each tells of the positions behind its first quarter, and the later one counts.
    """
    size = model.config.block_size
    looks = {}
    for start in range(0, len(idx), (size + 1) // 2):
        start = min(start, max(0, len(idx) - size))
        first = start + size // 4 if start else 0
        places = first + masked[first : start + size].nonzero()[:, 0]
        if len(places):
            probs = probabilities(model(idx[None, start : start + size]), temp=1)[0]
            looks |= zip(places.tolist(), probs[places - start], strict=True)
    return looks


def restore(engine, text, mask, decoding):
    """The likeliest characters for the mask signs of a text of any length.

    Yields (position, [(character, probability), ...]): the character written, then the likeliest five at the first look. All
    probabilities are those of the first look, given the known text alone: later ones take for certain what was written.
    """
    known = engine.alphabet.characters
    token = {character: i for i, character in enumerate(known)}
    hidden = len(known)
    masked = torch.tensor([character == mask for character in text])
    idx = torch.tensor([hidden if character == mask else token.get(character, hidden) for character in text])
    looks = first_looks(engine.model, idx, masked)
    canvas = Canvas(idx, masked).repeat(1)
    with Bar("restoring", int(masked.sum()), unit="characters") as bar:
        for frame, _ in frames(engine, Trial(canvas, decoding, (0,))):
            bar.show(int((masked & ~frame.masked).sum()))
    for position, probs in looks.items():
        best = [frame.idx[0, position], *probs.topk(min(5, hidden)).indices]
        yield position, [(known[i], probs[i].item()) for i in best]


def main(args):
    """Restore the text; write it, and what is said of each character."""
    with reading(args.damaged):
        text = args.damaged.read_bytes().decode("utf-8-sig")  # line ends stay as they are
    check(args.mask in text, f"{args.damaged}: has no {args.mask!r}; name the sign of a missing character with --mask")
    about = Path(f"{args.output}.json")
    for path in (args.output, about):
        same = path.exists() and path.samefile(args.damaged)
        check(not same, f"--output {args.output}: {path} is the damaged text; name another file")
        check_place(path)
    engine = methods.load(path=args.weights)
    check(
        engine.method.is_masked,
        f"{args.weights}: {engine.method.title} cannot tell what is behind a mask; name weights of a masked model",
    )
    decoding = replace(engine.method.decoding, temp=1.0, cool_to=1.0, top_k=1, spacing=args.spacing)
    characters = list(text)
    rows = []
    starts = [0, *(end.end() for end in re.finditer("\n", text))]  # of the lines
    for position, ((character, probability), *best) in restore(engine, text, args.mask, decoding):
        line = bisect.bisect(starts, position)
        is_restored = probability >= args.keep_below
        if is_restored:
            characters[position] = character
        row = {
            "line": line,
            "column": position - starts[line - 1] + 1,
            "character": character,
            "probability": probability,
            "is_restored": is_restored,
            "likeliest": best,
        }
        rows.append(row)
    records.write_text(args.output, "".join(characters))
    records.write_json(about, records.stamp(args) | {"rows": rows})
    sure = [row["probability"] for row in rows if row["is_restored"]]
    print(f"{args.output}: {len(sure):,} of {len(rows):,} characters restored, {sum(sure):,.0f} should be right")


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
