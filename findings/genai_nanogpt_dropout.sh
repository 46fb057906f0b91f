#!/usr/bin/env bash
# Dropout of .9 changes nothing: without mixed precision no layer of the network drops anything.
#
# Guess:   dropout, an option of training that is checked to lie between 0 and 1, drops that share of the units, on each
#          of the backends that the package has: CPU, WebGL, WebGPU.
# Seen:    the layer that drops out returns its input unless that is packed in half precision, which needs WebGPU and
#          mixedPrecision. All losses of a training are the same to the last digit with dropout and without it.
#          layerDrop is read by the second kind of network alone. Label smoothing, beside them in the options, is used.
# Package: @genai-fi/nanogpt 1.3.0 (Node.js 20, CPU backend, GenAI_NanoGPT_v1)
# Where:   dist/ops/dropout16.js, dist/models/NanoGPTV1.js
# Date:    2026-11-29
# Output:
#   option                  first loss   last loss
#   none                       4.11246     4.03877
#   dropout 0.9                4.11246     4.03877
#   layerDrop 0.9              4.11246     4.03877
#   labelSmoothing 0.5         4.10519     4.06891
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . @genai-fi/nanogpt@1.3.0

cat >train.mjs <<'EOF'
// Node.js passes for a browser, for which the package is made, one with methods of iterators
Object.defineProperty(process, "versions", { value: { ...process.versions, node: undefined } });
Object.assign(globalThis, { window: globalThis, document: {} });
const iterators = Object.getPrototypeOf(Object.getPrototypeOf([].values()));
iterators.reduce ??= function (add, start) { return [...this].reduce(add, start); };

let state = 1; // a generator with a seed: the package draws by Math.random
Math.random = () => (state = (state * 48271) % 2147483647) / 2147483647;

console.log = console.warn = () => {};
const { TeachableLLM, data } = await import("@genai-fi/nanogpt");
await TeachableLLM.selectBackend("cpu");
const llm = TeachableLLM.create("char", {
  modelType: "GenAI_NanoGPT_v1", useRope: true, vocabSize: 60, blockSize: 16,
  nLayer: 2, nHead: 2, nEmbed: 16, mlpFactor: 4,
});
const content = "the cat sat on the mat, and the rat sat on the cat.";
const texts = new data.MemoryConversationStream(Array(60).fill([{ role: "text", content }]));
await llm.trainTokeniser([texts]);
const options = {
  method: { type: "pretraining" }, batchSize: 4, maxEpochs: 1, epochSteps: 10, logInterval: 1, learningRate: 0.001,
  ...JSON.parse(process.argv[2]),
};
const ended = new Promise((resolve, reject) => {
  llm.training.on("completed", resolve);
  llm.training.on("error", (id, error) => reject(error));
});
const job = await llm.training.job(options, [texts], [{ id: "cats", name: "cats" }]);
await ended;
process.stdout.write(JSON.stringify(job.history.map((entry) => entry.trainingMetrics.loss)));
process.exit(0);
EOF

cat >compare.cjs <<'EOF'
const assert = require("node:assert");
const { execFileSync } = require("node:child_process");

function losses(options) {
  const out = execFileSync("node", ["train.mjs", JSON.stringify(options)], { stdio: ["ignore", "pipe", "ignore"] });
  return JSON.parse(out);
}

const OPTIONS = [["none"], ["dropout", 0.9], ["layerDrop", 0.9], ["labelSmoothing", 0.5]];
console.log("option                  first loss   last loss");
const rows = {};
for (const [name, value] of OPTIONS) {
  rows[name] = losses({ [name]: value });
  const [first, last] = [rows[name][0], rows[name].at(-1)].map((loss) => loss.toFixed(5));
  console.log([name, value].join(" ").padEnd(23), first.padStart(10), last.padStart(11));
}
assert.notDeepEqual(rows.none, rows.labelSmoothing);
assert.deepEqual(rows.none, rows.dropout, "dropout drops now");
assert.deepEqual(rows.none, rows.layerDrop, "layerDrop drops now");
EOF
node compare.cjs
