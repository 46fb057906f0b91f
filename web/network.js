// The exported networks, computed by onnxruntime-web: what they take and give stands in lab/model/onnx_graph.py.

import * as ort from "./ort.wasm.bundle.min.mjs"

ort.env.wasm.numThreads = 1  // more would need headers of the server
const TYPES = { idx: "int64", columns: "int64", visible: "bool" }  // all else is float32
const rows = (flat, width) => Array.from({ length: flat.length / width }, (_, i) => flat.slice(i * width, (i + 1) * width))

function tensor(name, values) {
  const shape = [1, values.length, values[0].length].filter(Boolean)
  return new ort.Tensor(TYPES[name] ?? "float32", values.flat(), shape)
}

// -> model(given, cache). given: arrays by name, T rows each, of which it takes what the network knows -> T rows of logits
export async function load(name, config) {
  const session = await ort.InferenceSession.create(`${name}.onnx`)
  const model = async (given, cache) => {
    const known = session.inputNames.filter(name => name in given).map(name => [name, tensor(name, given[name])])
    const { logits, ...made } = await session.run({ ...Object.fromEntries(known), ...cache })
    write(made, cache, given.columns)
    model.computed = given.idx.length / config.block_size
    return rows([...logits.data], config.vocab_size)
  }
  return Object.assign(model, { config })
}

// A cache by position, as the ViewCache of lab/model/backbone.py, of T positions.
export function empty_cache({ n_layer, n_embd }, T) {
  const zeros = () => new ort.Tensor("float32", new Float32Array(n_layer * T * n_embd), [n_layer, 1, T, n_embd])
  return { past_keys: zeros(), past_values: zeros(), past_inputs: zeros() }
}

function write(made, cache, columns) {
  for (const part in made) {
    const { data, dims: [, , S, C] } = made[part], past = cache[`past_${part}`], T = past.dims[2]
    rows(data, C).forEach((row, i) => past.data.set(row, C * (T * Math.floor(i / S) + columns[i % S])))
  }
}
