"""The page and the film as a visitor meets them, in a real browser.

    uv run --extra page --group browser pytest tests/test_browser.py

Skipped where gradio, playwright or chromium is missing. With SCREENSHOTS=folder set, leaves pictures there.
"""

import contextlib
import os
import shutil
from pathlib import Path

import pytest

import playground
import visualize
from diffusion import METHOD as diffusion
from diffusion_flow import METHOD as diffusion_flow
from gpt import METHOD as gpt
from lab import cli
from methods import METHODS

pytest.importorskip("gradio", reason="the extra `page` is not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="the dependency group `browser` is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if CHROMIUM is None:
    pytest.skip("no chromium on this machine (Debian: apt-get install chromium)", allow_module_level=True)
PATIENCE = 120_000  # milliseconds: a machine may be busy


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

    def open(address, width=1280, height=900, scheme="light"):
        tab = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
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


@contextlib.contextmanager
def served(folder):
    """The address of a page with the weights in a folder."""
    gradio = playground.find_gradio()
    evaluator = [playground.methods.load("gpt", path) for path in folder.glob("evaluator.pt")]
    blocks = playground.build(gradio, playground.load(folder), *evaluator)
    try:
        yield playground.serve(gradio, blocks)
    finally:
        blocks.close()


@pytest.fixture
def address(make_weights, tmp_path):
    """Where a page with random weights of all three is served during a test."""
    for method in (gpt, diffusion, diffusion_flow):
        make_weights(method, f"{method.name}.pt")
    with served(tmp_path) as address:
        yield address


def picture(tab, name):
    """A picture of the whole tab, when somebody wants to look at it."""
    if "SCREENSHOTS" in os.environ:
        tab.screenshot(path=Path(os.environ["SCREENSHOTS"]) / f"{name}.png", full_page=True)


def write(tab, prompt):
    """Ask for 40 characters after a prompt."""
    tab.get_by_label("Text to go on from").fill(prompt)
    tab.get_by_label("Characters to write").fill("40")
    tab.get_by_role("button", name="Write").click()


def film_of(tab):
    """The film within the page, once what was asked for is written."""
    tab.locator("#message").get_by_text("Done.").wait_for()
    film = tab.frame_locator("iframe[title=film]")
    film.locator("section pre").nth(2).wait_for()
    film.locator("#by").select_option("call")
    return film


def heads(film):
    return film.locator("h2").all_inner_texts()


def test_the_shipped_weights_write_from_the_default_prompt(tab):
    """Leaves the README's picture."""
    with served(cli.ROOT / "weights") as address:
        page = tab(address)
        page.get_by_role("button", name="Write").click()
        film = film_of(page)
        assert heads(film)[0].startswith("GPT: 240 calls")
        assert ["NLL" in note for note in film.locator(".note").all_inner_texts()] == [True] * 3
        film.locator("#at").fill("5")
        picture(page, "playground")


@pytest.mark.parametrize("width", [1280, 400])
def test_a_text_is_written_live_and_can_be_stepped_through(tab, address, width):
    page = tab(address, width)
    page.get_by_role("button", name="Write").wait_for()
    picture(page, f"{width}_before")
    write(page, "to be ")
    page.locator("#view .films pre .s0").first.wait_for()  # masked characters are seen while it writes
    picture(page, f"{width}_during")
    film = film_of(page)
    assert [head.split(":")[0] for head in heads(film)] == [method.title for method in METHODS.values()]
    assert heads(film)[0].startswith("GPT: 40 calls")
    assert film.locator("pre .s0").count() == 0
    picture(page, f"{width}_after")
    film.locator("#at").fill("3")
    assert [" 3 calls," in head for head in heads(film)] == [True] * 3
    assert film.locator("section").nth(0).locator(".s4").count() == 37
    film.locator("section").nth(0).locator("pre span").nth(7).hover()
    assert film.locator("#best").inner_text().count(" %") == 5  # what else it might have been
    film.locator("#at").press("ArrowRight")
    assert " 4 calls," in heads(film)[0]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    picture(page, f"{width}_step")


def test_gaps_are_filled_and_locked_letters_stay(tab, address):
    page = tab(address)
    page.get_by_label("Text to go on from").fill("to __ or not to ___")
    page.get_by_role("button", name="Write").click()
    film = film_of(page)
    assert heads(film)[0].startswith("GPT:") and "cannot fill a masked span" in film.locator(".note").inner_text()
    texts = [text.replace("\n", " ") for text in film.locator("pre").all_text_contents()]
    assert all(text[:3] + text[5:16] == "to  or not to " for text in texts)
    assert film.locator("section").nth(0).locator(".s4").count() == 5
    assert page.locator(".fillings pre").count() == 5
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Seed").wait_for()
    picture(page, "1280_gaps")


def test_the_page_speaks_chinese_and_its_film_can_be_kept(tab, address, tmp_path):
    page = tab(address)
    page.get_by_role("link", name="中文").click()
    page.get_by_role("button", name="生成").wait_for()
    film = page.frame_locator("iframe[title=film]")
    film.locator("section").nth(2).wait_for()
    assert [head.split(":")[0] for head in heads(film)] == ["GPT", "掩码扩散", "扩散 + 流"]
    with page.expect_download() as kept:
        film.locator("#save").click()
    kept.value.save_as(tmp_path / "film.html")
    alone = tab((tmp_path / "film.html").as_uri())
    assert alone.locator("section").count() == 3 and not alone.locator("#save").is_visible()
    alone.locator("#at").fill("0")
    assert alone.locator(".bars i").all_inner_texts() == ["0.00 秒"] * 3


def test_stop_ends_the_writing_and_the_next_wish_is_served(tab, address):
    page = tab(address)
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("number input for Slow motion").fill("20")
    page.get_by_label("Text to go on from").fill("to be ")
    page.get_by_label("Characters to write").fill("480")
    assert not page.locator("#stop").is_visible()  # there while it writes only
    page.get_by_role("button", name="Write").click()
    page.locator("#view .films pre .s0").first.wait_for()
    held = []  # a slow server: "Stopped." must not be said before it has stopped
    page.route("**/cancel", lambda route: held.append(route))
    page.get_by_role("button", name="Stop").click()
    page.wait_for_timeout(1000)
    assert len(held) == 1 and "Stopped." not in page.locator("#message").inner_text()
    held[0].continue_()
    page.locator("#message").get_by_text("Stopped.").wait_for()
    write(page, "or not ")
    assert heads(film_of(page))[0].startswith("GPT: 40 calls")


def test_a_refusal_is_a_sentence_on_the_page(tab, address):
    page = tab(address)
    write(page, "TO BE <i>")
    page.locator("#message .refused").get_by_text("does not know").wait_for()
    assert "Traceback" not in page.content() and page.locator("iframe").count() == 0
    picture(page, "1280_refusal")
    page.get_by_label("Characters to write").fill("3.5")
    page.get_by_label("Text to go on from").fill("to be ")
    page.get_by_role("button", name="Write").click()
    page.locator("#message .refused").get_by_text("Characters to write: a whole number, not 3.5").wait_for()
    assert "Stopped." not in page.locator("#message").inner_text()


CONTRASTS = """() => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number)
  const light = colour => rgb(colour).slice(0, 3).map(c => (c /= 255) <= .04 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0)
  const behind = node => (rgb(getComputedStyle(node).backgroundColor)[3] ?? 1) ? getComputedStyle(node).backgroundColor : behind(node.parentElement)
  return [...document.querySelectorAll(".films pre span:not(.s0)")].map(node => {
    const [low, high] = [light(getComputedStyle(node).color), light(behind(node))].sort((a, b) => a - b)
    return (high + .05) / (low + .05)
  })
}"""


@pytest.mark.parametrize("size", [(1366, 650), (390, 844), (1920, 1080)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_characters_are_in_view_and_stand_out_while_it_writes(tab, address, size, scheme):
    page = tab(address, *size, scheme)
    write(page, "to be ")
    page.locator("#view .films pre .s2").first.wait_for()
    assert min(page.evaluate(CONTRASTS)) >= 4.5
    assert page.locator("#view .films pre").first.bounding_box()["y"] < size[1] * 0.6
    picture(page, f"{size[0]}_{scheme}")
    film_of(page)
    assert min(page.frames[-1].evaluate(CONTRASTS)) >= 4.5


def test_ten_tabs_are_served_one_after_the_other(tab, address):
    pages = [tab(address) for _ in range(10)]
    for i, page in enumerate(pages):
        write(page, f"{'abcdefghij'[i]} be ")
    picture(pages[-1], "1280_waiting")
    for i, page in enumerate(pages):
        assert heads(film_of(page))[0].startswith("GPT: 40 calls")
        assert page.frame_locator("iframe").locator("pre").first.text_content()[0] == "abcdefghij"[i]


@pytest.mark.parametrize("width", [1280, 400])
def test_the_film_opens_from_disk_and_obeys_slider_keys_and_button(tab, make_weights, tmp_path, width):
    weights = {method.name: str(make_weights(method, f"{method.name}.pt")) for method in (gpt, diffusion)}
    argv = ["--weights", weights["diffusion"], "--gpt-weights", weights["gpt"], "--blocks", "1", "--compare"]
    path = tmp_path / "film.html"
    assert cli.run(visualize.main, visualize.Args, [*argv, "--save", str(path)]) == 0
    page = tab(path.as_uri(), width)
    at, button = page.locator("#at"), page.locator("#go")
    assert button.inner_text() == "Pause" and page.locator("pre").count() == 2
    assert page.locator("#by").input_value() == "time" and "slower than real" in page.locator("#caption").inner_text()
    page.keyboard.press("Space")
    assert button.inner_text() == "Play"
    at.fill("0")
    assert page.locator("section").nth(0).locator(".s0").count() == 240 and " 0 calls," in heads(page)[0]
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
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    picture(page, f"{width}_film")
