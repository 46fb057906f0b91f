// What a visitor sees and does: the methods write from one canvas on one clock; any cell is read, changed or erased.

import { Model } from "./network.js"
import { SAMPLERS, noise_share } from "./sampler.js"

const about = JSON.parse(document.getElementById("about").textContent)
const say = phrase => about.words[phrase] ?? phrase
const $ = id => document.getElementById(id)
const make = (tag, properties, ...children) => {
  const made = Object.assign(document.createElement(tag), properties)
  made.append(...children)
  return made
}
const MASKED = "s0", NEW = "s2", SETTLED = "s3", EMPTY = "s4"  // as in lab/showing/page.css
const KEPT = 10, BARS = 5, PASSES = 24  // candidates kept of a cell, and shown; forward passes in a chart
const NEW_CHARACTERS = 240  // after a text without gaps: a chunk
const PAUSE = 700, PICTURE = 40  // milliseconds: after an edit, between pictures
const still = matchMedia("(prefers-reduced-motion: reduce)").matches
const name = token => ({ " ": "␣", "\n": "⏎" })[about.characters[token]] ?? about.characters[token]
const percent = share => (100 * share).toFixed(share < .1 ? 1 : 0) + " %"

const DIALS = [
  ["temp", "Temperature", 0, 1.5, .05],
  ["spacing", "Spacing", 0, 20, 1],
  ["confidence_threshold", "Threshold", 0, 1, .05],
]
const dials = { flow: true, slow: false }
const panels = Object.entries(about.methods).map(([key, method]) => {
  const pre = make("pre", { tabIndex: 0, role: "group", ariaLabel: say(method.title) })
  const figures = make("p", { className: "figures" })
  const head = [make("h2", {}, say(method.title)), make("p", { className: "note" }, say(method.about))]
  document.querySelector("main").append(make("section", { id: key }, ...head, pre, figures))
  return { key, ...method, pre, figures, frames: [], cells: [] }
})
let canvas, seed = 1337, wish = 0, writing, timer, cursor, pinned = false

// A generator of random numbers with a seed (mulberry32, and Box and Muller's normal numbers)
function seeded(state) {
  const uniform = () => {
    state = state + 0x6D2B79F5 | 0
    let x = Math.imul(state ^ state >>> 15, 1 | state)
    x = x + Math.imul(x ^ x >>> 7, 61 | x) ^ x
    return ((x ^ x >>> 14) >>> 0) / 2 ** 32
  }
  return { uniform, normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()) }
}

function likeliest(row) {
  const best = []
  row.forEach((share, token) => {
    if (best.length === KEPT && share <= best.at(-1)[1]) return
    best.push([token, share])
    best.sort((a, b) => b[1] - a[1]).splice(KEPT)
  })
  return best
}

// Writing

function read() {
  const signs = [...$("text").value], size = Math.min(...panels.map(each => each.config.block_size))
  const unknown = signs.filter(sign => sign !== about.mask && !about.characters.includes(sign))
  if (unknown.length || signs.length > size) {
    const unread = say("The networks do not know: ") + unknown.join(" "), long = size + say(" characters at most")
    $("status").textContent = unknown.length ? unread : long
    return
  }
  const L = signs.includes(about.mask) ? signs.length : Math.min(size, signs.length + NEW_CHARACTERS)
  const idx = Array.from({ length: L }, (_, i) => Math.max(0, about.characters.indexOf(signs[i])))
  canvas = { idx, masked: idx.map((_, i) => (signs[i] ?? about.mask) === about.mask) }
  start()
}

function start() {
  const mine = ++wish
  hide()
  writing = writing.then(() => mine === wish && race(() => mine === wish))
}

async function race(wanted) {
  panels.forEach(begin)
  $("at").disabled = true
  $("status").textContent = `${say("Writing, on one clock")} …`
  let left = [...panels], drawn = 0
  const began = performance.now()
  while (left.length) {
    const panel = left.reduce((a, b) => a.frames.at(-1).seconds <= b.frames.at(-1).seconds ? a : b)
    if (!await step(panel)) left = left.filter(each => each !== panel)
    if (!wanted()) return
    const ahead = dials.slow ? 5000 * panel.frames.at(-1).seconds - (performance.now() - began) : 0
    if (still || performance.now() - drawn < PICTURE && ahead < PICTURE) continue
    panels.forEach(each => show(each, each.frames.length - 1))
    await new Promise(after => setTimeout(after, Math.max(0, ahead)))
    drawn = performance.now()
    if (!wanted()) return
  }
  $("status").textContent = say("Written. The slider steps through it.")
  $("at").disabled = false
  $("at").value = $("at").max
  seek()
}

function begin(panel) {
  const flow = dials.flow ? {} : { flow_until: 1 }
  panel.frames = [{ best: [], seconds: 0, computed: 0, ...canvas }]
  panel.note = ""
  const temp = panel.decoding.temp * dials.temp / about.methods.diffusion.decoding.temp  // each at its own at first
  const decoding = { ...panel.decoding, ...dials, ...flow, temp }
  panel.stream = SAMPLERS[panel.key](panel.model, canvas, decoding, seeded(seed))
  if (panel.cells.length !== canvas.idx.length) {
    panel.cells = canvas.idx.map((_, i) => make("span", { i }))
    panel.pre.replaceChildren(...panel.cells)
  }
  show(panel, 0)
}

async function step(panel) {
  const began = performance.now(), before = panel.frames.at(-1)
  try {
    const { value: frame, done } = await panel.stream.next()
    if (done) return false
    const seconds = before.seconds + (performance.now() - began) / 1000, best = [...before.best]
    frame.columns.forEach((column, k) => { if (before.masked[column]) best[column] = likeliest(frame.probs[k]) })
    const evidence = frame.evidence?.map((row, i) => frame.snr[i] > 0 ? likeliest(row) : null)
    panel.frames.push({ ...frame, probs: null, best, evidence, seconds, computed: before.computed + frame.computed })
    return true
  } catch (error) {
    panel.note = say(error.message)
    return false
  }
}

function show(panel, k) {
  const frame = panel.frames[k], before = panel.frames[k - 1] ?? frame, last = !frame.masked.includes(true)
  panel.at = k
  panel.cells.forEach((cell, i) => {
    const masked = frame.masked[i], best = frame.best[i], token = masked ? best?.[0][0] : frame.idx[i]
    const share = best?.find(([each]) => each === token)?.[1] ?? +!masked, sign = about.characters[token] ?? " "
    const state = masked ? panel.is_causal ? EMPTY : MASKED : before.masked[i] && !last ? NEW : SETTLED
    const level = 100 - 100 * noise_share(frame.snr?.[i] ?? 0), look = [state, token, share, level].join()
    if (cell.look === look) return
    Object.assign(cell, { look, className: `${state} p${Math.floor(9 * share)}` })
    cell.style.setProperty("--share", share)
    cell.style.setProperty("--level", `${level}%`)
    const guess = state === EMPTY ? " " : { " ": "\u00a0", "\n": "⏎" }[sign] ?? sign
    cell.replaceChildren(...(masked ? [guess] : sign === "\n" ? [make("i"), "\n"] : [sign]))
  })
  const passes = k + say(k === 1 ? " forward pass" : " forward passes")
  const full = frame.computed.toFixed(1) + say(" full passes")
  panel.figures.textContent = panel.note || [passes, full, frame.seconds.toFixed(2) + say(" s")].join(say(", "))
}

// The slider

function seek() {
  const longest = Math.max(...panels.map(each => each.frames.at(-1).seconds))
  const clock = longest * $("at").value / $("at").max
  panels.forEach(panel => show(panel, panel.frames.findLastIndex(frame => frame.seconds <= clock)))
  if (!$("cell").hidden) point(cursor.panel, cursor.i)
}

// A cell

// A column for each forward pass that found the cell masked: what it held likely, stacked, or what it wrote.
function chart(panel, i) {
  const passes = panel.frames.slice(1, panel.at + 1).filter((_, k) => panel.frames[k].masked[i]).slice(0, PASSES)
  const bar = ([token, share], className) =>
    make("b", { className, style: `height: ${100 * share}%` }, share > .2 ? name(token) : "")
  const columns = passes.map(frame => {
    const likely = (frame.evidence ? frame.evidence[i] : frame.best[i]) || []
    return make("p", {}, ...(frame.masked[i] ? likely.map(each => bar(each, "")) : [bar([frame.idx[i], 1], NEW)]))
  })
  const what = say(panel.frames[1]?.evidence ? "evidence, pass by pass" : "guess, pass by pass")
  return make("figure", { className: panel.key }, make("figcaption", {}, say(panel.title), say(": "), what), ...columns)
}

function point(panel, i) {
  cursor?.panel.cells[cursor.i]?.classList.remove("here")
  cursor = { panel, i }
  const cell = panel.cells[i], frame = panel.frames[panel.at], best = (frame.best[i] ?? []).slice(0, BARS)
  cell.classList.add("here")
  const words = best.map(([token, share]) => `${name(token)} ${percent(share)}`)
  const bar = ([token, share], k) => make("button", { className: "bar", onclick: () => edit(panel, i, token) },
    make("b", { style: `width: ${70 * share}%` }), words[k])
  const other = make("input", { maxLength: 1, size: 2, ariaLabel: say("another character"), placeholder: "?" })
  other.oninput = () => !other.isComposing && edit(panel, i, about.characters.indexOf(other.value))
  const erase = make("button", { textContent: say("Erase"), onclick: () => edit(panel, i) })
  const charts = panels.filter(each => best.length && !each.is_causal).map(each => chart(each, i))
  const actions = make("div", {}, ...best.map(bar), ...(pinned ? [erase, other] : []))
  $("cell").replaceChildren(actions, make("div", {}, ...charts))
  $("cell").hidden = false
  $("cell").className = pinned ? "pinned" : ""
  const box = cell.getBoundingClientRect(), mine = $("cell").getBoundingClientRect()
  const fits = box.bottom + mine.height + 4 < innerHeight || box.top < mine.height
  const left = Math.max(8, Math.min(box.left, document.documentElement.clientWidth - mine.width - 8))
  const top = fits ? box.bottom + 4 : box.top - mine.height - 4
  Object.assign($("cell").style, { left: `${left + scrollX}px`, top: `${top + scrollY}px` })
  $("said").textContent = words.join(say(", ")) || name(frame.idx[i])
}

function hide() {
  pinned = false
  $("cell").hidden = true
}

// No token: the cell is masked. What is masked is written again after a pause, by all methods, from this panel's text.
function edit(panel, i, token) {
  if (token === -1) return
  const { idx, masked, best } = panel.frames[panel.at], others = best.map((each, at) => at === i ? null : each)
  canvas = { idx: idx.with(i, token ?? 0), masked: masked.with(i, token === undefined), best: others }
  wish++
  hide()
  writing = writing.then(() => panels.forEach(begin))
  clearTimeout(timer)
  timer = setTimeout(start, PAUSE)
}

for (const panel of panels) {
  const of = event => event.target.closest("span")?.i
  panel.pre.onmouseover = event => { if (!pinned && of(event) !== undefined) point(panel, of(event)) }
  panel.pre.onmouseleave = () => pinned || hide()
  panel.pre.onclick = event => {
    pinned = of(event) !== undefined
    if (pinned) point(panel, of(event))
  }
  panel.pre.onkeydown = event => {
    const i = cursor?.panel === panel ? cursor.i : 0, { left, top, height } = panel.cells[i].getBoundingClientRect()
    const at = y => document.elementFromPoint(left + 2, y)?.closest("pre span")?.i
    const above = at(top - height / 2), below = at(top + 1.5 * height)
    const to = { ArrowLeft: i - 1, ArrowRight: i + 1, ArrowUp: above, ArrowDown: below }[event.key]
    const token = about.characters.indexOf(event.key)
    if (event.ctrlKey || event.metaKey || event.altKey) return
    if (panel.cells[to]) point(panel, to)
    else if (event.key === "Backspace" || event.key === "Delete") edit(panel, i)
    else if (event.key === "Enter") { pinned = true; point(panel, i) }
    else if (token >= 0) edit(panel, i, token)
    else return
    event.preventDefault()
  }
}
document.addEventListener("keydown", event => { if (event.key === "Escape") hide() })
document.addEventListener("click", event => { if (!event.target.closest("pre, #cell, #steps")) hide() })

// The dials act at once

const later = action => () => { clearTimeout(timer); timer = setTimeout(action, PAUSE / 3) }
for (const [key, label, min, max, step] of DIALS) {
  dials[key] = about.methods.diffusion.decoding[key]
  const value = make("span", { textContent: dials[key] }), input = make("input", { type: "range", min, max, step })
  input.value = dials[key]
  input.oninput = () => { value.textContent = dials[key] = +input.value; later(start)() }
  $("dials").append(make("label", {}, `${say(label)} `, value, input))
}
for (const [key, label] of [["flow", "Flow"], ["slow", "Slow motion"]]) {
  const input = make("input", { type: "checkbox", checked: dials[key] })
  input.onchange = () => { dials[key] = input.checked; start() }
  $("dials").append(make("label", { className: "switch" }, input, ` ${say(label)}`))
}
$("dials").append(make("button", { textContent: say("Another text"), onclick: () => { seed++; read() } }))
const known = about.examples.filter(text => [...text].every(sign => [...about.characters, about.mask].includes(sign)))
$("dials").after(make("p", { id: "examples" }, ...known.map(text =>
  make("button", { textContent: text.replace("\n", " "), onclick: () => { $("text").value = text; read() } }))))
$("text").value = about.opening
$("text").oninput = later(read)
$("at").oninput = seek

writing = Promise.all(panels.map(async panel => { panel.model = await Model.load(`${panel.key}.onnx`, panel.config) }))
writing.catch(error => { $("status").textContent = say("The networks cannot be loaded: ") + error.message })
read()
