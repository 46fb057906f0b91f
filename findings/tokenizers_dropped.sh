#!/usr/bin/env bash
# A character tokenizer that drops what it does not know: the text gets shorter, and nobody is told.
#
# Guess:   a model without a symbol for the unknown raises an error at an unknown character, as the library's three
#          other models do.
# Seen:    BPE without merges, the usual way to a character vocabulary, leaves the character out, byte_fallback or
#          not. Without a pre-tokenizer the offsets of what follows are wrong as well: they count kept characters
#          only. Nats per symbol of a text full of unknown characters, and bits per character by len(ids), look fine.
# Package: tokenizers 0.23.3
# Where:   the BPE model of the compiled library (models/bpe: the merging of a word)
# Date:    2026-11-28
# Output:
#   the text axxb, of a vocabulary of a and b
#   BPE                  ['a', 'b']
#   BPE, byte_fallback   ['a', 'b']
#   WordLevel            WordLevel error: Missing [UNK] token from the vocabulary
#   WordPiece            WordPiece error: Missing [UNK] token from the vocabulary
#   Unigram              Encountered an unknown token but `unk_id` is missing
#   offsets of BPE's a and b: [(0, 1), (1, 2)]
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 tokenizers==0.23.3

.venv/bin/python - <<'EOF'
from tokenizers import Tokenizer, models

VOCABULARY = {"a": 0, "b": 1}
MODELS = {
    "BPE": models.BPE(VOCABULARY, []),
    "BPE, byte_fallback": models.BPE(VOCABULARY, [], byte_fallback=True),
    "WordLevel": models.WordLevel(VOCABULARY),
    "WordPiece": models.WordPiece(VOCABULARY),
    "Unigram": models.Unigram([("a", -1.0), ("b", -1.0)]),
}
seen = {}
print("the text axxb, of a vocabulary of a and b")
for name, model in MODELS.items():
    try:
        seen[name] = Tokenizer(model).encode("axxb").tokens
    except Exception as error:  # noqa: BLE001 (the library raises no other class)
        seen[name] = str(error)
    print(f"{name:20}", seen[name])
offsets = Tokenizer(MODELS["BPE"]).encode("axxb").offsets
print("offsets of BPE's a and b:", offsets)
assert [*seen.values()][:2] == [["a", "b"], ["a", "b"]] and offsets == [(0, 1), (1, 2)], "BPE keeps or refuses them now"
for name in "WordLevel", "WordPiece", "Unigram":
    assert isinstance(seen[name], str), f"{name} no longer raises"
EOF
