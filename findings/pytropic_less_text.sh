#!/usr/bin/env bash
# English is taken for German, since the German model has read less; and the entropy of a text rises with the order.
#
# Guess:   "string entropy based on character n-grams" is in bits a character, given the characters before: lower the
#          higher the order, as long as the text is known. MultiModel names the model that fits best.
# Seen:    it is -log2 of the share of the whole n-gram among all n-grams: 3.9 bits of order 1 become 8.4 of order 5 on
#          the training text itself. An n-gram that was not seen counts as half of one seen, over the number read: a
#          model that has read 132 characters finds every strange text likelier than one that has read 593.
#          Three English sentences go to the German model from order 2 on.
# Package: pytropic 1.1.1
# Where:   pytropic/pytropic.py (Model.log_prob, default_count)
# Date:    2026-11-28
# Output:
#   characters read: English 593, German 132
#   order   entropy of the text read   English sentences taken for German
#       1                       3.92                                0 of 3
#       2                       6.52                                3 of 3
#       3                       7.74                                3 of 3
#       5                       8.37                                3 of 3
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 pytropic==1.1.1

.venv/bin/python -W ignore - <<'EOF'
from pytropic.pytropic import Model, MultiModel

ENGLISH = (
    "it was the best of times it was the worst of times it was the age of wisdom it was the age of foolishness it was "
    "the epoch of belief it was the epoch of incredulity it was the season of light it was the season of darkness it "
    "was the spring of hope it was the winter of despair we had everything before us we had nothing before us we were "
    "all going direct to heaven we were all going direct the other way in short the period was so far like the present "
    "period that some of its noisiest authorities insisted on its being received for good or for evil in the "
    "superlative degree of comparison only"
)
GERMAN = (
    "als gregor samsa eines morgens aus unruhigen träumen erwachte fand er sich in seinem bett zu einem ungeheueren "
    "ungeziefer verwandelt"
)
SENTENCES = (
    "there was a king with a large jaw and a queen with a plain face on the throne of england",
    "in both countries it was clearer than crystal",
    "that things in general were settled for ever",
)


def trained(text, order):
    model = Model(order)
    model.update(text)
    return model


print(f"characters read: English {len(ENGLISH)}, German {len(GERMAN)}")
print("order   entropy of the text read   English sentences taken for German")
entropies, strangers = [], []
for order in (1, 2, 3, 5):
    english = trained(ENGLISH, order)
    both = MultiModel({"English": english, "German": trained(GERMAN, order)})
    entropies.append(english.entropy(ENGLISH))
    strangers.append(sum(both.lowest_entropy_model(sentence)[0] == "German" for sentence in SENTENCES))
    print(f"{order:5} {entropies[-1]:26.2f} {strangers[-1]:32} of 3")
assert entropies == sorted(entropies) and entropies[-1] > 2 * entropies[0], "the entropy is that of a character now"
assert strangers[0] == 0 and strangers[1] == strangers[2] == 3, "the model that fits is named now"
EOF
