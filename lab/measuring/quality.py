"""Text -> numbers. Each is to be read as a distance to what held-out real text of the same size scores.

No single number ranks texts: repetition has a low generative NLL, random characters a high entropy, a copied passage both at
their best. `distance`, by which we order settings, is one that none of these can win.
"""

import functools
import itertools
import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas
import torch
from scipy.special import entr

from lab.cli import UserError, check
from lab.model import likelihood
from lab.model.corpus import Alphabet, Corpus
from lab.progress import note

COPIED = 32  # characters in a row that make a copy
REPEATED = 16  # characters in a row that make a repetition
SEARCHED = 4_000_000  # characters of the training text that are searched for copies
TEXT_MEASURES = {  # of each text: what it cost, then what it is like; their units
    "nfe": "forward passes",
    "full_passes": "full passes",
    "chars_per_call": "characters per forward pass",
    "seconds": "s",
    "generative_nll": "nats per character",
    "real_words": "",
    "distinct_2": "",
    "repetition": "",
    "copied_share": "",
}
SET_MEASURES = {"trigram_entropy": "bits", "jsd_4": "bits", "distance": ""}  # of texts taken together


@dataclass(frozen=True)
class Reference:
    """The real text that samples are measured against, and an independent evaluator model.

    train: where copies and words are looked up; known: half of the held-out text, whose n-grams are the target; real:
    the other half, which is measured beside the samples; corpus: name and digest of the text.
    """

    train: str
    known: str
    real: str
    words: frozenset
    alphabet: Alphabet
    corpus: str = ""
    evaluator: object = None  # an Engine

    @classmethod
    def of_data(cls, path, rows=()):
        """From a text file (None: data.txt), without an evaluator model; None, with a note, when data.txt cannot be had.

        Raises UserError when it lacks characters of the rows: another text.
        """
        try:
            corpus = Corpus(path)
        except UserError as error:
            if path is not None:
                raise
            note(f"{error}. Until then the measures that need it stay empty.")
            return None
        strange = sorted(set().union(*(row["text"] for row in rows)) - set(corpus.alphabet.characters))
        other = f"{corpus.path}: lacks characters of these texts ({strange[:5]}); give the text that they follow with --data"
        check(not strange, other)
        parts = corpus.train[:SEARCHED], corpus.validation, corpus.test
        train, known, real = map(corpus.alphabet.decode, parts)
        label = f"{corpus.path.name} sha256 {corpus.sha256[:12]}"
        return cls(train, known, real, frozenset(words_of(train)), corpus.alphabet, label)

    def cut(self, count, prompt_len, chars):
        """Held-out text cut as samples are: at most `count` rows, spread evenly, none overlapping."""
        size = prompt_len + chars
        most = min(count, len(self.real) // size)
        starts = np.linspace(0, len(self.real) - size, most).astype(int)
        pieces = [self.real[s : s + size] for s in starts]
        return [{"prompt": p[:prompt_len], "seed": 0, "text": p, "chars": chars} for p in pieces]


def words_of(text):
    """Runs of letters, in lower case."""
    return re.findall(r"[^\W\d_]+", text.lower())


def measure(rows, reference):
    """Rows with the measures of their own text added, as `records.Row` defines them; the prompt is not measured."""
    evaluator = reference.evaluator if reference else None
    measured = []
    for row in rows:
        text = row["text"]
        new = text[-row["chars"] :]
        found = {
            "generative_nll": generative_nll(text, evaluator, len(text) - len(new)),
            "real_words": real_words(new, reference),
            "distinct_2": distinct_pairs(new),
            "repetition": repetition(new),
            "copied_share": copied_share(new, reference.train) if reference else None,
        }
        measured.append(row | found)
    return measured


@torch.no_grad()
def generative_nll(text, evaluator, skip):
    """Nats per character under the evaluator, with half a window of text before each scored character where there is one.

    evaluator: an Engine; skip: characters at the head of the text that are not scored. None without an evaluator, or for
    characters that it lacks.
    """
    if not evaluator or set(text) - set(evaluator.alphabet.characters):
        return None
    idx = evaluator.alphabet.encode(text)
    size = evaluator.model.config.block_size
    nll = torch.zeros(len(idx) - 1)  # of each character but the first
    starts = range(0, max(1, len(nll) - size // 2), size // 2)
    for start in reversed(starts):  # where windows overlap the earlier one counts, in which more text stands before
        window = idx[None, start : start + size + 1]
        nll[start : start + size] = likelihood.next_losses(evaluator.model, window)[0]
    return nll[max(0, skip - 1) :].mean().item()


def real_words(text, reference):
    """Share of words that the training text has; None where a script has no spaces."""
    words = words_of(text)
    if not reference or not words or text.count(" ") < len(text) / 30:
        return None
    return np.mean([word in reference.words for word in words]).item()


def distinct_pairs(text):
    """Different pairs of words by all pairs; None when there is none."""
    pairs = list(itertools.pairwise(words_of(text)))
    return len(set(pairs)) / len(pairs) if pairs else None


def share_within(n, is_known):
    """Share of characters that lie in an n-gram of which is_known is true, one for each n-gram of a text."""
    if not any(is_known):
        return 0.0
    inside = np.convolve(is_known, np.ones(n)) > 0
    return float(inside.mean())


def repetition(text, n=REPEATED):
    """Share of characters that lie in an n-gram which began earlier in the text."""
    return share_within(n, pandas.Series(grams(text, n)).duplicated())


def copied_share(text, source, n=COPIED):
    """Share of characters that lie in runs of n or more that stand in `source`."""
    known = hashed(source, n)
    return share_within(n, [hash(gram) in known for gram in grams(text, n)])


@functools.lru_cache(maxsize=2)
def hashed(text, n):
    """The hashes of a text's n-grams, which need less room than those (cached)."""
    return {hash(text[i : i + n]) for i in range(len(text) - n + 1)}


def entropy(counts):
    """Entropy in bits of the distributions proportional to counts (..., K)."""
    p = counts / counts.sum(-1, keepdims=True)
    return entr(p).sum(-1) / np.log(2)


def pooled(groups, weights, reference):
    """Measures of groups of rows taken together: arrays (...) by name.

    weights: (..., groups), how often each group counts. trigram_entropy: bits; jsd_4: Jensen-Shannon divergence from
    held-out text, 0..1 bit; distance: jsd_4 plus the share of copied text beyond real text's own, a sum of two quantities
    and so without a unit. With fewer characters entropy reads lower and divergence higher: compare equal sizes only.
    """
    from scipy.spatial.distance import jensenshannon  # not at the top: it takes .3 seconds

    trigrams = ngram_table(groups, 3)
    fourgrams = ngram_table(groups, 4)
    known = counted(reference.known, 4)
    target = [known[gram] for gram in fourgrams]
    # What no group has is one column: what it adds to a divergence depends on its sum alone.
    target.append(known.total() - sum(target))
    written = weights @ fourgrams.assign(others=0).to_numpy()
    jsd = jensenshannon(written, np.array(target), base=2, axis=-1) ** 2
    copied = weights @ [np.mean([row["copied_share"] or 0 for row in group]) for group in groups] / weights.sum(-1)
    excess = np.maximum(0, copied - copied_share(reference.real[:2000], reference.train))
    return {"trigram_entropy": entropy(weights @ trigrams.to_numpy()), "jsd_4": jsd, "distance": jsd + excess}


def ngram_table(groups, n):
    """How often each group of rows has each n-gram that one of them has: a table (groups, n-grams)."""
    texts = [[row["text"][-row["chars"] :] for row in group] for group in groups]
    return pandas.DataFrame([Counter(gram for text in group for gram in grams(text, n)) for group in texts]).fillna(0)


@functools.lru_cache(maxsize=4)
def counted(text, n):
    """How often each n-gram occurs in a text (cached)."""
    return Counter(grams(text, n))


def grams(text, n):
    """The n-grams of a text, in order."""
    return [text[i : i + n] for i in range(len(text) - n + 1)]
