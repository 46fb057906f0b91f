"""What the builder of the page writes, serves and refuses, without a browser."""

import hashlib
import importlib.util
import json
import re
import shutil
import sys
import tarfile
import threading
import urllib.request
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

import methods
import playground
from diffusion import METHOD as diffusion
from diffusion_flow import METHOD as diffusion_flow
from gpt import METHOD as gpt
from lab import cli
from lab.cli import ROOT, UserError
from lab.model import onnx_graph
from lab.model.corpus import Alphabet
from lab.showing import film, page
from playground import SHOWN
from streams import METHOD as streams

needs_onnx = pytest.mark.skipif(importlib.util.find_spec("onnx") is None, reason="needs the extra `page`")


@pytest.fixture
def folder(make_weights, tmp_path):
    """Where random weights of all four lie."""
    for method in (gpt, diffusion, diffusion_flow, streams):
        make_weights(method, f"{method.name}.pt")
    return tmp_path


@pytest.fixture
def built(folder, monkeypatch):
    """A page without its networks and its engine, which take a while."""
    monkeypatch.setattr(playground, "engine_files", lambda: {"engine.wasm": b"\0asm"})
    monkeypatch.setattr(playground, "network", lambda model: b"graph")
    playground.build(playground.load(folder), folder / "build")
    return folder / "build"


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """npm(content) -> how often a stand-in for npm was called, which brings a package whose files hold that content."""
    monkeypatch.setattr(playground, "ROOT", tmp_path)
    monkeypatch.setattr(playground.shutil, "which", lambda name: name)
    calls = []

    def set_up(content, returncode=0):
        source = tmp_path / "source"
        source.write_bytes(content)
        whole = tmp_path / "whole.tgz"
        with tarfile.open(whole, "w:gz") as archive:
            for name in playground.ENGINE:
                archive.add(source, f"package/dist/{name}")
        monkeypatch.setattr(playground, "DIGEST", hashlib.sha512(whole.read_bytes()).hexdigest())

        def pack(command, **_):
            calls.append(command)
            if returncode == 0:
                shutil.copy(whole, command[command.index("--pack-destination") + 1] / "onnxruntime-web-1.30.0.tgz")
            return playground.subprocess.CompletedProcess(command, returncode or 0)

        monkeypatch.setattr(playground.subprocess, "run", pack)
        return calls

    return set_up


def about(text):
    """What a page is told of the networks."""
    return json.loads(re.search(r'id="about">(.*?)</script>', text, re.DOTALL)[1])


def test_the_page_is_a_folder_of_plain_files(built):
    names = {path.name for path in built.iterdir()}
    assert names >= {"index.html", "chinese.html", "page.js", "network.js", "sampler.js", "style.css", "engine.wasm"}
    assert names >= {f"{name}.onnx" for name in SHOWN} and not [name for name in names if name.endswith(".part")]
    for file in page.languages():
        text = (built / file).read_text(encoding="utf-8")
        assert "{{" not in text and not re.search(r"\$[a-z]", text) and "http" not in text
        linked = re.findall(r'(?:href|src)="([^"]*)"', text)
        assert {name for name in linked if name != "data:,"} <= names


def test_each_method_has_a_sampler_and_its_own_settings(built):
    sampler = (ROOT / "web" / "sampler.js").read_text(encoding="utf-8")
    named = re.search(r"SAMPLERS = \{ (.*) \}", sampler)[1].split(", ")
    assert [name.partition(":")[0] for name in named] == [*SHOWN]
    text = (built / "index.html").read_text(encoding="utf-8")
    told = about(text)
    assert told["mask"] == "_" and len(told["characters"]) == 28 and ">to be or not to</textarea>" in text
    for name, method in told["methods"].items():
        assert method["decoding"] == vars(methods.METHODS[name].decoding)
        assert method["config"]["block_size"] == 32
    dials = dict(re.findall(r'name="(\w+)" .*? value="(.*?)"', text))
    assert dials.pop("heat") == "1"
    own = {name: value for method in told["methods"].values() for name, value in method["decoding"].items()}
    assert {name: float(value) for name, value in dials.items()} == {name: own[name] for name in dials} and len(
        dials
    ) == 4


def test_every_word_of_the_page_is_in_the_table_and_every_entry_is_used():
    table = json.loads((ROOT / "lab" / "showing" / "chinese.json").read_text(encoding="utf-8"))
    source = (ROOT / "web" / "index.html").read_text(encoding="utf-8")
    said = {*re.findall(r"\{\{(.*?)\}\}", source)}
    assert said | {page.EVIDENCE} | {*film.LEGEND.values()} == table.keys()


def test_each_panel_has_the_title_of_its_method():
    source = (ROOT / "web" / "index.html").read_text(encoding="utf-8")
    panels = re.findall(r'<section id="(\w+)"><h2>\W*(.*?)\W*</h2>', source)
    assert panels == [(name, methods.METHODS[name].title) for name in SHOWN]


def test_the_chinese_page_says_all_in_chinese(built):
    text = (built / "chinese.html").read_text(encoding="utf-8")
    assert '<html lang="zh-CN">' in text and "掩码扩散" in text
    body = re.sub(
        r"<script.*?</script>|<textarea.*?</textarea>|<button value.*?</button>|<[^>]*>", "", text, flags=re.DOTALL
    )
    assert {*re.findall("[A-Za-z]{2,}", body)} == {"GPT", "English"}
    titles = [method["title"] for method in about(text)["methods"].values()]
    assert titles == ["GPT", "掩码扩散", "扩散 + 流", "多流"]


def test_the_javascript_stays_short():
    counts = {}
    for path in (ROOT / "web").glob("*.js"):
        code = re.sub(r"(^|\s)//.*", "", path.read_text(encoding="utf-8"))
        code += " ".join(re.findall(r"\$\{(.*?)\}", code))  # what a template holds, which is one token besides
        counts[path.name] = len(re.findall(r'"[^"]*"|`[^`]*`|\w+|=>|[-+*/<>=!?&|.]{2,3}|\S', code))
    assert len((ROOT / "web" / "sampler.js").read_text(encoding="utf-8").splitlines()) <= 200
    assert sum(counts.values()) <= 4000, counts


def test_a_network_keeps_its_numbers_at_half_the_size(make_weights):
    onnx, onnxruntime = map(pytest.importorskip, ("onnx", "onnxruntime"))  # the extra `onnx`
    model = methods.load(path=make_weights(diffusion_flow)).model
    whole, half = onnx_graph.graph_of(model), playground.network(model)
    assert len(half) < 0.95 * len(whole)
    onnx.checker.check_model(onnx.load_from_string(half))
    idx, (evidence, snr) = torch.randint(27, (1, 9)), (torch.randn(1, 9, 28), torch.ones(1, 9))
    given = {"idx": idx, "evidence": evidence, "snr": snr}
    sent = {name: value.numpy() for name, value in given.items()}
    first, second = (onnxruntime.InferenceSession(graph).run(None, sent)[0] for graph in (whole, half))
    torch.testing.assert_close(torch.tensor(first), torch.tensor(second), atol=1e-6, rtol=0)


def test_the_engine_is_fetched_once_and_kept(npm):
    calls = npm(b"engine")
    for _ in range(2):
        assert playground.engine_files() == dict.fromkeys(playground.ENGINE, b"engine")
    assert len(calls) == 1 and playground.PACKAGE in calls[0]


def test_a_page_is_told_each_character_as_one():
    """JavaScript counts a character beyond the first 65,536 as two."""
    alphabet = Alphabet("a😀")
    engine = SimpleNamespace(alphabet=alphabet, method=gpt, model=SimpleNamespace(config=gpt.config))
    assert playground.described({"gpt": engine}, str)["characters"] == ["a", "😀"]


def test_another_file_than_the_pinned_one_is_refused(npm, monkeypatch):
    npm(b"engine")
    monkeypatch.setattr(playground, "DIGEST", "another")
    for _ in range(2):  # also when it lies there
        with pytest.raises(UserError, match="not the file of npm .* delete it"):
            playground.engine_files()


@pytest.mark.parametrize("returncode", [1, None])  # None: npm ends well and leaves no file there
def test_without_npm_or_a_network_a_line_says_so(npm, monkeypatch, returncode):
    npm(b"engine", returncode)
    with pytest.raises(UserError, match="is there a network"):
        playground.engine_files()
    monkeypatch.setattr(playground.shutil, "which", lambda name: None)
    with pytest.raises(UserError, match="install Node.js"):
        playground.engine_files()


def test_what_is_served_has_the_types_that_a_browser_wants(built):
    with playground.server(built, "127.0.0.1", 0) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        for name, kind in (("page.js", "text/javascript"), ("engine.wasm", "application/wasm"), ("", "text/html")):
            with urllib.request.urlopen(f"http://127.0.0.1:{running.server_port}/{name}") as answer:
                assert answer.headers["Content-Type"] == kind
        with pytest.raises(UserError, match=f"--port {running.server_port}"):
            playground.server(built, "127.0.0.1", running.server_port)
        running.shutdown()


@needs_onnx
def test_the_command_makes_the_page_and_names_its_address(folder, monkeypatch, capsys):
    monkeypatch.setattr(playground, "engine_files", dict)
    monkeypatch.setattr(playground, "network", lambda model: b"graph")
    monkeypatch.setattr(playground.ThreadingHTTPServer, "serve_forever", lambda self: None)
    argv = ["--weights-dir", str(folder), "--output-dir", str(folder / "site"), "--port", "0"]
    assert cli.run(playground.main, playground.Args, argv) == 0
    assert "Open http://127.0.0.1:" in capsys.readouterr().out and (folder / "site" / "index.html").is_file()
    assert cli.run(playground.main, playground.Args, [*argv, "--no-serve"]) == 0
    assert "Open" not in capsys.readouterr().out


def test_weights_of_different_texts_are_refused(folder, monkeypatch):
    load = playground.methods.load

    def other(name, path):
        engine = load(name, path)
        return replace(engine, alphabet=Alphabet(engine.alphabet.characters[1:])) if name == "gpt" else engine

    monkeypatch.setattr(playground.methods, "load", other)
    with pytest.raises(UserError, match="different characters"):
        playground.load(folder)


def test_without_the_extra_the_command_that_brings_it_is_named(folder, capsys, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["playground.py"])
    assert cli.run(playground.main, playground.Args, ["--weights-dir", str(folder)]) == 2
    assert "uv run --extra page playground.py" in capsys.readouterr().err


@needs_onnx
def test_missing_weights_name_the_command_that_makes_them(tmp_path, capsys, monkeypatch):
    assert cli.run(playground.main, playground.Args, ["--weights-dir", str(tmp_path)]) == 2
    assert "gpt.py --train" in capsys.readouterr().err
