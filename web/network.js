// The exported networks, computed by onnxruntime-web: what they take and give stands in lab/model/onnx_runtime.py.

import * as ort from "./ort.wasm.bundle.min.mjs"

ort.env.wasm.numThreads = 1  // more would need headers of the server
const TYPES = { idx: "int64", columns: "int64", visible: "bool" }  // all else is float32
const rows = (flat, width) => Array.from({ length: flat.length / width }, (_, i) => flat.slice(i * width, (i + 1) * width))

function tensor([name, values]) {
  const shape = [1, values.length, values[0].length].filter(Boolean)
  return [name, new ort.Tensor(TYPES[name] ?? "float32", values.flat(), shape)]
}

// -> model(given, cache). given: arrays by the names of what the network takes, T rows each -> T rows of V logits
export async function load(name, config) {
  const session = await ort.InferenceSession.create(`${name}.onnx`)
  const model = async (given, cache) => {
    const tensors = Object.fromEntries(Object.entries(given).map(tensor))
    const { logits, ...made } = await session.run({ ...tensors, ...cache?.past })
    cache?.write(made, given.columns)
    model.computed = given.idx.length / config.block_size
    return rows([...logits.data], config.vocab_size)
  }
  return Object.assign(model, { config })
}

// By position, as the ViewCache of lab/model/backbone.py, of T positions.
export class Cache {
  past = {}

  constructor({ n_layer, n_embd }, T) {
    const shape = [n_layer, 1, T, n_embd]
    for (const part of ["keys", "values", "inputs"])
      this.past[`past_${part}`] = new ort.Tensor("float32", new Float32Array(n_layer * T * n_embd), shape)
  }

  write(made, columns) {
    for (const [part, { data, dims }] of Object.entries(made)) {
      const past = this.past[`past_${part}`], [, , T, C] = past.dims
      rows(data, C).forEach((row, i) => past.data.set(row, C * (T * Math.floor(i / dims[2]) + columns[i % dims[2]])))
    }
  }
}
