// The exported networks, computed by onnxruntime-web: what they take and give stands in lab/model/onnx_graph.py.

import * as ort from "./ort.wasm.bundle.min.mjs"

// -> model(given, cache). given: arrays by name, T rows each, of which it takes what the network knows -> T rows of logits
export async function load(name, config) {
  const session = await ort.InferenceSession.create(`${name}.onnx`), V = config.vocab_size
  const model = async (given, cache) => {
    const inputs = { ...cache }
    for (const { name, type } of session.inputMetadata) {
      const rows = given[name], shape = rows && [1, rows.length, rows[0].length].filter(Boolean)
      if (rows) inputs[name] = new ort.Tensor(type, rows.flat(), shape)
    }
    const { logits, ...made } = await session.run(inputs)
    for (const part in made) cache[`past_${part}`] = made[part]
    model.computed = given.idx.length / config.block_size
    return given.idx.map((_, i) => [...logits.data.slice(V * i, V * (i + 1))])
  }
  return Object.assign(model, { config })
}

// A cache by position, as empty_layers of lab/model/backbone.py makes it, of T positions.
export function empty_cache({ n_layer, n_embd }, T) {
  const zeros = new ort.Tensor("float32", new Float32Array(n_layer * T * n_embd), [n_layer, 1, T, n_embd])
  return { past_keys: zeros, past_values: zeros, past_inputs: zeros }
}
