#!/usr/bin/env bash
# A passage that stands word for word in a large dictionary may cost as much as a new one, depending on its place there.
#
# Guess:   with a text as its dictionary zstd is a language model that has read it: a passage of that text costs some
#          20 bytes, wherever it stands, and the level is a matter of the rest.
# Seen:    the tables that find passages get their size from the level and hold the latest places. At level 1 a passage
#          from the first half of a megabyte costs nine tenths of what it costs without a dictionary; at the default
#          level, 3, one from the beginning costs twice as many bytes as one from the end. From level 9 on the place
#          hardly matters. A comparison of texts by what they cost with each other's dictionary compares places.
# Package: zstandard 0.25.0
# Where:   zstandard, ZstdCompressor(level, dict_data) with DICT_TYPE_RAWCONTENT; zstd's tables of a level
# Date:    2026-11-29
# Output:
#   bytes of a passage of 400 characters, mean of 20
#            its place in a dictionary of 1,000,000
#   level    first tenth   middle   last tenth   without
#       1            195      197           26       219
#       3             40       32           21       222
#       9             22       22           19       222
#      19             20       20           20       218
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 zstandard==0.25.0

.venv/bin/python - <<'EOF'
import random
from statistics import mean

import zstandard

SIZE, PASSAGE = 1_000_000, 400
random.seed(0)
WORDS = ["".join(random.choices("etaoinshrdlu", k=random.randint(2, 9))) for _ in range(3000)]
TEXT = " ".join(random.choices(WORDS, k=250_000)).encode()[:SIZE]


def cost(compressor, start, stop):
    """Mean bytes of 20 passages that begin between two places of the text."""
    places = range(start, stop - PASSAGE, (stop - start) // 20)
    return mean(len(compressor.compress(TEXT[place : place + PASSAGE])) for place in places)


dictionary = zstandard.ZstdCompressionDict(TEXT, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
print("bytes of a passage of 400 characters, mean of 20")
print("         its place in a dictionary of 1,000,000")
print("level    first tenth   middle   last tenth   without")
rows = {}
for level in (1, 3, 9, 19):
    known, new = zstandard.ZstdCompressor(level, dict_data=dictionary), zstandard.ZstdCompressor(level)
    places = ((0, SIZE // 10), (SIZE * 9 // 20, SIZE * 11 // 20), (SIZE * 9 // 10, SIZE))
    rows[level] = [cost(known, *place) for place in places] + [cost(new, 0, SIZE)]
    print(f"{level:5} {rows[level][0]:14.0f} {rows[level][1]:8.0f} {rows[level][2]:12.0f} {rows[level][3]:9.0f}")
assert max(rows[19][:3]) < 30
assert rows[1][0] > 0.8 * rows[1][3] and rows[3][0] > 1.5 * rows[3][2], "passages are found wherever they stand now"
EOF
