// The three samplers in the browser: gpt.py, diffusion.py and diffusion_flow.py, with what they take from lab/, in
// their order and with their names. For given random numbers they write the same text, character for character.
// One text of at most block_size characters, so that a window is the whole canvas; no top_k, steps, drafts, revision,
// no confidence of another temperature or of several characters.
// A canvas is {idx, masked}: L tokens, L booleans. probs: L rows of V probabilities. random: uniform() and normal().

import { Cache } from "./network.js"

const COLD = 0.25, SNR_HALF = 3, SNR_MOST = 30
const sum = row => row.reduce((a, b) => a + b, 0)

// lab/decoding/sampling.py

function softmax(row) {
  const most = row.reduce((a, b) => Math.max(a, b)), exp = Float64Array.from(row, x => Math.exp(x - most))
  const total = sum(exp)
  return exp.map(x => x / total)
}

export function probabilities(logits, temp) {
  if (temp) return logits.map(row => softmax(Float64Array.from(row, x => x / temp)))
  return logits.map(row => {
    const best = row.indexOf(Math.max(...row))
    return Float64Array.from(row, (_, token) => +(token === best))
  })
}

function choose_token(probs, u) {
  const order = [...probs.keys()].sort((a, b) => probs[b] - probs[a])
  let left = u * sum(order.map(token => probs[token]))
  return order.find(token => (left -= probs[token]) < 0) ?? order.at(-1)
}

// A number for each position, whether it is wanted or not: so in Python. Tokens where wanted only.
function sample_tokens(probs, random, wanted) {
  const u = probs.map(() => random.uniform())
  return probs.map((row, i) => wanted[i] ? choose_token(row, u[i]) : -1)
}

// lab/decoding/unmasking.py

const entropy_of = row => -sum(row.map(p => p && p * Math.log(p)))

function select_positions(probs, masked, { confidence_threshold, spacing }) {
  const confidence = probs.map((row, i) => masked[i] ? Math.max(...row) : -1), entropy = probs.map(entropy_of)
  const passing = spaced(entropy, confidence.map((c, i) => masked[i] && c >= confidence_threshold), spacing)
  const best = confidence.indexOf(Math.max(...confidence))
  return passing.includes(true) ? passing : masked.map((each, i) => each && i === best)
}

const cooled = ({ temp, cool_to }, { masked, chunk_size }) => temp * (cool_to + (1 - cool_to) * (sum(masked) / chunk_size))

function two_temps(logits, decoding, window) {
  const temp = cooled(decoding, window), probs = probabilities(logits, temp)
  return [probs, temp >= COLD ? probs : probabilities(logits, 1)]
}

function spaced(entropy, candidates, spacing) {
  if (spacing === 0) return candidates
  const taken = candidates.map(() => false)
  while (candidates.includes(true)) {
    const left = entropy.map((h, i) => candidates[i] ? h : Infinity), best = left.indexOf(Math.min(...left))
    taken[best] = true
    candidates = candidates.map((each, i) => each && Math.abs(i - best) > spacing)
  }
  return taken
}

// lab/decoding/canvas.py

class Windows {
  constructor({ idx, masked }, chunk) {
    Object.assign(this, { idx, masked, chunk, stop: 0 })
  }

  next_window() {
    const inside = () => this.masked.map((each, i) => each && i < this.stop)
    this.calls++
    if (!inside().includes(true)) {
      this.stop = this.masked.indexOf(true) + this.chunk
      this.size = sum(inside())
      this.calls = 0
    }
    return { idx: this.idx, hidden: this.masked, masked: inside(), chunk_size: this.size, calls: this.calls }
  }

  commit(window, chosen, drawn, probs, block_size) {
    this.idx = this.idx.map((token, i) => chosen[i] ? drawn[i] : token)
    this.masked = this.masked.map((each, i) => each && !chosen[i])
    const columns = [...this.idx.keys()], computed = columns.length / block_size
    return { idx: this.idx, masked: this.masked, columns, probs, computed }
  }
}

// gpt.py

async function* gpt(model, { idx, masked }, decoding, random) {
  const start = masked.includes(true) ? masked.indexOf(true) : idx.length
  if (masked.includes(false, start))
    throw Error("GPT writes from left to right: it cannot fill a gap before known text.")
  if (start === 0) throw Error("GPT needs a character to begin with.")
  const cache = new Cache(model.config)
  for (let n = start; n < idx.length; n++) {
    const x = idx.slice(cache.length, n)
    const probs = probabilities((await model.forward(x, { cache })).slice(-1), decoding.temp)
    const [drawn] = sample_tokens(probs, random, [true])
    idx = idx.with(n, drawn)
    masked = masked.with(n, false)
    yield { idx, masked, columns: [n], probs, computed: x.length / cache.size }
  }
}

// diffusion.py

function unmask(window, probs, conf_probs, decoding, random) {
  const chosen = select_positions(conf_probs, window.masked, decoding)
  return [chosen, sample_tokens(probs, random, chosen)]
}

const shown = (window, V) => window.idx.map((token, i) => window.hidden[i] ? V : token)

async function* diffusion(model, canvas, decoding, random) {
  const { vocab_size: V, block_size } = model.config, windows = new Windows(canvas, decoding.target_chunk_len)
  while (windows.masked.includes(true)) {
    const window = windows.next_window()
    const [probs, conf_probs] = two_temps(await model.forward(shown(window, V)), decoding, window)
    yield windows.commit(window, ...unmask(window, probs, conf_probs, decoding, random), probs, block_size)
  }
}

// diffusion_flow.py

export const noise_share = snr => SNR_HALF / (SNR_HALF + snr)
const snr_at = t => Math.min(SNR_MOST, SNR_HALF * (1 - t) / Math.max(t, 1e-6))
const add_noise = (x0, snr, noise) => noise.map((each, token) => snr * (token === x0) + Math.sqrt(snr) * each)  // (1)
const posterior = (probs, evidence) => softmax(evidence.map((y, token) => Math.log(probs[token]) + y))  // (2)

function advance_evidence(probs, evidence, snr, guided, decoding, random) {  // (3)
  const noise = probs.map(row => row.map(() => random.normal()))
  const towards = sample_tokens(probs, random, guided)
  const after = probs.map((row, i) => {
    const perplexity = Math.exp(entropy_of(row))
    return Math.max(snr[i], snr_at(noise_share(snr[i]) * (1 - decoding.flow_step / perplexity ** 2)))
  })
  const raised = (row, i) => add_noise(towards[i], after[i] - snr[i], noise[i]).map((each, token) => row[token] + each)
  const y = evidence.map((row, i) => guided[i] ? raised(row, i) : row.map(() => 0))
  return [y, after.map((each, i) => guided[i] ? each : 0)]
}

async function* diffusion_flow(model, canvas, decoding, random) {
  const { vocab_size: V, block_size } = model.config, windows = new Windows(canvas, decoding.target_chunk_len)
  let snr = canvas.idx.map(() => 0), y = canvas.idx.map(() => new Float64Array(V))
  while (windows.masked.includes(true)) {
    const window = windows.next_window()
    const flows = sum(window.masked) > decoding.flow_until * window.chunk_size, carries = flows && window.calls > 0
    const guided = window.masked.map(each => each && flows)
    snr = snr.map((each, i) => carries && guided[i] ? each : 0)
    y = y.map((row, i) => carries && guided[i] ? row : row.map(() => 0))
    const logits = await model.forward(shown(window, V), { evidence: y, snr })
    const informed = each => each.map((row, i) => guided[i] ? posterior(row, y[i]) : row)
    const [probs, conf_probs] = two_temps(logits, decoding, window).map(informed)
    const [chosen, drawn] = unmask(window, probs, conf_probs, decoding, random)
    if (flows) [y, snr] = advance_evidence(probs, y, snr, guided.map((each, i) => each && !chosen[i]), decoding, random)
    yield { ...windows.commit(window, chosen, drawn, probs, block_size), evidence: y.map(softmax), snr }
  }
}

export const SAMPLERS = { gpt, diffusion, diffusion_flow }
