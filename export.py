"""Write a model's network for other programs: an ONNX graph, and its weights alone, in float32.

    uv run --extra onnx export.py
    uv run --extra onnx export.py --weights my_gpt.pt --output-dir my_folder

Both files say in their metadata what the numbers mean: alphabet, mask symbol, sizes, method, opening, how it was trained.
What a graph takes and gives: lab/model/onnx_graph.py.
"""

import importlib.util
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import lab.start  # noqa: F401 (before PyTorch)

import methods
from lab import cli, files
from lab.model import checkpoint, onnx_graph

ABOUT = "tiny-diffusion"
NEEDED = (*onnx_graph.PACKAGES, "safetensors")


@dataclass(frozen=True)
class Args:
    weights: cli.comma_list(Path) = tuple(map(checkpoint.default_path, methods.METHODS))  # files of any name
    output_dir: Path = cli.ROOT / "exports"  # where NAME.onnx and NAME.safetensors go

    def __post_init__(self):
        names = [path.stem for path in self.weights]
        cli.check(len({*names}) == len(names), "--weights: two files of one name would be written to one place")
        missing = ", ".join(name for name in NEEDED if importlib.util.find_spec(name) is None)
        cli.check(not missing, f"export.py needs packages that are not installed ({missing}): uv sync --extra onnx")


def described(path):
    """What a weights file says of itself -> {name: text}; what is no text as JSON."""
    said = {name: value for name, value in checkpoint.read(path, "").items() if name not in ("format", "model")}
    method = said.pop("name")
    sizes = said.pop("config")
    said |= {"method": method, "sizes": sizes, "mask_token": sizes["vocab_size"], "made_by": ABOUT}
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in said.items()}


def main(args):
    """Export every file."""
    for path in args.weights:
        model = methods.load(path=path).model
        said = described(path)
        places = [args.output_dir / f"{path.stem}.{kind}" for kind in ("onnx", "safetensors")]
        for place, whole in zip(places, (graph(model, said), packed(model, said)), strict=True):
            with files.atomic(place) as file:
                file.write(whole)
            print(f"{place}: {len(whole) / 2**20:.1f} MB")


def graph(model, said):
    """The network and what is said of it as the bytes of an .onnx file."""
    import onnx  # not at the top: an extra

    whole = onnx.load_from_string(onnx_graph.graph_of(model))
    onnx.helper.set_model_props(whole, said)
    return whole.SerializeToString()


def packed(model, said):
    """Weights and what is said of them as the bytes of a .safetensors file."""
    from safetensors.torch import save  # likewise

    return save({name: weights.contiguous() for name, weights in model.state_dict().items()}, metadata=said)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
