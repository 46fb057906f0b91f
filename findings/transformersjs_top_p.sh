#!/usr/bin/env bash
# transformers.js takes top_p, min_p and typical_p and does nothing with them: the whole tail is drawn from.
#
# Guess:   generate({do_sample: true, top_p: 0.5}) keeps the nucleus, as the Python library of the same name does; an
#          option that is not supported is refused.
# Seen:    of the settings that cut the tail only top_k is read (and temperature is applied before it). The library
#          has a TopPLogitsWarper, and the line that would add it is a comment. The same generation_config.json writes
#          another distribution in the page than in Python: top_p of .5 on a symbol of probability .6 draws the other
#          three in .4 of the places.
# Package: @huggingface/transformers 4.3.1 (Node.js 20), on a network of one Gather made by onnx 1.23.2
# Where:   src/models/modeling_utils.js:540-546, src/generation/logits_sampler.js (MultinomialSampler)
# Date:    2026-11-28
# Output:
#   probabilities .6 .3 .06 .04; shares of 500 characters
#   {}                   0.578 0.308 0.068 0.046
#   {"top_p":0.5}        0.578 0.308 0.068 0.046
#   {"min_p":0.2}        0.578 0.308 0.068 0.046
#   {"typical_p":0.3}    0.578 0.308 0.068 0.046
#   {"top_k":1}          1.000 0.000 0.000 0.000
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 onnx==1.23.2 numpy==2.4.6
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . @huggingface/transformers@4.3.1

.venv/bin/python - <<'EOF'
import json
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

folder = Path("models/toy/onnx")
folder.mkdir(parents=True)
table = np.tile(np.log(np.array([0.6, 0.3, 0.06, 0.04], np.float32)), (4, 1))  # every row is the same distribution
graph = helper.make_graph(
    [helper.make_node("Gather", ["table", "input_ids"], ["logits"])],
    "toy",
    [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["B", "T"])],
    [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", "T", 4])],
    [numpy_helper.from_array(table, "table")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
(folder / "model.onnx").write_bytes(model.SerializeToString())
config = {"model_type": "gpt2", "vocab_size": 4, "n_embd": 4, "n_head": 1, "n_layer": 0}
(folder.parent / "config.json").write_text(json.dumps(config))
EOF

cat >shares.mjs <<'EOF'
import assert from "node:assert";
import { AutoModelForCausalLM, Tensor, env, random } from "@huggingface/transformers";

env.allowRemoteModels = false;
env.localModelPath = "./models/";
const model = await AutoModelForCausalLM.from_pretrained("toy", { dtype: "fp32" });
const one = (value) => new Tensor("int64", [value], [1, 1]);

async function shares(options) {
  random.seed(0);
  const settings = { inputs: one(0n), attention_mask: one(1n), max_new_tokens: 500, do_sample: true, ...options };
  const text = Array.from((await model.generate(settings)).data).slice(1).map(Number);
  return [0, 1, 2, 3].map((symbol) => text.filter((id) => id === symbol).length / text.length);
}

console.log("probabilities .6 .3 .06 .04; shares of 500 characters");
const seen = [];
for (const options of [{}, { top_p: 0.5 }, { min_p: 0.2 }, { typical_p: 0.3 }, { top_k: 1 }]) {
  seen.push(await shares(options));
  console.log(JSON.stringify(options).padEnd(20), seen.at(-1).map((share) => share.toFixed(3)).join(" "));
}
assert.deepEqual(seen[4], [1, 0, 0, 0]);
assert.ok(Math.abs(seen[0][0] - 0.6) < 0.07);
for (const filtered of seen.slice(1, 4)) assert.deepEqual(filtered, seen[0], "the tail is cut now");
EOF
node shares.mjs
