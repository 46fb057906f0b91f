"""A text file as numbers: its alphabet, its two parts, its windows.

The text is read in blocks and kept on disk, memory-mapped: a corpus of several gigabytes needs no more memory
than a small one. The first 90 % is for training; choices are made on the validation split of the rest, figures are
reported on the test split.
"""

import functools
import hashlib
import http.client
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lab.cli import ROOT, UserError, check, say
from lab.files import atomic, reading

URL = "https://github.com/nathan-barry/tiny-diffusion/releases/download/v2.0.0/data.txt"
SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
DEFAULT = ROOT / "data.txt"
BLOCK = 1 << 22  # bytes, or characters, read at once
MASK_SYMBOLS = "_#~@░□◌¤\ufffd"  # of "no character yet": the first that the text lacks


@dataclass(frozen=True)
class Alphabet:
    """The characters that a model knows, in order: characters[i] is the character of token i."""

    characters: str

    @functools.cached_property
    def mask(self):
        """The symbol that stands for a masked position in prompts and pictures: the first that is no character."""
        symbols = (*MASK_SYMBOLS, *map(chr, range(0xE000, 0xF900)))  # the last ones: of private use
        return next(symbol for symbol in symbols if symbol not in self.characters)

    def __len__(self):
        return len(self.characters)

    def encode(self, text):
        """Text -> tokens (len(text),) long. Raises UserError that lists the characters outside the alphabet."""
        token = {character: i for i, character in enumerate(self.characters)}
        unknown = sorted(set(text) - token.keys())
        hint = "--infill fills masked characters. " if self.mask in unknown else ""
        few, known = "".join(unknown[:20]), self.characters[:100]
        check(not unknown, f"characters that the model does not know: {few!r}. {hint}It knows: {known!r}")
        return torch.tensor([token[character] for character in text], dtype=torch.long)

    def encode_masked(self, text):
        """Text with mask symbols -> tokens (len(text),) and where they are masked (len(text),) bool. Raises UserError."""
        masked = torch.tensor([character == self.mask for character in text], dtype=torch.bool)
        check(masked.any(), f"nothing to fill in: mark each missing character by {self.mask}")
        return self.encode(text.replace(self.mask, self.characters[0])), masked

    def decode(self, idx, masked=None):
        """Tokens (L,) -> text; masked (L,) positions are shown as the mask symbol."""
        masks = [False] * len(idx) if masked is None else masked.tolist()
        return "".join(self.mask if m else self.characters[i] for i, m in zip(idx.tolist(), masks, strict=True))


def fetch():
    """Download the default corpus to data.txt, checked and atomically. Raises UserError when it cannot be had."""
    say(f"{DEFAULT.name} is missing; downloading {URL}")
    try:
        torch.hub.download_url_to_file(URL, str(DEFAULT), hash_prefix=SHA256)
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        raise UserError(
            f"{DEFAULT.name}: no such file, and it could not be downloaded from {URL} ({error}). "
            f"Put it there by hand as {DEFAULT}, or name another UTF-8 text: --data any.txt"
        ) from error


class Corpus:
    """A UTF-8 text file, encoded.

    alphabet: its characters; ids: (n,) memory-mapped tokens; sha256: of the file, for provenance.
    train: the first 90 %; validation and test: the two halves of the rest, held_out.
    """

    def __init__(self, path=None):
        """path: any UTF-8 text; None is data.txt, downloaded when missing. Raises UserError."""
        if path is None and not DEFAULT.exists():
            fetch()
        self.path = Path(path or DEFAULT)
        with reading(self.path, "name a UTF-8 text: --data any.txt"):
            characters, self.ids, self.sha256 = encode_once(self.path)
        self.alphabet = Alphabet(characters)
        n = len(self.ids)
        first = int(0.9 * n)
        half = (n + first) // 2
        self.train, self.validation, self.test = np.split(self.ids, (first, half))
        self.held_out = self.ids[first:]

    def require(self, length):
        """Raise UserError unless every part holds a window of `length` characters: the smallest are a twentieth."""
        few = f"{self.path}: {len(self.ids):,} characters, and windows of {length} need {20 * length:,}; "
        few += "give a longer text or a smaller --block-size"
        check(len(self.ids) >= 20 * length, few)

    def opening(self, length):
        """The first `length` characters of the text."""
        return self.alphabet.decode(self.ids[:length])

    def batch(self, rows, length, rng):
        """Random windows of the training part: (rows, length) long."""
        starts = rng.randint(len(self.train) - length + 1, rows).tolist()
        return torch.stack([tokens(self.train[i : i + length]) for i in starts])


def tokens(ids):
    """A piece of a memory map as a tensor of longs."""
    return torch.from_numpy(ids.astype(np.int64))


def windows(part, length, every=None, most=None):
    """Consecutive windows of a part: (n, length) long.

    They start `every` length - 1 characters unless told otherwise, so that each character but the first is once
    the next one to predict; evenly spread when there are more than `most`. The part must hold one, see `require`.
    """
    starts = np.arange(0, len(part) - length + 1, every or length - 1)
    if most is not None and len(starts) > most:
        starts = starts[np.linspace(0, len(starts) - 1, most).astype(int)]
    return torch.stack([tokens(part[i : i + length]) for i in starts])


def encode_once(path):
    """A text's characters, memory-mapped tokens and SHA-256, encoded when the cache has it not.

    The cache goes by the hash of the whole file, so that no change is missed: about a second per gigabyte.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while raw := file.read(BLOCK):
            digest.update(raw)
    folder = ROOT / ".cache" / digest.hexdigest()
    listed = folder / "characters.txt"
    if not listed.exists():
        encode(path, folder)
    characters = listed.read_bytes().decode()
    ids = np.memmap(folder / "ids.bin", token_type(characters), "r")
    return characters, ids, digest.hexdigest()


def token_type(characters):
    """The smallest type of number, one to four bytes, that counts these characters."""
    return np.min_scalar_type(len(characters) - 1)


def encode(path, folder):
    """Write the tokens of a text to folder/ids.bin, block after block, then its characters to characters.txt."""
    seen = np.zeros(0x110000, dtype=bool)
    for codes in blocks(path):
        seen[codes] = True
    check(seen.any(), f"{path}: the file is empty. Name a UTF-8 text: --data any.txt")
    characters = np.flatnonzero(seen)
    table = np.zeros(0x110000, token_type(characters))
    table[characters] = np.arange(len(characters))
    with atomic(folder / "ids.bin") as file:  # not through a memory map: a full disk would kill the process
        for codes in blocks(path):
            file.write(table[codes].tobytes())
    with atomic(folder / "characters.txt") as file:  # last: its presence means that all is there
        file.write("".join(map(chr, characters)).encode())


def blocks(path):
    """The code points (n,) uint32 of a UTF-8 file, block after block; a byte order mark is left out, line ends are \\n."""
    with open(path, encoding="utf-8-sig") as file:
        while text := file.read(BLOCK):
            yield np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
