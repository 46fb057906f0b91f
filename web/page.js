// What a visitor sees and does: the methods write from one canvas on one clock; any cell is read, changed or erased.

import { load } from "./network.js"
import { SAMPLERS, likeliest, softmax, wait, with_masks } from "./sampler.js"

const named = Object.fromEntries([...document.querySelectorAll("[id]")].map(node => [node.id, node]))
const { about, again, at, bars, charts, dials, erase, examples, films, popup, status, text } = named
const { methods, characters, mask } = JSON.parse(about.textContent)
const signs = [...characters, mask, "*"], V = characters.length  // by token; V: masked, V + 1: a gap of unknown length
const MASKED = "s0", NEW = "s1", SETTLED = "s2"  // as in lab/showing/page.css
const BARS = 5, STACKED = 10  // likeliest characters, and in a column of a chart
const LINE = 40  // cells that an arrow up skips
const NEW_CHARACTERS = 240  // after a text without gaps
const PAUSE = 400, PICTURE = 40  // milliseconds: before a text, for what else is changed; between pictures
const still = matchMedia("(prefers-reduced-motion: reduce)").matches
const tell = (what, more = "") => { status.textContent = status.dataset[what] + more }
const name = token => ({ " ": "␣", "\n": "⏎" })[signs[token]] ?? signs[token]
const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random())
const random = { uniform: Math.random, normal }

function make(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties)
  made.append(...children)
  return made
}

const panels = Object.entries(methods).map(([key, method]) => {
  const [pre, ...figures] = named[key].querySelectorAll("pre, .figures b")
  return { ...method, key, pre, figures }
})
let canvas, cursor, writing

// Writing

function read() {
  const typed = [...text.value], idx = typed.map(sign => signs.indexOf(sign))
  const unknown = typed.filter((_, i) => idx[i] < 0)
  if (unknown.length) tell("unknown", unknown.join(" "))
  else start(Math.max(...idx) < V ? idx.concat(Array(NEW_CHARACTERS).fill(V)) : idx)
}

function start(idx) {
  canvas = idx
  writing = writing.then(() => race(idx))
}

async function race(idx) {
  if (idx !== canvas) return
  tell("writing")
  const [, { model, decoding }] = panels  // masked diffusion tells how long a gap is
  const whole = await with_masks(model, idx, decoding.temp, random)
  for (const panel of panels) begin(panel, whole.slice(0, panel.config.block_size))
  await wait(PAUSE)
  let writers = panels, drawn = 0
  while (writers.length && idx === canvas) {
    const panel = writers.reduce((a, b) => a.last.time <= b.last.time ? a : b)
    if (!await step(panel)) writers = writers.filter(each => each !== panel)
    if (still || performance.now() - drawn < PICTURE) continue
    panels.forEach(each => show(each, each.last))
    await wait(0)
    drawn = performance.now()
  }
  if (idx !== canvas) return
  tell("written")
  at.value = 1
  seek()
}

function begin(panel, idx) {
  const settings = Object.fromEntries(new FormData(dials))  // texts, which count as numbers
  const decoding = { ...panel.decoding, ...settings, temp: panel.decoding.temp * settings.heat }
  panel.last = { idx, probs: idx.map(() => []), computed: 0, time: 0 }
  panel.frames = [panel.last]
  if (panel.pre.children.length !== idx.length)
    panel.pre.replaceChildren(...idx.map((_, i) => make("span", { panel, i })))
  panel.stream = SAMPLERS[panel.key](panel.model, idx, decoding, random)
  show(panel, panel.last)
}

async function step(panel) {
  const began = performance.now(), { value: frame } = await panel.stream.next(), before = panel.last
  if (!frame) return false
  const probs = before.probs.map((row, i) => before.idx[i] === V && frame.probs[i] || row)  // the last that found it masked
  const computed = before.computed + panel.model.computed, time = before.time + performance.now() - began
  panel.last = { ...frame, before, probs, computed, time }
  panel.frames.push(panel.last)
  return true
}

function show(panel, frame) {
  const { idx, probs, before = frame, certainty = [], computed, time } = frame
  panel.shown = frame
  for (const [i, cell] of [...panel.pre.children].entries()) {
    const row = probs[i], masked = idx[i] === V, token = masked ? row.indexOf(Math.max(...row)) : idx[i]
    const state = masked ? MASKED : before.idx[i] === V ? NEW : SETTLED
    const style = `--share: ${row[token] ?? +!masked}; --level: ${certainty[i] ?? 0}`, look = state + token + style
    if (cell.look === look) continue
    const textContent = masked ? name(token) ?? "\u00a0" : signs[token]
    Object.assign(cell, { look, className: state, style, textContent }).dataset.sign = signs[token]
  }
  const said = [panel.frames.indexOf(frame), computed.toFixed(1), (time / 1000).toFixed(2)]
  panel.figures.forEach((figure, i) => { figure.textContent = said[i] })
}

function seek() {
  const clock = Math.max(...panels.map(panel => panel.last.time)) * at.value
  for (const panel of panels) show(panel, panel.frames.findLast(frame => frame.time <= clock))
}

// A cell

// A column for each forward pass that found the cell masked: what it held likely, stacked, or the evidence that goes on.
function chart({ key, title, frames }, i) {
  const passes = frames.filter(({ probs, before }) => before && probs[i] !== before.probs[i])
  const columns = passes.map(({ idx, probs, evidence, certainty }) => {
    const row = certainty?.[i] ? softmax(evidence[i]) : probs[i]
    const parts = likeliest(row).slice(0, STACKED).map(token => make("b", { style: `--share: ${row[token]}` }, name(token)))
    return make("p", { className: idx[i] === V ? "" : NEW }, ...parts)
  })
  return make("figure", { className: key }, make("figcaption", {}, title), ...columns)
}

function point(cell) {
  const { panel, i } = cell, row = panel.shown.probs[i]
  cursor?.removeAttribute("aria-current")
  cursor = cell
  cell.ariaCurrent = true
  bars.replaceChildren(...likeliest(row).slice(0, BARS).map(token => make("button", { style: `--share: ${row[token]}`,
    value: signs[token] }, `${name(token)} ${(100 * row[token]).toFixed(1)} %`)))
  charts.replaceChildren(...panels.map(each => chart(each, i)))
  popup.showPopover()
}

// What is masked then is written again, by all methods, from this panel's text.
function edit(token) {
  if (token < 0) return
  popup.hidePopover()
  start(cursor.panel.shown.idx.with(cursor.i, token))
}

function press(event) {
  const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -LINE, ArrowDown: LINE }[event.key]
  const token = { Backspace: V, Delete: V }[event.key] ?? signs.indexOf(event.key)
  if (event.ctrlKey || event.metaKey || event.altKey || !by && token < 0) return
  event.preventDefault()
  const { panel, i } = event.target.matches("pre:not(:has([aria-current]))") ? event.target.firstChild : cursor
  point(panel.pre.children[i + by] ?? panel.pre.children[i])
  edit(token)
}

document.onmouseover = ({ target }) => {
  if (popup.matches(":focus-within")) return
  if (target.panel) point(target)
  else popup.hidePopover()
}
films.onclick = ({ target }) => {
  if (!target.panel) return
  point(target)
  erase.focus()
}
films.onkeydown = popup.onkeydown = press
popup.onclick = popup.oninput = ({ target }) => edit(signs.indexOf(target.value))
again.onclick = () => start([...canvas])
text.oninput = read
at.oninput = seek
dials.oninput = ({ target }) => {
  target.previousElementSibling.textContent = target.value
  again.click()
}
examples.onclick = ({ target }) => {
  text.value = target.value ?? text.value
  read()
}

writing = Promise.all(panels.map(async panel => { panel.model = await load(panel.key, panel.config) }))
writing.catch(error => tell("failed", error.message))
read()
