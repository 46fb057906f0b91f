"""Make the page on which the four write in a browser: a folder for any web server, without Python.

    uv run --extra page playground.py                               make it, and serve it to this machine
    uv run --extra page playground.py --no-serve --output-dir site  make it only

The networks are those of the weights, exported; onnxruntime-web, from npm, computes them in the visitor's browser.
"""

import base64
import contextlib
import hashlib
import html
import importlib.util
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import asdict, dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from string import Template

import lab.start  # noqa: F401 (before PyTorch)

import methods
from lab import cli
from lab.cli import ROOT, UserError, check, check_range
from lab.decoding.gaps import GAP
from lab.files import atomic
from lab.model import onnx_graph
from lab.progress import Bar
from lab.showing import page

PACKAGE = "onnxruntime-web@1.30.0"
DIGEST = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="  # SHA-512
ENGINE = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")  # what the page needs of it
SHOWN = {  # each has a sampler of its name in web/sampler.js
    "gpt": "One character per forward pass, from left to right. It sees only what stands to the left, and fills no gap.",
    "diffusion": "Every cell begins masked. A pass guesses all of them, from both sides, and writes those that it is "
    "surest of, well apart.",
    "diffusion_flow": "The same, but a masked cell is not blank to the network: it carries evidence, a noisy guess that "
    "grows clearer with every early pass (the rising colour).",
    "streams": "Several GPTs in one text, in step: a pass writes the next character of each stream, in sight of what all the "
    "others have written.",
}
PANEL = """<section id="{name}"><h2>{title}</h2><p class="note">{about}</p>
<pre tabindex="0" role="group" aria-label="{title}"></pre>
<p class="figures">{{{{forward passes}}}} <b></b>, {{{{full passes}}}} <b></b>, {{{{seconds}}}} <b></b></p></section>"""
EXAMPLES = (  # beside the text's own opening, where the networks know their characters
    "KING RICHARD III:\nMy ",
    "The k___ is dead, long live the q____!",
    "First * of Rome, speak.",
    "宝玉道：",
    "黛玉__道：",
)
FILES = {"English": "index.html", "中文": "chinese.html"}


@dataclass(frozen=True)
class Args:
    weights_dir: Path = ROOT / "weights"  # where the weights of the four lie
    output_dir: Path = ROOT / "web-build"  # the folder to make
    serve: bool = True  # serve it until Ctrl-C, and not only make it
    host: str = "127.0.0.1"  # this machine only; 0.0.0.0: whoever reaches it, as in a class
    port: int = 7860  # 0: any that is free

    def __post_init__(self):
        check_range(self, 0, 65535, "port")


def load(folder):
    """The engines by name. Raises UserError, also where they know different characters."""
    engines = {name: methods.load(name, folder / f"{name}.pt") for name in SHOWN}
    same = len({engine.alphabet for engine in engines.values()}) == 1
    check(same, f"{folder}: they were trained on texts with different characters")
    return engines


def build(engines, folder):
    """Write the page into a folder. Raises UserError."""
    files = engine_files() | {f"{name}.onnx": network(engine.model) for name, engine in engines.items()}
    web = ROOT / "web"
    files |= {path.name: path.read_bytes() for path in web.glob("*.js")}
    files["style.css"] = (page.style() + (web / "style.css").read_text(encoding="utf-8")).encode()
    for language, say in page.languages().items():
        files[FILES[language]] = words(language, say, engines).encode()
    for name, content in files.items():
        with atomic(folder / name) as file:
            file.write(content)


def described(engines, say):
    """What the page's script is told: characters, mask symbol, and of each method title, sizes and default settings."""
    alphabet, told = engines["gpt"].alphabet, {}
    for name, engine in engines.items():
        sizes, settings = asdict(engine.model.config), asdict(engine.method.decoding)
        told[name] = {"title": say(engine.method.title), "config": sizes, "decoding": settings}
    return {"characters": list(alphabet.characters), "mask": alphabet.mask, "methods": told}


def words(language, say, engines):
    """The page in a language: each of its {{phrases}} is a key of lab/showing/chinese.json, each $name a value."""
    first = engines["gpt"]
    links = " ".join(f'<a href="{file}" lang="">{name}</a>' for name, file in FILES.items() if name != language)
    opening, characters = html.escape(first.opening[:15]), {*first.alphabet.characters, first.alphabet.mask, GAP}
    known = [opening, *filter(characters.issuperset, EXAMPLES)]
    buttons = " ".join(f'<button value="{text}">{text}</button>' for text in known)
    values = asdict(engines["diffusion_flow"].method.decoding) | asdict(engines["streams"].method.decoding)
    values |= {"about": page.embedded(described(engines, say)), "languages": links, "examples": buttons}
    values |= {"opening": opening, "mask": html.escape(first.alphabet.mask), "legend": page.legend(say, flows=True)}
    source = (ROOT / "web" / "index.html").read_text(encoding="utf-8")
    source = source.replace("$panels", "\n".join(map(panel, engines.values())))
    source = re.sub(r"\{\{(.*?)\}\}", lambda found: html.escape(say(found[1]), quote=False), source)
    return Template(source).substitute(values)


def panel(engine):
    """The place of a method on the page."""
    return PANEL.format(name=engine.name, title=f"{{{{{engine.method.title}}}}}", about=f"{{{{{SHOWN[engine.name]}}}}}")


def network(model):
    """The graph of a model, its weights in bfloat16: exact, because their file holds them so, and half the size."""
    import onnx  # not at the top: an extra

    model_proto = onnx.load_from_string(onnx_graph.graph_of(model))
    graph = model_proto.graph
    for weights in graph.initializer:
        values = onnx.numpy_helper.to_array(weights)
        if values.dtype == "float32" and values.size > 1000:
            bits = values.view("uint32")
            if not (bits & 0xFFFF).any():
                name = weights.name
                weights.name = f"{name}_bfloat16"
                weights.data_type = onnx.TensorProto.BFLOAT16
                weights.raw_data = (bits >> 16).astype("<u2").tobytes()
                graph.node.insert(0, onnx.helper.make_node("Cast", [weights.name], [name], to=onnx.TensorProto.FLOAT))
    return model_proto.SerializeToString()


def engine_files():
    """{name: bytes} of onnxruntime-web's files: those kept in .cache, or else npm's. Raises UserError."""
    kept = ROOT / ".cache" / PACKAGE
    if not all((kept / name).is_file() for name in ENGINE):
        with tempfile.TemporaryDirectory() as place, tarfile.open(fetched(place)) as archive:
            for name in ENGINE:
                with atomic(kept / name) as file:
                    file.write(archive.extractfile(f"package/dist/{name}").read())
    return {name: (kept / name).read_bytes() for name in ENGINE}


def fetched(place):
    """The file of onnxruntime-web in a folder, from the registry that npm is set to, checked. Raises UserError."""
    npm = shutil.which("npm")
    check(npm, f"the page needs {PACKAGE}, which npm brings: install Node.js, then try again")
    command = [npm, "pack", "--silent", "--pack-destination", place, PACKAGE]
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    found = list(Path(place).glob("*.tgz"))
    check(not done.returncode and found, f"npm cannot bring {PACKAGE}, which the page needs; is there a network?")
    digest = base64.b64encode(hashlib.sha512(found[0].read_bytes()).digest()).decode()
    check(digest == DIGEST, f"{PACKAGE}: npm brought another file than the one that this page is made for")
    return found[0]


class Handler(SimpleHTTPRequestHandler):
    """Files of a folder, and a line on the terminal for none of them."""

    extensions_map = SimpleHTTPRequestHandler.extensions_map | {  # whatever a registry of the system says
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, *_):
        """Nothing."""


def server(folder, host, port):
    """A server of a folder, not yet started. Raises UserError."""
    try:
        return ThreadingHTTPServer((host, port), partial(Handler, directory=folder))
    except OSError as error:
        raise UserError(f"--host {host} --port {port}: {error.strerror}; --port 0 takes a free one") from error


def main(args):
    """Make the page, then serve it until Ctrl-C."""
    start = cli.uv_run("playground.py", start=("--extra", "page"))
    check(all(map(importlib.util.find_spec, onnx_graph.PACKAGES)), f"the page needs ONNX, which comes with: {start}")
    with server(args.output_dir, args.host, args.port) if args.serve else contextlib.nullcontext() as running:
        with Bar("making the page"):
            build(load(args.weights_dir), args.output_dir)
        print(f"{args.output_dir}: a page for any web server", flush=True)
        if running:
            print(f"Open http://{args.host}:{running.server_port} in a browser; Ctrl-C ends it.", flush=True)
            running.serve_forever()


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
