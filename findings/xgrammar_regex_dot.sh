#!/usr/bin/env bash
# One regular expression, three engines of constrained decoding, three sets of characters.
#
# Guess:   `.+` is one line of text and `\w` a letter of any language, as in Python's re, and the engines that mask
#          logits by a regular expression agree.
# Seen:    XGrammar's `.` admits the newline, so `.+` is no single line, and its `\w` admits ASCII only: a vocabulary of
#          characters loses each accented letter and all Chinese. outlines-core and llguidance have Python's sets.
#          `[[:alpha:]]` is a class of letters in those two and the six characters ":[alph" in XGrammar. A model is
#          measured on what the mask leaves it: name the characters in full.
# Package: xgrammar 0.2.9, outlines-core 0.2.14, llguidance 1.9.1
# Where:   compiled (xgrammar: cpp/regex_converter.cc)
# Date:    2026-11-28
# Output:
#   of "a", "Z", "7", "_", ":", " ", newline, "é", "中" the first character may be
#   regex            re   XGrammar   outlines-core   llguidance
#   .+                8          9               8            8
#   \w+               6          4               6            6
#   [[:alpha:]]+      -          2               2            2
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 \
  xgrammar==0.2.9 outlines-core==0.2.14 llguidance==1.9.1 torch==2.15.0 transformers==5.24.0 numpy==2.4.6

.venv/bin/python -W ignore - <<'EOF'
import re
from types import SimpleNamespace

import llguidance
import llguidance.numpy
import outlines_core
import xgrammar

CHARACTERS = ["a", "Z", "7", "_", ":", " ", "\n", "é", "中"]
END = len(CHARACTERS)


def admitted(bits):
    return {character for i, character in enumerate(CHARACTERS) if int(bits[i // 32]) >> i % 32 & 1}


def in_python(regex):
    return {character for character in CHARACTERS if re.fullmatch(regex, character)}


def in_xgrammar(regex):
    vocabulary = xgrammar.TokenizerInfo([*CHARACTERS, "<end>"], xgrammar.VocabType.RAW, stop_token_ids=[END])
    matcher = xgrammar.GrammarMatcher(xgrammar.GrammarCompiler(vocabulary).compile_regex(regex))
    mask = xgrammar.allocate_token_bitmask(1, END + 1)
    matcher.fill_next_token_bitmask(mask)
    return admitted(mask[0])


def in_outlines(regex):
    vocabulary = outlines_core.Vocabulary(END, {character: [i] for i, character in enumerate(CHARACTERS)})
    index = outlines_core.Index(regex, vocabulary)
    return {CHARACTERS[i] for i in index.get_allowed_tokens(index.get_initial_state()) if i < END}


class Vocabulary(SimpleNamespace):
    def __call__(self, text):
        return [CHARACTERS.index(character) for character in text.decode()]


def in_llguidance(regex):
    tokens = [*(character.encode() for character in CHARACTERS), b"<end>"]
    vocabulary = Vocabulary(eos_token_id=END, bos_token_id=None, tokens=tokens, special_token_ids=[END])
    tokenizer = llguidance.LLTokenizer(llguidance.TokenizerWrapper(vocabulary))
    matcher = llguidance.LLMatcher(tokenizer, llguidance.LLMatcher.grammar_from_regex(regex))
    mask = llguidance.numpy.allocate_token_bitmask(1, END + 1)
    llguidance.numpy.fill_next_token_bitmask(matcher, mask, 0)
    return admitted(mask[0])


print('of "a", "Z", "7", "_", ":", " ", newline, "é", "中" the first character may be')
print("regex            re   XGrammar   outlines-core   llguidance")
found = {}
for regex in (".+", r"\w+", "[[:alpha:]]+"):
    sets = [engine(regex) for engine in (in_python, in_xgrammar, in_outlines, in_llguidance)]
    found[regex] = sets
    python = "-" if "alpha" in regex else len(sets[0])  # Python has no such classes
    print(f"{regex:12} {python:>6} {len(sets[1]):10} {len(sets[2]):15} {len(sets[3]):12}")
for python, grammar, outlines, guidance in (found[".+"], found[r"\w+"]):
    assert python == outlines == guidance
assert found[".+"][1] - found[".+"][0] == {"\n"}, "the dot stops at a newline now"
assert found[r"\w+"][0] - found[r"\w+"][1] == {"é", "中"}, "letters of other languages are words now"
assert found["[[:alpha:]]+"][1:] == [{"a", ":"}, {"a", "Z"}, {"a", "Z"}], "the classes agree now"
EOF
