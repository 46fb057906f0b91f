#!/usr/bin/env bash
# A dropout layer with a seed drops the same places in every training step.
#
# Guess:   a seed makes a training repeatable: each step has a new mask, and the next training has the same masks. So
#          it is in Keras, whose layers these are.
# Seen:    the seed begins the generator anew at each call, so that there is one mask for the whole training: a share
#          `rate` of the units never learns and never takes part, and the others are scaled up for them. At inference
#          all take part, the untrained ones too. Two dropouts of one shape and seed have the same mask. An initializer
#          with a seed returns the same weights for each layer of one shape. Without a seed each call differs.
# Package: @tensorflow/tfjs-layers, -core and -backend-cpu 4.22.0 (Node.js 20)
# Where:   tfjs-layers/src/layers/core.ts (Dropout.call), tfjs-core/src/ops/dropout.ts (randomUniform with the seed)
# Date:    2026-11-29
# Output:
#   different masks in 20 calls in training: 20 without a seed, 1 with a seed
#   units of 64 that were never used:        0 without a seed, 35 with a seed
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . \
  @tensorflow/tfjs-core@4.22.0 @tensorflow/tfjs-backend-cpu@4.22.0 @tensorflow/tfjs-layers@4.22.0

cat >masks.cjs <<'EOF'
const assert = require("node:assert");
const tf = require("@tensorflow/tfjs-core");
require("@tensorflow/tfjs-backend-cpu");
const { layers } = require("@tensorflow/tfjs-layers");

const CALLS = 20;
const UNITS = 64;

function masks(seed) {
  const dropout = layers.dropout({ rate: 0.5, seed });
  const ones = tf.ones([1, UNITS]);
  return Array.from({ length: CALLS }, () => dropout.apply(ones, { training: true }).arraySync()[0]);
}

const different = (rows) => new Set(rows.map(String)).size;
const unused = (rows) => rows[0].filter((_, unit) => rows.every((row) => row[unit] === 0)).length;

(async () => {
  await tf.setBackend("cpu");
  const free = masks(undefined);
  const seeded = masks(7);
  const [one, other] = [free, seeded].map(different);
  const [lost, gone] = [free, seeded].map(unused);
  console.log(`different masks in ${CALLS} calls in training: ${one} without a seed, ${other} with a seed`);
  console.log(`units of ${UNITS} that were never used:        ${lost} without a seed, ${gone} with a seed`);
  assert.deepEqual([one, lost], [CALLS, 0]);
  assert.deepEqual([other, gone > 16], [1, true], "a seed makes a sequence of masks now");
})();
EOF
node masks.cjs 2>/dev/null
