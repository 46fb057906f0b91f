#!/usr/bin/env bash
# An unknown character is <unk> in Python and undefined, or a newline, in JavaScript, by the same tokenizer.json.
#
# Guess:   a tokenizer.json is read alike by both packages of one maker: same ids, and <unk> for what the alphabet lacks.
# Seen:    for the model WordLevel, the plain one for characters, JavaScript passes over the unk_token of the file and
#          wants it in a second object, which Python's save never writes. The ids have a hole: an Int32Array makes it 0,
#          here the newline, and decoding drops the character without a word. BPE reads its unk_token from the file. A
#          dot that matches newlines, (?m:.) in Python's regular expressions, is a syntax error in JavaScript.
# Package: tokenizers 0.23.3, @huggingface/tokenizers 0.2.0 (Node.js)
# Where:   dist/tokenizers.mjs:2276 (the model without a type of its own: unk_token = more_config.unk_token)
# Date:    2026-11-28
# Output:
#   text 'be a\nt€a'; id 0 is the newline, 6 is <unk>
#   WordLevel  Python                      [3, 4, 1, 2, 0, 5, 6, 2]
#              JavaScript                  [3, 4, 1, 2, 0, 5, None, 2], decoded 'be a\nta'
#              JavaScript with unk_token   [3, 4, 1, 2, 0, 5, 6, 2], decoded 'be a\nt<unk>a'
#   BPE        Python                      [3, 4, 1, 2, 0, 5, 6, 2]
#              JavaScript                  [3, 4, 1, 2, 0, 5, 6, 2], decoded 'be a\nt<unk>a'
#              JavaScript with unk_token   [3, 4, 1, 2, 0, 5, 6, 2], decoded 'be a\nt<unk>a'
#   pattern (?m:.) in JavaScript: SyntaxError
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 tokenizers==0.23.3
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . @huggingface/tokenizers@0.2.0

cat >read.mjs <<'EOF'
import fs from "node:fs";
import { Tokenizer } from "@huggingface/tokenizers";
const [file, text, config] = process.argv.slice(2);
try {
  const tokenizer = new Tokenizer(JSON.parse(fs.readFileSync(file)), JSON.parse(config));
  const { ids } = tokenizer.encode(text);
  console.log(JSON.stringify({ ids, int32: Array.from(Int32Array.from(ids)), text: tokenizer.decode(ids) }));
} catch (error) {
  console.log(JSON.stringify({ error: error.name }));
}
EOF

.venv/bin/python - <<'EOF'
import json
import subprocess

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

CHARACTERS = [*"\n abet", "<unk>"]
IDS = {character: i for i, character in enumerate(CHARACTERS)}
TEXT = "be a\nt€a"
MODELS = {
    "WordLevel": lambda: models.WordLevel(IDS, unk_token="<unk>"),
    "BPE": lambda: models.BPE(IDS, [], unk_token="<unk>"),
}


def made(model, pattern):
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.save("tokenizer.json")
    return tokenizer


def in_javascript(**config):
    command = ["node", "read.mjs", "tokenizer.json", TEXT, json.dumps(config)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


seen = {}
print(f"text {TEXT!r}; id 0 is the newline, {IDS['<unk>']} is <unk>")
for name, model in MODELS.items():
    python = made(model(), r"[\s\S]").encode(TEXT).ids
    seen[name] = python, in_javascript(), in_javascript(unk_token="<unk>")
    print(f"{name:10} Python                      {python}")
    print(f"{'':10} JavaScript                  {seen[name][1]['ids']}, decoded {seen[name][1]['text']!r}")
    print(f"{'':10} JavaScript with unk_token   {seen[name][2]['ids']}, decoded {seen[name][2]['text']!r}")
made(MODELS["BPE"](), "(?m:.)")
dot = in_javascript()
print(f"pattern (?m:.) in JavaScript: {dot['error']}")
for python, plain, told in seen.values():
    assert told["ids"] == python and IDS["<unk>"] in python
assert seen["BPE"][1]["ids"] == seen["BPE"][0]
assert dot["error"] == "SyntaxError"
assert None in seen["WordLevel"][1]["ids"] and "€" not in seen["WordLevel"][1]["text"], "unk_token is read now"
assert seen["WordLevel"][1]["int32"][6] == IDS["\n"]
EOF
