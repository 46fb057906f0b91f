"""Measures of text, against counts made by hand; and none of four kinds of bad text may beat real text."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gpt import METHOD as gpt
from lab.measuring import quality, stats, trials
from lab.measuring.quality import Reference, pooled
from lab.model.corpus import Alphabet


def row(text, prompt="", seed=0):
    return {"text": prompt + text, "chars": len(text), "prompt": prompt, "seed": seed, "nfe": 1}


def test_words_are_runs_of_characters():
    assert quality.words_of("O, 'tis Née 3x!") == ["o", "tis", "née", "x"]


def test_distinct_pairs():
    assert quality.distinct_pairs("a b, a b") == 2 / 3
    assert quality.distinct_pairs("a") is None


def test_repetition_counts_characters_of_a_run_seen_before():
    assert quality.repetition("abcdef", 3) == 0
    assert quality.repetition("abcXabcY", 3) == 3 / 8
    assert quality.repetition("aaaaaa", 3) == 5 / 6


def test_copies_are_the_share_in_runs_that_are_long_enough():
    assert quality.copied_share("xxabcdyybcz", "abcdefbc", 3) == 4 / 11
    assert quality.copied_share("zzz", "abc", 3) == 0.0
    assert quality.copied_share("abc", "abc", 3) == 1.0
    assert quality.copied_share("abc", "ab", 3) == 0.0


@given(st.text("ab", min_size=1, max_size=30), st.text("ab", max_size=60), st.integers(1, 5))
def test_copies_are_those_that_a_plain_search_finds(text, source, n):
    starts = [i for i in range(len(text) - n + 1) if text[i : i + n] in source]
    inside = {j for i in starts for j in range(i, i + n)}
    assert quality.copied_share(text, source, n) == len(inside) / len(text)


def test_entropy_and_divergence_of_known_distributions():
    assert quality.entropy(np.array([1.0, 1, 1, 1])) == pytest.approx(2)
    assert quality.entropy(np.array([5.0, 0])) == pytest.approx(0)
    # p = (1, 0), r = (1/2, 1/2): H(3/4, 1/4) - 1/2; p = (1, 0, 0), r = (1/4, 1/4, 1/2): H(5/8, 1/8, 1/4) - 3/4
    texts = {("aaaa", "bbbb"): 1, ("aaaa", "aaaa"): 0, ("aaaa", "aaaab"): 0.811278 - 0.5}
    texts["aaaaa", "aaaabcd"] = 1.298795 - 0.75
    for (text, known), expected in texts.items():
        reference = Reference("", known, "", frozenset(), Alphabet("abcd"))
        figures = pooled([[row(text) | {"copied_share": 0.0}]], np.ones(1), reference)
        assert figures["jsd_4"] == pytest.approx(expected, abs=1e-6)


@pytest.fixture
def reference(own_root):
    """Nonsense with words, lines and a style: enough for n-grams."""
    rng = random.Random(1)
    words = ["".join(rng.choices("etaoinshrdlu", k=rng.randint(2, 8))) for _ in range(300)]
    weights = [1 / (i + 1) for i in range(300)]
    text = "\n".join(" ".join(rng.choices(words, weights, k=8)) for _ in range(2500))
    (own_root / "words.txt").write_text(text, encoding="utf-8")
    return Reference.of_data(own_root / "words.txt")


def bad_texts(reference, size):
    rng = random.Random(2)
    characters = reference.alphabet.characters
    shuffled = list(reference.real[:size])
    rng.shuffle(shuffled)
    start = len(reference.train) // 3
    sentence = reference.real[:60]
    return {
        "uniform": "".join(rng.choices(characters, k=size)),
        "shuffled": "".join(shuffled),
        "repeated": (sentence * size)[:size],
        "copied": reference.train[start : start + size],
    }


@pytest.mark.parametrize("kind", ["uniform", "shuffled", "repeated", "copied"])
def test_bad_text_loses_to_held_out_text_in_the_ranking_and_on_its_own_measure(reference, kind):
    rows = reference.cut(8, 0, 500)
    real = quality.measure([r | {"prompt": str(i)} for i, r in enumerate(rows)], reference)
    text = bad_texts(reference, 4000)[kind]
    bad = quality.measure([row(text[i : i + 500]) | {"prompt": str(i // 500)} for i in range(0, 4000, 500)], reference)
    good, found = stats.summarise(real, reference), stats.summarise(bad, reference)
    assert found["distance"]["mean"] > good["distance"]["mean"] + 0.05
    caught = {"uniform": "jsd_4", "shuffled": "jsd_4", "repeated": "repetition", "copied": "copied_share"}[kind]
    assert found[caught]["mean"] > good[caught]["mean"] + 0.05
    points = [{"name": "real", "speed": 1, "distance": good["distance"]["mean"]}]
    points += [{"name": kind, "speed": 1, "distance": found["distance"]["mean"]}]
    assert [p["name"] for p in stats.pareto(points, {"speed": 1, "distance": -1})] == ["real"]


def test_real_words_and_scripts_without_spaces(reference):
    known = min(reference.words)
    assert quality.real_words(f"{known} qqqqqqq {known} {known}", reference) == 0.75
    assert quality.real_words("天，地。\n" * 100, reference) is None
    assert quality.real_words("some words", None) is quality.real_words("1 2 3", reference) is None


@pytest.mark.parametrize("size", [2, 8])
def test_the_judge_scores_every_character_after_the_prompt_with_context(reference, size):
    alphabet = Alphabet("abc ")
    config = gpt.Config(vocab_size=4, block_size=size, n_layer=1, n_head=2, n_embd=16)
    torch.manual_seed(0)
    model = gpt.Model(config).eval()
    torch.nn.init.normal_(model.lm_head.weight)
    evaluator = trials.Engine(gpt, model, alphabet, "abc")
    judged = Reference("", "", "", frozenset(), alphabet, evaluator=evaluator)
    text = "abc abca cab bca a"
    idx, nll = alphabet.encode(text), []
    for i in range(3, len(text)):
        half = size // 2
        start = 0 if i <= size else (i - 1 - size + half) // half * half
        logits = model(idx[None, start:i])[0, -1]
        nll.append(torch.nn.functional.cross_entropy(logits, idx[i]).item())
    assert quality.generative_nll(text, judged.evaluator, 3) == pytest.approx(np.mean(nll), rel=1e-4)
    assert quality.generative_nll("xyz", judged.evaluator, 0) is None
    assert np.isfinite(quality.generative_nll("ab", judged.evaluator, 1))  # shorter than a window
    passes = []
    model.register_forward_hook(lambda *_: passes.append(1))
    quality.generative_nll("a" * (2 * size + 1), judged.evaluator, 1)
    assert len(passes) == 3  # windows that overlap by half, and none that another one covers


class Even(torch.nn.Module):
    """Every character is as likely as any other."""

    def __init__(self, vocab_size):
        super().__init__()
        self.config = gpt.Config(vocab_size=vocab_size, block_size=8)

    def forward(self, idx):
        return torch.zeros(*idx.shape, self.config.vocab_size)


def test_a_known_text_has_the_measures_that_its_columns_name():
    train = "the quick brown fox jumps over the lazy dog and sleeps beside a river"
    start, again = "the quick brown fox jumps over the lazy ", "the quick brown fox jumps "
    text, alphabet = f"{start}horse; {again}too", Alphabet("abcdefghijklmnopqrstuvwxyz ;")
    evaluator = trials.Engine(gpt, Even(len(alphabet)), alphabet, "")
    reference = Reference(train, "", "", frozenset(train.split()), alphabet, evaluator=evaluator)
    (found,) = quality.measure([row(text, prompt="zebra zebra zebra zebra ")], reference)
    assert {name: found[name] for name in [*quality.TEXT_MEASURES][4:]} == pytest.approx(
        {
            "generative_nll": np.log(len(alphabet)),
            "real_words": 13 / 15,  # all but horse and too
            "distinct_2": 10 / 14,  # four pairs stand twice
            "repetition": len(again) / len(text),
            "copied_share": len(start) / len(text),  # the second run is shorter than 32
        }
    )


def test_distance_counts_copies_beyond_those_of_real_text():
    train, rng = "".join(chr(97 + i * i % 23) for i in range(400)), random.Random(0)
    real = train[100:300] + "".join(rng.choices("xyz", k=200))  # half of it stands in the training text
    reference = Reference(train, real, real, frozenset(), Alphabet("x"))
    for copied, excess in ((0.2, 0), (0.5, 0), (0.75, 0.25)):
        figures = pooled([[row("xyzz" * 9) | {"copied_share": copied}]], np.ones(1), reference)
        assert figures["distance"] - figures["jsd_4"] == pytest.approx(excess)


def test_pool_weights_groups(reference):
    groups = [[row("abab", str(i)) | {"copied_share": 0.0}] for i in range(2)] + [[row("zzzz") | {"copied_share": 1.0}]]
    alone = pooled(groups[:2], np.ones(2), reference)
    assert pooled(groups, np.array([1.0, 1, 0]), reference)["trigram_entropy"] == pytest.approx(
        alone["trigram_entropy"]
    )
    assert pooled(groups, np.array([[1.0, 1, 0], [0, 0, 1]]), reference)["distance"].shape == (2,)
