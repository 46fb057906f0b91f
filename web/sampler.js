// The samplers in the browser: diffusion.py, diffusion_flow.py, streams.py and gpt.py, with what they take from lab/ and with
// their names. For given random numbers they write the same text, character for character.
// One text of at most block_size characters, all of it one chunk; no temperature 0, top_k, steps, drafts, revision, no
// confidence of another temperature or of several characters.
// idx: L tokens, V = vocab_size where masked; random: uniform() and normal(). A frame is {idx, probs}, with V probabilities of
// each position that the pass computed, and {evidence, certainty} of a flow.

import { empty_cache } from "./network.js"

const COLD = 0.25, SNR_HALF = 3, SNR_MOST = 30, KNOWN = -Infinity
const LONGEST = 16, SCORED = 16  // characters of a gap of unknown length, at most, and of its right side that tell it
export const wait = milliseconds => new Promise(after => setTimeout(after, milliseconds))
const where = (values, wanted) => [...values.keys()].filter(i => wanted(values[i]))
const masked_of = (idx, V) => where(idx, token => token === V)

// lab/decoding/sampling.py

export function softmax(row, temp = 1) {
  const most = Math.max(...row), exp = row.map(x => Math.exp((x - most) / temp)), total = exp.reduce((a, b) => a + b)
  return exp.map(x => x / total)
}

export const likeliest = probs => [...probs.keys()].sort((a, b) => probs[b] - probs[a])  // tokens, the first one most

function choose_token(probs, u) {
  const order = likeliest(probs)
  return order.find(token => (u -= probs[token]) < 0) ?? order.at(-1)
}

// A number for each position, whether it is chosen or not: so in Python. -> tokens of those chosen, by position
function sample_tokens(probs, random, chosen) {
  const u = probs.map(random.uniform)
  return Object.fromEntries(chosen.map(i => [i, choose_token(probs[i], u[i])]))
}

// lab/decoding/unmasking.py

const entropy_of = row => row.reduce((nats, p) => nats - (p && p * Math.log(p)), 0)

function select_positions(probs, masked, { confidence_threshold, spacing }) {
  const confidence = probs.map(row => Math.max(...row)), entropy = probs.map(entropy_of)
  const best = masked.reduce((a, b) => confidence[b] > confidence[a] ? b : a)
  const apart = (taken, i) => taken.every(each => Math.abs(each - i) > spacing) ? [...taken, i] : taken
  return masked.filter(i => i === best || confidence[i] >= confidence_threshold)
    .sort((a, b) => entropy[a] - entropy[b]).reduce(apart, [])
}

function two_temps(logits, evidence, { temp, cool_to }, left) {
  const cooled = temp * (cool_to + (1 - cool_to) * left)
  const at = temp => logits.map((row, i) => softmax(row.map((x, token) => x / temp + evidence[i][token])))  // (2)
  return [at(cooled), at(cooled < COLD ? 1 : cooled)]
}

// lab/decoding/gaps.py

// idx: V + 1 is a gap of unknown length -> so many masks as make the text on its right likely
export async function with_masks(model, idx, temp, random) {
  const { vocab_size: V, block_size } = model.config, GAP = V + 1, gap = idx.indexOf(GAP), log_probs = Array(LONGEST).fill(0)
  if (gap < 0) return idx
  const right = [...idx.slice(gap + 1, gap + 1 + SCORED), GAP], scored = right.slice(0, right.indexOf(GAP))
  const left = idx.slice(0, gap).slice(LONGEST + scored.length - block_size)
  for (const longer of log_probs.keys()) {
    const row = left.concat(Array(LONGEST + scored.length).fill(V))
    let i = left.length + 1 + longer
    for (const token of scored) {
      if (token < V) log_probs[longer] += Math.log(softmax((await model({ idx: row }))[i])[token])
      row[i++] = token
    }
    await wait(0)  // so that a browser does not stand still
  }
  const length = 1 + choose_token(softmax(log_probs, temp), random.uniform())
  return with_masks(model, idx.toSpliced(gap, 1, ...Array(length).fill(V)), temp, random)
}

// diffusion_flow.py, and diffusion.py, whose settings have no flow_until

const noise_share = snr => SNR_HALF / (SNR_HALF + snr)
const snr_at = t => Math.min(SNR_MOST, SNR_HALF * (1 - t) / Math.max(t, 1e-6))

function advance_evidence(probs, evidence, snr, guided, { flow_step }, random) {  // (3)
  const noise = probs.map(row => row.map(random.normal)), towards = sample_tokens(probs, random, guided)
  const after = snr.map((each, i) => {
    const left = 1 - flow_step / Math.exp(2 * entropy_of(probs[i]))  // over the squared perplexity
    return i in towards ? Math.max(each, snr_at(noise_share(each) * left)) : 0
  })
  const y = evidence.map((row, i) => row.map((each, token) => {
    const step = after[i] - snr[i]
    return i in towards ? each + step * (token === towards[i]) + Math.sqrt(step) * noise[i][token] : 0
  }))
  return [y, after]
}

async function* diffusion(model, idx, decoding, random) {
  const V = model.config.vocab_size, none = [idx.map(() => Array(V).fill(0)), idx.map(() => 0)]
  let masked = masked_of(idx, V), [evidence, snr] = none
  const chunk_size = masked.length
  while (masked.length) {
    const left = masked.length / chunk_size, flows = left > decoding.flow_until
    if (!flows) [evidence, snr] = none
    const logits = await model({ idx, evidence, snr })
    const [probs, conf_probs] = two_temps(logits, evidence, decoding, left)
    idx = Object.assign([...idx], sample_tokens(probs, random, select_positions(conf_probs, masked, decoding)))
    masked = masked_of(idx, V)
    if (flows && masked.length) [evidence, snr] = advance_evidence(probs, evidence, snr, masked, decoding, random)
    yield { idx, probs, evidence, certainty: snr.map(each => 1 - noise_share(each)) }
  }
}

// streams.py

function begins_of(idx, V, length) {
  const begins = []
  for (const [i, token] of idx.entries())
    begins.push(token < V ? KNOWN : i - begins[i - 1] < length ? begins[i - 1] : i)
  return begins
}

// Each stream writes a character a pass: a position sees what is shown a token of no later pass than its own.
async function* streams(model, idx, { temp, streams, skips_start }, random) {
  const V = model.config.vocab_size, cache = empty_cache(model.config, idx.length)
  const begins = begins_of(idx, V, Math.ceil(masked_of(idx, V).length / streams))
  const passes = begins.map((first, i) => i - (first === KNOWN ? idx.length : first))
  if (skips_start) passes[0] = Infinity
  for (let calls = 0; idx.includes(V); calls++) {
    const columns = where(passes, pass => Math.max(0, pass) === calls)  // the known text with the first characters
    const visible = columns.map(column => passes.map(pass => pass <= passes[column]))
    const shown = columns.map(i => [KNOWN, begins[i]].includes(begins[i - 1]) ? idx[i - 1] : V)
    const logits = await model({ idx: shown, visible, columns }, cache)
    const probs = idx.map((_, i) => columns.includes(i) && softmax(logits[columns.indexOf(i)], temp))
    idx = Object.assign([...idx], sample_tokens(probs, random, columns.filter(i => idx[i] === V)))
    yield { idx, probs }
  }
}

// gpt.py: one stream, which goes on from a text, sees no mask before it, and fills no gap

async function* gpt(model, idx, decoding, random) {
  const masked = masked_of(idx, model.config.vocab_size)
  if (masked[0] && masked[0] + masked.length === idx.length)
    yield* streams(model, idx, { ...decoding, streams: 1, skips_start: true }, random)
}

export const SAMPLERS = { gpt, diffusion, diffusion_flow: diffusion, streams }
