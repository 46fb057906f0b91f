"""Make the page on which the four write in a browser: a folder for any web server, without Python.

    uv run --extra page playground.py                               make it, and serve it to this machine
    uv run --extra page playground.py --no-serve --output-dir site  make it only

The networks are those of the weights, exported; onnxruntime-web, from npm, computes them in the visitor's browser.
"""

import contextlib
import hashlib
import html
import re
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
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
DIGEST = (  # SHA-512
    "ab4cbe26baedba45d2cec05610c71c55fa97db92d19a8b171c5f8269126683ca"
    "590a5cdc57bb2f35ce2b298de32f4d956fb42644c0ecd528a0a91e025c07ca61"
)
ENGINE = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")  # what the page needs of it
# each has a sampler in web/sampler.js and a panel in web/index.html
SHOWN = ("gpt", "diffusion", "diffusion_flow", "streams")
EXAMPLES = (  # beside the text's own opening, where the networks know their characters
    "KING RICHARD III:\nMy ",
    "The k___ is dead, long live the q____!",
    "First * of Rome, speak.",
    "宝玉道：",
    "黛玉__道：",
)


@dataclass(frozen=True)
class Args:
    weights_dir: Path = ROOT / "weights"  # where the weights of the four lie
    output_dir: Path = ROOT / "web-build"  # the folder to make
    serve: bool = True  # serve it until Ctrl-C, and not only make it
    host: str = "127.0.0.1"  # this machine only; 0.0.0.0: whoever reaches it, as in a class
    port: int = 7860  # 0: any that is free

    def __post_init__(self):
        check_range(self, 0, 65535, "port")
        onnx_graph.check_packages("page")


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
    files |= {name: words(say, engines).encode() for name, say in page.languages().items()}
    for name, content in files.items():
        with atomic(folder / name) as file:
            file.write(content)


def described(engines, say):
    """What the page's script is told: characters, mask symbol, and of each method title, sizes and default settings."""
    told = {}
    for name, engine in engines.items():
        method = engine.method
        told[name] = {
            "title": say(method.title),
            "config": vars(engine.model.config),
            "decoding": vars(method.decoding),
        }
    alphabet = engines["gpt"].alphabet
    return {"characters": list(alphabet.characters), "mask": alphabet.mask, "methods": told}


def words(say, engines):
    """The page in a language: each of its {{phrases}} is a key of lab/showing/chinese.json, each $name a value."""
    first = engines["gpt"]
    alphabet = first.alphabet
    opening = html.escape(first.opening[:15])
    known = filter({*alphabet.characters, alphabet.mask, GAP}.issuperset, EXAMPLES)
    values = {
        "about": page.embedded(described(engines, say)),
        "examples": " ".join(f'<button value="{text}">{text}</button>' for text in (opening, *known)),
        "opening": opening,
        "mask": html.escape(alphabet.mask),
        "legend": page.legend(say, flows=True),
    }
    values |= vars(engines["diffusion_flow"].method.decoding) | vars(engines["streams"].method.decoding)
    source = (ROOT / "web" / "index.html").read_text(encoding="utf-8")
    source = re.sub(r"\{\{(.*?)\}\}", lambda found: html.escape(say(found[1]), quote=False), source)
    return Template(source).substitute(values)


def network(model):
    """The graph of a model, its weights in bfloat16: exact, because their file holds them so, and half the size."""
    import onnx  # not at the top: an extra
    from ml_dtypes import bfloat16

    whole = onnx.load_from_string(onnx_graph.graph_of(model))
    for weights in whole.graph.initializer:
        values = onnx.numpy_helper.to_array(weights)
        short = values.astype(bfloat16)
        if values.dtype == "float32" and values.size > 1000 and (short == values).all():
            name = weights.name
            weights.CopyFrom(onnx.numpy_helper.from_array(short, f"{name}_bfloat16"))
            cast = onnx.helper.make_node("Cast", [weights.name], [name], to=onnx.TensorProto.FLOAT)
            whole.graph.node.insert(0, cast)
    return whole.SerializeToString()


def engine_files():
    """{name: bytes} of onnxruntime-web's files, from the package that npm brings once. Raises UserError."""
    kept = ROOT / ".cache" / f"{PACKAGE.replace('@', '-')}.tgz"
    if not kept.is_file():
        fetch(kept)
    is_pinned = hashlib.sha512(kept.read_bytes()).hexdigest() == DIGEST
    check(is_pinned, f"{kept}: not the file of npm that this page is made for; delete it, then try again")
    with tarfile.open(kept) as archive:
        return {name: archive.extractfile(f"package/dist/{name}").read() for name in ENGINE}


def fetch(path):
    """Have npm bring the package, as this file, from the registry that npm is set to. Raises UserError."""
    npm = shutil.which("npm")
    check(npm, f"the page needs {PACKAGE}, which npm brings: install Node.js, then try again")
    path.parent.mkdir(exist_ok=True)
    command = [npm, "pack", "--silent", "--pack-destination", path.parent, PACKAGE]
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    check(
        not done.returncode and path.is_file(), f"npm cannot bring {PACKAGE}, which the page needs; is there a network?"
    )


class Handler(SimpleHTTPRequestHandler):
    """Files of a folder, and a line on the terminal for none of them."""

    extensions_map = SimpleHTTPRequestHandler.extensions_map | {  # whatever a registry of the system says
        ".js": "text/javascript",
        ".mjs": "text/javascript",
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
    with server(args.output_dir, args.host, args.port) if args.serve else contextlib.nullcontext() as running:
        with Bar("making the page"):
            build(load(args.weights_dir), args.output_dir)
        print(f"{args.output_dir}: a page for any web server", flush=True)
        if running:
            print(f"Open http://{args.host}:{running.server_port} in a browser; Ctrl-C ends it.", flush=True)
            running.serve_forever()


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
