// The exported networks, computed by onnxruntime-web as lab/model/onnx_runtime.py does it, with the cache of lab/model/backbone.py.

import * as ort from "./ort.wasm.bundle.min.mjs"

ort.env.wasm.numThreads = 1  // more would need headers of the server
const rows = (flat, V) => Array.from({ length: flat.length / V }, (_, i) => flat.subarray(i * V, (i + 1) * V))
const integers = (numbers, shape) => new ort.Tensor("int64", BigInt64Array.from(numbers, BigInt), shape)
const zeros = (...shape) => new ort.Tensor("float32", new Float32Array(shape.reduce((a, b) => a * b)), shape)
const numbered = (name, tensors) => tensors.map((each, i) => [`${name}_${i}`, each])

export class Model {
  static async load(url, config) {
    const graph = await (await fetch(url)).arrayBuffer()
    return Object.assign(new Model(), { config, session: await ort.InferenceSession.create(new Uint8Array(graph)) })
  }

  // idx: T tokens -> T rows of V logits; evidence (T rows of V) and snr (T): of a flow; cache: what stands before idx
  async forward(idx, { evidence, snr, cache } = {}) {
    const T = idx.length, V = this.config.vocab_size, given = { idx: integers(idx, [1, T]), ...cache?.inputs() }
    if (evidence) {
      given.evidence = zeros(1, T, V)
      evidence.forEach((row, i) => given.evidence.data.set(row, i * V))
      given.snr = zeros(1, T)
      given.snr.data.set(snr)
    }
    const { logits, ...made } = await this.session.run(given)
    cache?.append(made, T)
    return rows(logits.data, V)
  }
}

export class Cache {
  constructor({ n_layer, n_head, n_embd, block_size, conv_width }) {
    Object.assign(this, { length: 0, size: block_size, heads: n_head, D: n_embd / n_head })
    const layers = Array(n_layer).fill()
    this.keys = layers.map(() => zeros(1, n_head, block_size, this.D))
    this.values = layers.map(() => zeros(1, n_head, block_size, this.D))
    this.conv = zeros(n_layer, 1, conv_width - 1, n_embd)
  }

  inputs() {
    const past = [...numbered("past_keys", this.keys), ...numbered("past_values", this.values)]
    return { length: integers([this.length], []), past_inputs: this.conv, ...Object.fromEntries(past) }
  }

  append({ keys, values, inputs }, T) {
    for (const [kept, made] of [[this.keys, keys], [this.values, values]])
      rows(made.data, T * this.D).forEach((row, i) => {  // of each layer each head
        kept[Math.floor(i / this.heads)].data.set(row, (i % this.heads * this.size + this.length) * this.D)
      })
    const [, , pad, C] = this.conv.dims
    const old = rows(this.conv.data, pad * C)
    rows(inputs.data, T * C).forEach((row, i) => old[i].set([...old[i], ...row].slice(T * C)))
    this.length += T
  }
}
