#!/usr/bin/env bash
# The probabilities of a smoothed n-gram model add up to 1.1 to 1.6 after each context that was seen.
#
# Guess:   Katz back-off, Good-Turing and Kneser-Ney share out one unit of probability after every context: what is seen
#          is discounted, and the back-off weight makes the rest of it add up.
# Seen:    the weights are not those of the discounted mass. After "t" and "t h" the symbols of the novel's first words
#          have 1.1 to 1.6 together, with each method that the package has. With no context they have .83 to 1, and <s>,
#          which never comes next, .17 beside them. The perplexity that the package prints is lower for it: models of
#          other methods, orders and programs are not comparable. The file is a valid ARPA file, whoever reads it.
# Package: arpabo 0.3.0
# Where:   arpabo/smoothing (the alphas of each method), arpabo/arpa_io.py
# Date:    2026-11-28
# Output:
#   sum over all symbols after    ()   (t)  (t h)
#   good_turing                 0.88  1.30   1.61
#   auto                        0.83  1.35   1.56
#   fixed                       0.83  1.10   1.23
#   kneser_ney                  1.00  1.41   1.48
#   mle                         0.83  1.40   1.63
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 arpabo==0.3.0

.venv/bin/python -W ignore - <<'EOF'
import io

from arpabo import ArpaBoLM

NOVEL = (
    "it was the best of times it was the worst of times it was the age of wisdom it was the age of foolishness it was "
    "the epoch of belief it was the epoch of incredulity it was the season of light it was the season of darkness it "
    "was the spring of hope it was the winter of despair we had everything before us we had nothing before us we were "
    "all going direct to heaven we were all going direct the other way"
).split()
WORDS = "\n".join(" ".join(word) for word in NOVEL)  # a word a line, its characters as the symbols


def read(lines):
    """n-gram -> log10 of its probability and of its back-off weight, from the lines of an ARPA file."""
    logs, order = {}, 0
    for line in lines:
        if line.startswith("\\"):
            order = int(line[1]) if "grams" in line else 0
        elif order and line.strip():
            fields = line.split()
            logs[tuple(fields[1 : order + 1])] = float(fields[0]), float((fields[order + 1 :] or [0])[0])
    return logs


def probability(logs, context, symbol):
    if (*context, symbol) in logs:
        return 10 ** logs[(*context, symbol)][0]
    return 10 ** logs.get(context, (0, 0))[1] * probability(logs, context[1:], symbol)


print("sum over all symbols after    ()   (t)  (t h)")
for method in ("good_turing", "auto", "fixed", "kneser_ney", "mle"):
    model = ArpaBoLM(max_order=3, smoothing_method=method)
    model.read_corpus(io.StringIO(WORDS))
    model.compute()
    model.write_file("model.arpa")
    with open("model.arpa") as file:
        logs = read(file)
    symbols = [key[0] for key in logs if len(key) == 1 and key != ("<s>",)]
    contexts = (), ("t",), ("t", "h")
    sums = [sum(probability(logs, context, symbol) for symbol in symbols) for context in contexts]
    print(f"{method:25} {sums[0]:6.2f} {sums[1]:5.2f} {sums[2]:6.2f}")
    assert 0.8 < sums[0] < 1.01
    assert sums[1] > 1.05 and sums[2] > 1.05, "the probabilities add up to 1 now"
EOF
