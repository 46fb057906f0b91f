// What a visitor sees and does: the methods write from one canvas on one clock; any cell is read, changed or erased.

import { load } from "./network.js"
import { SAMPLERS, noise_share } from "./sampler.js"

const $ = id => document.getElementById(id)
const { methods, characters, mask } = JSON.parse($("about").textContent)
const MASKED = "s0", NEW = "s2", SETTLED = "s3", EMPTY = "s4"  // as in lab/showing/page.css
const BARS = 5, STACKED = 10, PASSES = 24  // likeliest characters, and in a column of a chart, which has so many
const LINE = 40  // cells that an arrow up skips
const NEW_CHARACTERS = 240  // after a text without gaps
const PAUSE = 400, PICTURE = 40  // milliseconds: before a text, for what else is changed; between pictures
const still = matchMedia("(prefers-reduced-motion: reduce)").matches
const wait = milliseconds => new Promise(after => setTimeout(after, milliseconds))
const tell = (what, more = "") => { $("status").textContent = $("status").dataset[what] + more }
const name = token => ({ " ": "␣", "\n": "⏎" })[characters[token]] ?? characters[token]
const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random())

function make(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties)
  made.append(...children)
  return made
}

const panels = Object.entries(methods).map(([key, method]) => {
  const pre = $(key).querySelector("pre"), figures = $(key).querySelectorAll(".figures b")
  return { key, ...method, pre, figures, cells: [] }
})
let canvas, writing, cursor, wish = 0

// Writing

function read() {
  const text = $("text").value, size = Math.min(...panels.map(panel => panel.config.block_size))
  const signs = [...text.includes(mask) ? text : text + mask.repeat(NEW_CHARACTERS)].slice(0, size)
  const idx = signs.map(sign => characters.indexOf(sign)), masked = signs.map(sign => sign === mask)
  const unknown = signs.filter((_, i) => idx[i] < 0 && !masked[i])
  if (unknown.length) return tell("unknown", unknown.join(" "))
  canvas = { idx, masked }
  start()
}

function start() {
  const mine = ++wish
  writing = writing.then(() => race(() => mine === wish))
}

async function race(wanted) {
  if (!wanted()) return
  panels.forEach(begin)
  tell("writing")
  await wait(PAUSE)
  let left = panels, drawn = 0
  while (left.length && wanted()) {
    const panel = left.reduce((a, b) => a.frames.at(-1).seconds <= b.frames.at(-1).seconds ? a : b)
    if (!await step(panel)) left = left.filter(each => each !== panel)
    if (still || performance.now() - drawn < PICTURE) continue
    panels.forEach(each => show(each, each.frames.length - 1))
    await wait(0)
    drawn = performance.now()
  }
  if (!wanted()) return
  tell("written")
  $("at").value = $("at").max
  seek()
}

function begin(panel) {
  const { heat, ...dials } = Object.fromEntries([...new FormData($("dials"))].map(([dial, value]) => [dial, +value]))
  const decoding = { ...panel.decoding, ...dials, temp: panel.decoding.temp * heat }
  panel.stream = SAMPLERS[panel.key](panel.model, canvas, decoding, { uniform: Math.random, normal })
  panel.frames = [{ ...canvas, probs: canvas.idx.map(() => []), seconds: 0, computed: 0 }]
  panel.cells = canvas.idx.map(() => make("span"))
  panel.pre.replaceChildren(...panel.cells)
  show(panel, 0)
}

async function step(panel) {
  const began = performance.now(), before = panel.frames.at(-1), { value: frame } = await panel.stream.next()
  if (!frame) return false
  const seconds = before.seconds + (performance.now() - began) / 1000, computed = before.computed + panel.model.computed
  const probs = before.probs.map((row, i) => before.masked[i] && frame.probs[i] || row)  // the last that found it masked
  panel.frames.push({ ...frame, probs, seconds, computed })
  return true
}

function show(panel, k) {
  const frame = panel.frames[k], before = panel.frames[k - 1] ?? frame
  panel.at = k
  panel.cells.forEach((cell, i) => {
    const masked = frame.masked[i], probs = frame.probs[i]
    const token = masked ? probs.indexOf(Math.max(...probs)) : frame.idx[i], share = probs[token] ?? +!masked
    const state = masked ? panel.is_causal ? EMPTY : MASKED : before.masked[i] ? NEW : SETTLED
    const level = 1 - noise_share(frame.snr?.[i] ?? 0), look = [state, token, share, level].join()
    if (cell.look === look) return
    Object.assign(cell, { look, className: state, style: `--share: ${share}; --level: ${level}` })
    cell.dataset.sign = characters[token] ?? ""
    cell.textContent = masked ? name(token) ?? "\u00a0" : characters[token]
  })
  const figures = [k, frame.computed.toFixed(1), frame.seconds.toFixed(2)]
  panel.figures.forEach((figure, i) => { figure.textContent = figures[i] })
}

function seek() {
  const clock = Math.max(...panels.map(panel => panel.frames.at(-1).seconds)) * $("at").value / $("at").max
  panels.forEach(panel => show(panel, panel.frames.findLastIndex(frame => frame.seconds <= clock)))
}

// A cell

// The likeliest tokens of probabilities, with these.
const likeliest = (probs, count) =>
  [...probs.keys()].sort((a, b) => probs[b] - probs[a]).slice(0, count).map(token => [token, probs[token]])

// A column for each forward pass that found the cell masked: what it held likely, stacked, or the evidence that goes on.
function chart(panel, i) {
  const passes = panel.frames.filter((frame, k) => frame.probs[i] !== panel.frames[Math.max(0, k - 1)].probs[i])
  const columns = passes.slice(0, PASSES).map(frame => {
    const bars = likeliest(frame.snr?.[i] ? frame.evidence[i] : frame.probs[i], STACKED).map(([token, share]) =>
      make("b", { style: `height: ${100 * share}%` }, share > .2 ? name(token) : ""))
    return make("p", { className: frame.masked[i] ? "" : NEW }, ...bars)
  })
  return make("figure", { className: panel.key }, make("figcaption", {}, panel.title), ...columns)
}

function point(panel, i) {
  cursor?.panel.cells[cursor.i]?.removeAttribute("aria-current")
  cursor = { panel, i }
  const cell = panel.cells[i], best = likeliest(panel.frames[panel.at].probs[i], BARS)
  cell.ariaCurrent = true
  $("bars").replaceChildren(...best.map(([token, share]) => make("button", { onclick: () => edit(token) },
    make("b", { style: `width: ${100 * share}%` }), `${name(token)} ${(100 * share).toFixed(1)} %`)))
  $("charts").replaceChildren(...panels.map(each => chart(each, i)))
  $("cell").showPopover()
  const { left, bottom } = cell.getBoundingClientRect(), { offsetWidth, offsetHeight } = $("cell")
  $("cell").style.left = `${Math.min(left, innerWidth - offsetWidth)}px`
  $("cell").style.top = `${Math.min(bottom + 2, innerHeight - offsetHeight)}px`
}

// No token: the cell is masked. What is masked is written again, by all methods, from this panel's text.
function edit(token) {
  if (token < 0) return
  const { panel, i } = cursor, { idx, masked } = panel.frames[panel.at]
  canvas = { idx: idx.with(i, token), masked: masked.with(i, token === undefined) }
  $("cell").hidePopover()
  start()
}

function press(event) {
  const token = characters.indexOf(event.key), { panel, i } = cursor
  const to = i + { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -LINE, ArrowDown: LINE }[event.key]
  if (event.ctrlKey || event.metaKey || event.altKey) return
  if (panel.cells[to]) point(panel, to)
  else if (["Backspace", "Delete"].includes(event.key)) edit()
  else if (token >= 0) edit(token)
  else return
  event.preventDefault()
}

const pinned = () => $("cell").matches(":focus-within")
for (const panel of panels) {
  const at = event => panel.cells.indexOf(event.target)
  panel.pre.onfocus = () => { if (cursor?.panel !== panel) cursor = { panel, i: 0 } }
  panel.pre.onkeydown = press
  panel.pre.onmouseover = event => { if (at(event) >= 0 && !pinned()) point(panel, at(event)) }
  panel.pre.onmouseleave = () => pinned() || $("cell").hidePopover()
  panel.pre.onclick = event => {
    if (at(event) < 0) return
    point(panel, at(event))
    $("erase").focus()
  }
}
$("cell").onkeydown = press
$("erase").onclick = () => edit()
$("other").oninput = event => edit(characters.indexOf(event.target.value))
$("dials").oninput = event => {
  event.target.previousElementSibling.textContent = event.target.value
  start()
}
$("again").onclick = start
$("text").oninput = read
$("at").oninput = seek
$("examples").onclick = event => {
  $("text").value = event.target.value ?? $("text").value
  read()
}

writing = Promise.all(panels.map(async panel => { panel.model = await load(panel.key, panel.config) }))
writing.catch(error => tell("failed", error.message))
read()
