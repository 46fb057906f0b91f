// The samplers in the browser: gpt.py, diffusion.py, diffusion_flow.py and streams.py, with what they take from lab/, in
// their order and with their names. For given random numbers they write the same text, character for character.
// One text of at most block_size characters, all of it one chunk; no temperature 0, top_k, steps, drafts, revision, no
// confidence of another temperature or of several characters.
// A canvas is {idx, masked}: L tokens, L booleans; a frame has `probs` too, V probabilities of each position that the
// pass computed. random: uniform() and normal().

import { Cache } from "./network.js"

const COLD = 0.25, SNR_HALF = 3, SNR_MOST = 30, KNOWN = -1
const sum = row => row.reduce((a, b) => a + b, 0)

// lab/decoding/sampling.py

function softmax(row) {
  const most = Math.max(...row), exp = row.map(x => Math.exp(x - most)), total = sum(exp)
  return exp.map(x => x / total)
}

const probabilities = (logits, temp) => logits.map(row => softmax(row.map(x => x / temp)))

function choose_token(probs, u) {
  const order = [...probs.keys()].sort((a, b) => probs[b] - probs[a])
  return order.find(token => (u -= probs[token]) < 0) ?? order.at(-1)
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
  const passing = [...masked.keys()].filter(i => confidence[i] >= confidence_threshold), taken = []
  if (!passing.length) passing.push(confidence.indexOf(Math.max(...confidence)))
  for (const i of passing.sort((a, b) => entropy[a] - entropy[b]))
    if (taken.every(each => Math.abs(each - i) > spacing)) taken.push(i)
  return masked.map((_, i) => taken.includes(i))
}

function two_temps(logits, { temp, cool_to }, left) {
  temp *= cool_to + (1 - cool_to) * left
  const probs = probabilities(logits, temp)
  return [probs, temp < COLD ? probabilities(logits, 1) : probs]
}

// lab/decoding/canvas.py

const commit = ({ idx, masked }, drawn) => ({
  idx: idx.map((token, i) => drawn[i] >= 0 ? drawn[i] : token),
  masked: masked.map((each, i) => each && !(drawn[i] >= 0)),
})

// gpt.py

async function* gpt(model, canvas, decoding, random) {
  const { idx, masked } = canvas, start = masked.indexOf(true), cache = new Cache(model.config, idx.length)
  if (start < 1 || masked.includes(false, start)) return  // it begins with a character, and fills no gap
  for (let n = start, read = 0; n < idx.length; read = n++) {
    const columns = [...idx.keys()].slice(read, n), visible = columns.map(column => idx.map((_, i) => i <= column))
    const logits = await model({ idx: canvas.idx.slice(read, n), visible, columns }, cache)
    const probs = probabilities(logits.slice(-1), decoding.temp)
    canvas = commit(canvas, { [n]: sample_tokens(probs, random, [true])[0] })
    yield { ...canvas, probs: { [n]: probs[0] } }
  }
}

// diffusion.py

const unmask = (masked, probs, conf_probs, decoding, random) =>
  sample_tokens(probs, random, select_positions(conf_probs, masked, decoding))

const masked_fill = ({ idx, masked }, V) => idx.map((token, i) => masked[i] ? V : token)

async function* diffusion(model, canvas, decoding, random) {
  const V = model.config.vocab_size, chunk_size = sum(canvas.masked)
  while (canvas.masked.includes(true)) {
    const logits = await model({ idx: masked_fill(canvas, V) })
    const [probs, conf_probs] = two_temps(logits, decoding, sum(canvas.masked) / chunk_size)
    canvas = commit(canvas, unmask(canvas.masked, probs, conf_probs, decoding, random))
    yield { ...canvas, probs }
  }
}

// diffusion_flow.py

export const noise_share = snr => SNR_HALF / (SNR_HALF + snr)
const snr_at = t => Math.min(SNR_MOST, SNR_HALF * (1 - t) / Math.max(t, 1e-6))
const add_noise = (x0, snr, noise) => noise.map((each, token) => snr * (token === x0) + Math.sqrt(snr) * each)  // (1)
const posterior = (probs, evidence) => softmax(evidence.map((y, token) => Math.log(probs[token]) + y))  // (2)

function advance_evidence(probs, evidence, snr, guided, decoding, random) {  // (3)
  const noise = probs.map(row => row.map(random.normal)), towards = sample_tokens(probs, random, guided)
  const after = snr.map((each, i) => {
    const left = 1 - decoding.flow_step / Math.exp(2 * entropy_of(probs[i]))  // over the squared perplexity
    return guided[i] ? Math.max(each, snr_at(noise_share(each) * left)) : 0
  })
  const y = evidence.map((row, i) => {
    const step = add_noise(towards[i], after[i] - snr[i], noise[i])
    return row.map((each, token) => guided[i] ? each + step[token] : 0)
  })
  return [y, after]
}

async function* diffusion_flow(model, canvas, decoding, random) {
  const V = model.config.vocab_size, chunk_size = sum(canvas.masked)
  const none = [canvas.idx.map(() => Array(V).fill(0)), canvas.idx.map(() => 0)]
  let [y, snr] = none
  while (canvas.masked.includes(true)) {
    const left = sum(canvas.masked) / chunk_size, flows = left > decoding.flow_until
    if (!flows) [y, snr] = none
    const logits = await model({ idx: masked_fill(canvas, V), evidence: y, snr })
    const [probs, conf_probs] = two_temps(logits, decoding, left).map(each => each.map((row, i) => posterior(row, y[i])))
    canvas = commit(canvas, unmask(canvas.masked, probs, conf_probs, decoding, random))
    if (flows && canvas.masked.includes(true)) [y, snr] = advance_evidence(probs, y, snr, canvas.masked, decoding, random)
    yield { ...canvas, probs, evidence: y.map(softmax), snr }
  }
}

// streams.py

function order_of(masked, length) {
  const begins = masked.map((each, i) => each ? i - (i - masked.lastIndexOf(false, i) - 1) % length : KNOWN)
  return { begins, passes: begins.map((first, i) => i - (first === KNOWN ? masked.length : first)) }
}

function shown(before, begins, V) {
  const left = [KNOWN, ...begins]
  return before.map((token, i) => left[i] === KNOWN || left[i] === begins[i] ? token : V)
}

function visible_to({ begins, passes }, columns) {
  const since = passes.map((pass, i) => begins[i] === begins[i - 1] ? passes[i - 1] + 1 : pass)
  const sees = (column, i) => begins[i] === begins[column] && i <= column || since[i] <= passes[column]
  return columns.map(column => passes.map((_, i) => sees(column, i)))
}

async function* streams(model, canvas, decoding, random) {
  const V = model.config.vocab_size, cache = new Cache(model.config, canvas.idx.length)
  const order = order_of(canvas.masked, Math.ceil(sum(canvas.masked) / decoding.streams))
  for (let calls = 0; canvas.masked.includes(true); calls++) {
    const due = order.passes.map(pass => Math.max(0, pass) === calls)  // the known text with the first characters
    const columns = [...due.keys()].filter(i => due[i]), visible = visible_to(order, columns)
    const x = shown([V, ...canvas.idx], order.begins, V)
    const logits = await model({ idx: columns.map(i => x[i]), visible, columns }, cache)
    const probs = [], drawn = [], u = canvas.idx.map(random.uniform)
    probabilities(logits, decoding.temp).forEach((row, k) => { probs[columns[k]] = row })
    for (const i of columns) if (canvas.masked[i]) drawn[i] = choose_token(probs[i], u[i])
    canvas = commit(canvas, drawn)
    yield { ...canvas, probs }
  }
}

export const SAMPLERS = { gpt, diffusion, diffusion_flow, streams }
