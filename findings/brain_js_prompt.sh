#!/usr/bin/env bash
# The last character of a prompt is not read: a network that knows "romeo" and "hamlet" goes on from "r" with "amlet".
#
# Guess:   run(prompt) reads the prompt and writes what follows: "omeo" for "r", and for "ra", which no line begins
#          with, something else than for "ro".
# Seen:    the network reads each character but the last, and in its place reads what it would have written itself. A
#          prompt of one character is not read at all, and prompts that differ in the last one have one continuation.
#          A character where it would have ended the text cuts the prompt short. toFunction() does the same.
# Package: brain.js 1.6.1 (Node.js 20)
# Where:   brain.js/src/recurrent/rnn.js (run: i < input.length ? input[i - 1] + 1 : output[i - 1])
# Date:    2026-11-29
# Output:
#   prompt   LSTM     GRU
#   r        amlet    amlet
#   h        amlet    amlet
#   ro       meo      meo
#   ra       meo      meo
#   ha       mlet     mlet
#   ho       mlet     mlet
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . brain.js@1.6.1

cat >prompts.cjs <<'EOF'
const assert = require("node:assert");
const { recurrent } = require("brain.js");

let state = 1; // a generator with a seed: the package begins with Math.random
Math.random = () => (state = (state * 48271) % 2147483647) / 2147483647;

const PROMPTS = ["r", "h", "ro", "ra", "ha", "ho"];

function continuations(Network) {
  const network = new Network({ hiddenLayers: [16] });
  network.train(["romeo", "hamlet"], { iterations: 400, learningRate: 0.02, errorThresh: 1e-5 });
  return PROMPTS.map((prompt) => network.run(prompt));
}

const lstm = continuations(recurrent.LSTM);
const gru = continuations(recurrent.GRU);
console.log("prompt   LSTM     GRU");
PROMPTS.forEach((prompt, i) => console.log(`${prompt.padEnd(8)} ${lstm[i].padEnd(8)} ${gru[i]}`));
for (const [r, h, ro, ra, ha, ho] of [lstm, gru]) {
  assert.deepEqual([ro, ha], ["meo", "mlet"]);
  assert.deepEqual([r, ra, ho], [h, ro, ha], "the last character of a prompt is read now");
}
EOF
node prompts.cjs
