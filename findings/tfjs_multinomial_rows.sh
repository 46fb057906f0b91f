#!/usr/bin/env bash
# TensorFlow.js draws the same characters for every row of a batch: 64 texts from one prompt are one text 64 times.
#
# Guess:   tf.multinomial(logits) of a batch draws each row on its own, as in TensorFlow; a seed makes a run repeat.
# Seen:    each row starts the generator anew from one seed, given or not, so all rows see the same uniform numbers:
#          equal rows give equal draws, and two symbols of probability .5 in two rows never differ. One call with a
#          row for each text writes copies, and a mean over the batch has the spread of one text. Call it row by row,
#          or add Gumbel noise and take the maximum.
# Package: @tensorflow/tfjs-core 4.22.0, @tensorflow/tfjs-backend-cpu 4.22.0 (Node.js 20)
# Where:   tfjs-backend-cpu/dist/kernels/Multinomial.js (seedrandom.alea(seed) inside the loop over the batch)
# Date:    2026-11-28
# Output:
#   different rows among 64 rows of 16 draws from 65 equal logits: 1 without a seed, 1 with a seed
#   two calls without a seed: 2 different texts
#   by Gumbel noise and argMax: 64 different rows
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . \
  @tensorflow/tfjs-core@4.22.0 @tensorflow/tfjs-backend-cpu@4.22.0

cat >rows.cjs <<'EOF'
const assert = require("node:assert");
const tf = require("@tensorflow/tfjs-core");
require("@tensorflow/tfjs-backend-cpu");

const different = (tensor) => new Set(tensor.arraySync().map((row) => row.join(" "))).size;
const gumbel = () => tf.neg(tf.log(tf.neg(tf.log(tf.randomUniform([64, 16, 65], 1e-7, 1)))));

(async () => {
  await tf.setBackend("cpu");
  const logits = tf.zeros([64, 65]);
  const unseeded = different(tf.multinomial(logits, 16));
  const seeded = different(tf.multinomial(logits, 16, 7));
  const calls = new Set([1, 2].map(() => String(tf.multinomial(logits, 16).arraySync()))).size;
  const noise = different(tf.argMax(gumbel(), -1));
  const what = "different rows among 64 rows of 16 draws from 65 equal logits";
  console.log(`${what}: ${unseeded} without a seed, ${seeded} with a seed`);
  console.log(`two calls without a seed: ${calls} different texts`);
  console.log(`by Gumbel noise and argMax: ${noise} different rows`);
  assert.deepEqual([calls, noise], [2, 64]);
  assert.deepEqual([unseeded, seeded], [1, 1], "the rows of a batch differ now");
})();
EOF
node rows.cjs 2>/dev/null
