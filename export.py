"""Write a model's network for other programs: an ONNX graph, in float32.

    uv run --extra onnx export.py
    uv run --extra onnx export.py --weights my_gpt.pt --output-dir my_folder

Its metadata say what the numbers mean: alphabet, mask symbol, sizes, method, opening, how it was trained; as JSON.
What a graph takes and gives: lab/model/onnx_graph.py.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import lab.start  # noqa: F401 (before PyTorch)

import methods
from lab import cli, files
from lab.model import checkpoint, onnx_graph

ABOUT = "tiny-diffusion"  # the name of the metadata


@dataclass(frozen=True)
class Args:
    weights: cli.comma_list(Path) = tuple(map(checkpoint.default_path, methods.METHODS))  # .pt files
    output_dir: Path = cli.ROOT / "exports"  # where NAME.onnx goes

    def __post_init__(self):
        names = {path.stem for path in self.weights}
        cli.check(len(names) == len(self.weights), "--weights: two files of one name would be written to one place")
        onnx_graph.check_packages("onnx")


def main(args):
    """Export every file."""
    import onnx  # not at the top: an extra

    for path in args.weights:
        graph = onnx.load_from_string(onnx_graph.graph_of(methods.load(path=path).model))
        said = checkpoint.read(path, hint="")
        del said["model"]
        onnx.helper.set_model_props(graph, {ABOUT: json.dumps(said)})
        place = args.output_dir / f"{path.stem}.onnx"
        with files.atomic(place) as file:
            file.write(graph.SerializeToString())
        print(f"{place}: {place.stat().st_size / 2**20:.1f} MB")


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
