"""The page and the film as a visitor meets them, in a real browser.

    uv run --extra page --extra onnx --group browser pytest tests/test_browser.py

Skipped where ONNX, playwright, chromium or npm's file is missing. With SCREENSHOTS=folder set, leaves pictures there.
"""

import itertools
import os
import re
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import CHARACTERS, OPENING
from torch.overrides import TorchFunctionMode

import methods
import playground
import visualize
from diffusion import METHOD as diffusion
from diffusion_flow import METHOD as diffusion_flow
from gpt import METHOD as gpt
from lab import cli
from lab.decoding import gaps, sampling
from lab.decoding.canvas import Canvas
from lab.model import checkpoint
from lab.model.corpus import Alphabet
from streams import METHOD as streams
from streams import order_of, visible_to

pytest.importorskip("onnxscript", reason="the extra `page` is not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="the dependency group `browser` is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if CHROMIUM is None:
    pytest.skip("no chromium on this machine (Debian: apt-get install chromium)", allow_module_level=True)
try:
    playground.engine_files()
except cli.UserError as refusal:
    pytest.skip(str(refusal), allow_module_level=True)
PATIENCE = 60_000  # milliseconds: a machine may be busy
METHODS = (gpt, diffusion, diffusion_flow, streams)


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def tab(browser):
    """open(address) -> a tab there; at the end no tab has asked anybody but this machine for anything."""
    tabs, asked, errors = [], set(), []

    def open(address, **more):
        tab = browser.new_page(viewport={"width": 1366, "height": 768}, **more)
        tab.set_default_timeout(PATIENCE)
        tab.on("request", lambda request: asked.add(request.url))
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tabs.append(tab)
        tab.goto(str(address))
        return tab

    yield open
    for each in tabs:
        each.close()
    assert errors == []
    assert all(url.startswith(("http://127.0.0.1:", "file://", "data:", "blob:")) for url in asked), asked


def served(engines, folder):
    """Build the page of these engines and serve it from a thread -> its address."""
    playground.build(engines, folder)
    running = playground.server(folder, "127.0.0.1", 0)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{running.server_port}"


def tiny(folder, characters=CHARACTERS, opening=OPENING):
    """Engines of all four with small random weights of an alphabet."""
    for method in METHODS:
        torch.manual_seed(0)
        sizes = {"n_layer": 1, "n_embd": 16, "n_head": 2, "block_size": 40}
        config = method.Config(vocab_size=len(characters), **sizes)
        model = method.Model(config)
        torch.nn.init.normal_(model.lm_head.weight)
        about = checkpoint.describe(method.name, config, Alphabet(characters), opening, {"seed": 0})
        checkpoint.save(folder / f"{method.name}.pt", model, about)
    return playground.load(folder)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Where a page of small random networks is served."""
    folder = tmp_path_factory.mktemp("page")
    return served(tiny(folder), folder / "build")


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """Where the page of the shipped weights is served."""
    return served(playground.load(cli.ROOT / "weights"), tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def networks(browser, shipped):
    """A tab in which the scripts of that page are at hand, and nothing is shown."""
    page = browser.new_page()
    page.goto(shipped + "/style.css")
    return page


def picture(tab, name):
    """A picture of the tab, when somebody wants to look at it."""
    if "SCREENSHOTS" in os.environ:
        tab.screenshot(path=Path(os.environ["SCREENSHOTS"]) / f"{name}.png")


def written(page):
    """The page, once all four have written."""
    page.get_by_text("Written. The slider").wait_for()
    return page


def heads(film):
    return film.locator("h2").all_inner_texts()


def texts(page):
    """The text of each panel; a written newline has a sign before it."""
    return [text.replace("⏎", "") for text in page.locator("main pre").all_text_contents()]


def passes(page):
    """The forward passes that each panel says."""
    return [int(said) for said in page.locator(".figures b:first-of-type").all_inner_texts()]


def step_to(page, count):
    """Move the slider to the first moment at which the flow has made so many passes."""
    slider = page.locator("#at")
    slider.fill("0")
    while passes(page)[2] < count:
        slider.press("ArrowRight")


class Recorded(TorchFunctionMode):
    """Keeps every random number that PyTorch draws, in the order of drawing."""

    def __init__(self):
        super().__init__()
        self.numbers = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        if func in (torch.rand, torch.Tensor.normal_):
            self.numbers += made.flatten().tolist()
        return made


WRITE = """async ([name, method, idx, numbers]) => {
  const { load } = await import("./network.js"), { SAMPLERS } = await import("./sampler.js")
  const model = await load(name, method.config), next = () => numbers[used++]
  let used = 0, last
  for await (const frame of SAMPLERS[name](model, idx, method.decoding, { uniform: next, normal: next })) last = frame
  return [last.idx, used]
}"""
CANVASES = {
    "opening": "First Citizen:\n",
    "gaps": "First Ci_____:\nWhat is the ____ of this?\n____ed, my lord; and ____",
}
SETTINGS = (  # beside a chunk that is the whole text
    {},
    {"confidence_threshold": 0.6, "spacing": 2, "temp": 0.8, "streams": 7},
    {"temp": 0.1, "cool_to": 1.0, "flow_until": 0.0, "streams": 1},
)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    "name, canvas", [("gpt", "opening"), *itertools.product(("diffusion", "diffusion_flow", "streams"), CANVASES)]
)
def test_the_page_writes_what_python_writes(networks, name, canvas, seed):
    """Character for character, with as many of the same random numbers; gpt fills no gaps.

    GPT, which draws one number a pass, is one stream there, which draws one for each position.
    """
    engine = methods.load(name)
    settings = SETTINGS[seed] | {"target_chunk_len": 256}
    settings = {key: value for key, value in settings.items() if hasattr(engine.method.decoding, key)}
    decoding = replace(engine.method.decoding, **settings)
    text, alphabet = CANVASES[canvas], engine.alphabet
    gaps = canvas == "gaps"
    made = Canvas(*alphabet.encode_masked(text)).repeat(1) if gaps else Canvas.after(alphabet.encode(text), 110)
    with Recorded() as drawn:
        *_, last = engine.method.generate(engine.model, made, decoding, [sampling.generator(seed)])
    about = {"config": vars(engine.model.config), "decoding": vars(decoding)}
    idx = made.idx.masked_fill(made.masked, len(alphabet))[0].tolist()
    numbers = [number for number in drawn.numbers for _ in (idx if name == "gpt" else "1")]
    assert networks.evaluate(WRITE, [name, about, idx, numbers]) == [last.idx[0].tolist(), len(numbers)]


LENGTHS = """async ([config, idx, temp, numbers]) => {
  const { load } = await import("./network.js"), { with_masks } = await import("./sampler.js")
  return await with_masks(await load("diffusion", config), idx, temp, { uniform: () => numbers.shift() })
}"""
AFTER_MUCH = "to be or not to be\n" * 13 + "First *: m"


@pytest.mark.parametrize("text", ["First * of Rome, sp_ak * me.", AFTER_MUCH], ids=["two", "long"])
def test_the_page_finds_the_lengths_that_python_finds(networks, text):
    """Of a gap that is told by the text up to the next one, and of one behind more than a network reads."""
    engine = methods.load("diffusion")
    signs = [*engine.alphabet.characters, engine.alphabet.mask, gaps.GAP]
    with Recorded() as drawn:
        whole = gaps.with_masks(engine, text, 16, 0.8, sampling.generator(1))
    idx, expected = ([signs.index(sign) for sign in each] for each in (text, whole))
    assert networks.evaluate(LENGTHS, [vars(engine.model.config), idx, 0.8, drawn.numbers]) == expected


LOGITS = """async ([name, config, states]) => {
  const { load, empty_cache } = await import("./network.js"), made = []
  const model = await load(name, config)
  for (const given of states) made.push(await model(given, given.visible && empty_cache(config, given.idx.length)))
  return made
}"""


@pytest.mark.parametrize("method", METHODS[1:], ids=lambda method: method.name)
@torch.inference_mode()
def test_the_networks_of_the_page_are_those_of_pytorch(networks, method):
    """On ten states of half masked tokens, the flow's with evidence, those of streams with what each position sees."""
    model = methods.load(method.name).model
    rng, V, states = torch.Generator().manual_seed(0), model.config.vocab_size, []
    for T in range(20, 220, 20):
        idx = torch.randint(V, (1, T), generator=rng).masked_fill(torch.rand(1, T, generator=rng) < 0.5, V)
        snr = 20 * torch.rand(1, T, generator=rng) * (idx == V)
        evidence = 5 * torch.randn(1, T, V, generator=rng) * (snr[..., None] > 0)
        states.append({"idx": idx})
        if method is diffusion_flow:
            states[-1] |= {"evidence": evidence, "snr": snr}
        if method is streams:
            order = order_of(torch.rand(1, T, generator=rng) < 0.2, torch.tensor([[3]]))
            states[-1]["visible"] = visible_to(order)
    sent = [{name: part[0].tolist() for name, part in state.items()} for state in states]
    if method is streams:
        sent = [state | {"columns": [*range(len(state["idx"]))]} for state in sent]
    made = networks.evaluate(LOGITS, [method.name, vars(model.config), sent])
    for state, logits in zip(states, made, strict=True):
        torch.testing.assert_close(torch.tensor(logits), model(**state)[0], atol=1e-3, rtol=0)


def test_the_shipped_weights_write_when_the_page_opens(tab, shipped):
    """Nothing is pressed. Leaves the README's picture: the seventh forward pass, and what the flow holds at a cell."""
    page = tab(shipped)
    count = "document.querySelectorAll('main {}').length"
    page.wait_for_function(f"{count.format('.s1')} && {count.format('.s0')} > 100")  # seen while it writes
    assert passes(written(page))[::3] == [240, 60] and max(passes(page)[1:3]) < 30
    assert page.locator("main pre .s0").count() == 0
    assert all(text.startswith("First Citizen:\n") and len(text) == 255 for text in texts(page))
    step_to(page, 6)
    levels = page.locator("#diffusion_flow .s0").evaluate_all(
        "all => all.map(x => parseFloat(x.style.getPropertyValue('--level')))"
    )
    assert max(levels) > 0.3
    page.evaluate("scrollTo(0, 0)")
    page.locator("#diffusion_flow .s0").nth(levels.index(max(levels))).hover()
    assert page.locator("#popup figure.diffusion_flow p").count() >= 6
    page.locator("nav").evaluate("nav => nav.remove()")  # not every machine has a Chinese font
    picture(page, "playground")


ERASE = """async () => {
  document.getElementById("erase").click()
  await new Promise(after => setTimeout(after))
  return document.querySelectorAll("main pre .s0").length
}"""


def test_a_letter_is_erased_and_written_again_while_the_rest_stays(tab, address):
    page = written(tab(address))
    before = texts(page)[1]
    page.locator("#diffusion pre span").nth(20).click()
    assert page.locator("#bars button").count() == 5  # what else was likely
    assert page.evaluate(ERASE) == 4
    gpt_text, *others = texts(written(page))
    assert len(gpt_text) == 40 and page.locator("#gpt .s0").count() == 1  # gpt leaves it blank
    assert all(text[:20] + text[21:] == before[:20] + before[21:] for text in others)
    assert passes(page) == [0, 1, 1, 1] and page.locator("main pre .s0").count() == 1


def test_a_letter_is_changed_by_its_bars_or_by_typing(tab, address):
    page = written(tab(address))
    page.locator("#diffusion pre span").nth(20).click()
    second = page.locator("#bars button").nth(1)
    sign = second.inner_text().split()[0]
    second.click()
    assert [text[20] for text in texts(written(page))] == [{"␣": " ", "⏎": "\n"}.get(sign, sign)] * 4
    page.locator("#diffusion pre span").nth(21).click()
    page.get_by_label("another character").fill("z")
    assert [text[21] for text in texts(written(page))] == ["z"] * 4
    assert passes(page) == [0] * 4  # nothing is masked
    page.locator("#diffusion pre span").nth(22).click()
    page.get_by_label("another character").click()  # what was typed there last is no change of this one
    assert page.locator("#popup").is_visible() and texts(page)[0][21:23] != "zz"


def test_the_keyboard_is_enough(tab, address):
    page = written(tab(address))
    page.locator("#diffusion pre").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowUp", "ArrowLeft", "q"):
        page.keyboard.press(key)
    assert [text[1] for text in texts(written(page))] == ["q"] * 4
    page.locator("#diffusion pre span").nth(19).click()
    page.keyboard.press("Escape")
    assert not page.locator("#popup").is_visible()
    page.keyboard.press("ArrowRight")
    assert page.locator("#popup").is_visible()
    page.keyboard.press("Delete")
    assert passes(written(page)) == [0, 1, 1, 1]


def test_the_dials_act_at_once(tab, address):
    page = written(tab(address))
    many = passes(page)
    page.get_by_label("Spacing").fill("0")
    assert passes(written(page))[1:3] == [1, 1] != many[1:3]
    page.get_by_label("Spacing").fill("8")
    page.get_by_label("Threshold").fill("1")
    masked = page.locator("#diffusion pre span").count() - len(OPENING[:15])
    plain, flow = passes(written(page))[1:3]
    assert plain == masked >= flow > masked / 2  # evidence may make two cells certain at once
    step_to(page, 3)
    level = "all => all.filter(x => parseFloat(x.style.getPropertyValue('--level')) > 0).length"
    flowing = page.locator("#diffusion_flow span").evaluate_all(level)
    assert flowing > 10 and page.locator("#diffusion span").evaluate_all(level) == 0
    page.locator("[name=flow_step]").fill("0")
    step_to(written(page), 3)
    assert page.locator("#diffusion_flow span").evaluate_all(level) == 0
    page.locator("[name=streams]").fill("9")
    assert passes(written(page))[3] == 3
    before = texts(page)
    page.get_by_role("button", name="Another text").click()
    assert texts(written(page)) != before


def test_the_slider_steps_through_all_on_one_clock(tab, address):
    page = written(tab(address))
    whole = texts(page)
    page.locator("#at").fill("0")
    assert passes(page) == [0] * 4 and page.locator("#diffusion .s0").count() == 25
    step_to(page, 1)
    assert page.locator("#diffusion_flow .s1").count() == 25 - page.locator("#diffusion_flow .s0").count() > 0
    page.locator("#diffusion_flow .s0").last.click()
    assert page.locator("#popup figure.diffusion_flow p").count() > 1
    page.keyboard.press("Escape")
    page.locator("#diffusion .s0").last.hover()
    assert page.locator("#popup").is_visible()
    page.locator("h1").hover()
    assert not page.locator("#popup").is_visible()
    page.locator("#at").press("End")
    assert texts(page) == whole


def test_what_the_networks_do_not_know_is_said(tab, address):
    page = written(tab(address))
    page.get_by_label("The text to go on from").fill("TO be <i>")
    page.get_by_text("The networks do not know: T O < >").wait_for()
    page.get_by_label("The text to go on from").fill("a" * 41)  # cut to what fits
    assert texts(written(page)) == ["a" * 40] * 4
    page.get_by_label("The text to go on from").fill("to * or not")  # a gap of 1 to 16 characters
    _, *others = texts(written(page))
    assert len(set(map(len, others))) == 1 and all(re.fullmatch("(?s)to .{1,16} or not", text) for text in others)
    page.get_by_label("The text to go on from").fill("to __ or not to ___")
    assert all(text[:3] + text[5:16] == "to  or not to " for text in texts(written(page))[1:])


def test_the_page_speaks_chinese(tab, address):
    page = tab(address)
    page.get_by_role("link", name="中文").click()
    page.get_by_text("已写完").wait_for()
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    assert page.locator("h2").all_inner_texts()[:4] == ["GPT", "掩码扩散", "扩散 + 流", "多流"]
    said = page.locator("body").evaluate(
        "body => [...body.querySelectorAll('p, label, summary, button, option')].map(x => x.innerText).join(' ')"
    )
    assert not {word for word in said.split() if len(word) > 4 and word.isascii() and word.isalpha()} - {
        "First",
        "teach",
        "Citizen",
        "RICHARD",
    }
    page.get_by_role("link", name="English").click()
    written(page)


def test_weights_of_a_chinese_text_work(tab, tmp_path):
    """They are as many as those of the other page, so that the networks are the same and need no second export."""
    opening, others = "宝玉道：“今日天气好，我们去园", "\n黛" + "".join(map(chr, range(0x6000, 0x6100)))
    characters = "".join(sorted((opening + others)[: len(CHARACTERS)]))
    page = tab(served(tiny(tmp_path, characters, opening), tmp_path / "build"))
    assert all(text.startswith("宝玉道：“今日天气好，我们去") and len(text) == 40 for text in texts(written(page)))
    own, *others = page.locator("#examples button").all()
    assert [each.inner_text() for each in others] == ["宝玉道：", "黛玉__道："]
    page.get_by_label("The text to go on from").fill("黛玉")
    own.click()
    assert page.get_by_label("The text to go on from").input_value() == "宝玉道：“今日天气好，我们去园"
    assert all(text.startswith("宝玉道：“今日天气好，我们去") for text in texts(written(page)))


def test_it_writes_without_a_network_once_it_is_loaded(tab, address):
    page = written(tab(address))
    before = texts(page)
    page.context.set_offline(True)
    page.get_by_role("button", name="Another text").click()
    assert texts(written(page)) != before


def test_less_motion_shows_the_written_text_only(tab, address):
    page = tab(address, reduced_motion="reduce")
    page.evaluate("""() => {
      window.moved = 0
      new MutationObserver(() => window.moved++).observe(document.querySelector("#gpt pre"), { subtree: true, childList: true })
    }""")
    written(page)
    assert page.evaluate("window.moved") < 5


CONTRASTS = """() => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number)
  const light = colour => rgb(colour).slice(0, 3).map(c => (c /= 255) <= .04 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0)
  const behind = node => (rgb(getComputedStyle(node).backgroundColor)[3] ?? 1) ? getComputedStyle(node).backgroundColor : behind(node.parentElement)
  return [...document.querySelectorAll("header p, .note, .figures, .films pre span:not(.s0), button")].map(node => {
    const [low, high] = [light(getComputedStyle(node).color), light(behind(node))].sort((a, b) => a - b)
    return (high + .05) / (low + .05)
  })
}"""


def test_it_fits_every_screen_and_stands_out_from_it(tab, shipped):
    page = tab(shipped)
    page.locator("main pre .s1").nth(5).wait_for()
    for scheme, size in itertools.product(("light", "dark"), ((1366, 768), (390, 844), (1920, 1080))):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.evaluate("scrollTo(0, 0)")
        assert min(page.evaluate(CONTRASTS)) >= 4.5
        picture(page, f"{size[0]}_{scheme}")
        assert page.locator("main pre").first.bounding_box()["y"] < size[1] * 0.6
        page.locator("#diffusion pre span").nth(60).click()
        assert min(page.evaluate(CONTRASTS)) >= 4.5
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.keyboard.press("Escape")


def test_the_film_opens_from_disk_and_obeys_slider_keys_and_button(tab, make_weights, tmp_path):
    weights = {method.name: str(make_weights(method, f"{method.name}.pt")) for method in (gpt, diffusion)}
    argv = ["--weights", f"{weights['diffusion']},{weights['gpt']}", "--blocks", "1", "--compare"]
    path = tmp_path / "film.html"
    assert cli.run(visualize.main, visualize.Args, [*argv, "--save", str(path)]) == 0
    page = tab(path.as_uri())
    at, button = page.locator("#at"), page.locator("#go")
    assert button.inner_text() == "Pause" and page.locator("pre").count() == 2
    assert page.locator("#by").input_value() == "time" and "slower than real" in page.locator("#caption").inner_text()
    page.keyboard.press("Space")
    assert button.inner_text() == "Play"
    at.fill("0")
    assert page.locator("section").nth(0).locator(".s0").count() == 240 and " 0 forward passes," in heads(page)[0]
    page.keyboard.press("ArrowRight")
    assert at.input_value() == "1"
    page.keyboard.press("ArrowLeft")
    assert at.input_value() == "0"
    button.click()
    assert button.inner_text() == "Pause"
    page.keyboard.press("Space")  # the button has the focus: one press, one change
    assert button.inner_text() == "Play"
    at.fill(at.get_attribute("max"))
    assert page.locator(".films .s0").count() == 0
    for width in (1366, 400):
        page.set_viewport_size({"width": width, "height": 768})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        picture(page, f"{width}_film")
