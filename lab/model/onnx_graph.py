"""Networks as ONNX graphs for other programs: exported from PyTorch once, and kept in .cache/onnx.

A graph takes what `Model.forward` takes, in int64 and float32, and gives logits.

That of a model with a cache takes `idx` and `columns` (B, S), where these stand in a window, and `visible` (B, S, T), what they
see of it; and of a cache by position `past_keys`, `past_values`, `past_inputs` (layers, B, T, C), where what nobody sees is
ignored. It gives `keys`, `values`, `inputs`, the same with these positions, for the next pass.
"""

import hashlib
import importlib.util
import inspect
import logging
import warnings
from importlib import metadata
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from lab.cli import ROOT, check, program, say, uv_run
from lab.files import atomic
from lab.model.backbone import View

PACKAGES = ("torch", "onnx", "onnxscript")  # what makes a graph
OPSET = 20


def check_packages(extra):
    """Raise UserError unless what makes a graph is installed; extra: of pyproject.toml, which brings it."""
    has_all = all(map(importlib.util.find_spec, PACKAGES))
    check(has_all, f"this needs ONNX, which comes with: {uv_run(program(), start=('--extra', extra))}")


class CachedGraph(nn.Module):
    """A model with a cache as a function of tensors."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, idx, visible, columns, past_keys, past_values, past_inputs):
        config = self.model.config
        heads = (config.n_head, -1)
        keys, values = ([past.clone().unflatten(-1, heads) for past in parts] for parts in (past_keys, past_values))
        inputs = [F.pad(past, (0, 0, 0, 1)) for past in past_inputs]
        cache = [*zip(keys, values, inputs, strict=True)]
        if "visible" in inputs_of(self.model):
            logits = self.model(idx, visible, cache, columns)
        else:
            logits = self.model(idx, View(visible, config.conv_width - 1, 0, cache, columns))
        T = visible.size(2)
        return logits, *(torch.stack([part[:, :T].flatten(2) for part in parts]) for parts in zip(*cache))


def inputs_of(model):
    """Names of what the forward pass of a model takes."""
    return list(inspect.signature(model.forward).parameters)


def example_inputs(config):
    """What a graph may take: name -> an example, and its axes of any length."""
    rows, T, window = 2, 3, 5
    axes = {0: "batch", 1: "positions"}
    past = torch.zeros(config.n_layer, rows, window, config.n_embd)
    of_past = {1: "batch", 2: "window"}
    return {
        "idx": (torch.zeros(rows, T, dtype=torch.long), axes),
        "evidence": (torch.zeros(rows, T, config.vocab_size), axes),
        "snr": (torch.zeros(rows, T), axes),
        "visible": (torch.ones(rows, T, window, dtype=torch.bool), axes | {2: "window"}),
        "columns": (torch.arange(T).repeat(rows, 1), axes),
        "past_keys": (past, of_past),
        "past_values": (past.clone(), of_past),  # one tensor given twice would be one input
        "past_inputs": (past.clone(), of_past),
    }


def export(model):
    """A model in evaluation mode -> its torch.onnx.ONNXProgram, for any number of texts and of positions."""
    is_cached = "cache" in inputs_of(model)
    network = CachedGraph(model).eval() if is_cached else model
    names = inputs_of(network)
    given = example_inputs(model.config)
    examples, axes = zip(*(given[name] for name in names), strict=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            network,
            examples,
            input_names=names,
            output_names=["logits", "keys", "values", "inputs"] if is_cached else ["logits"],
            dynamic_shapes=axes,
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    for node in program.model.graph:
        node.metadata_props.clear()  # where in whose files each operation stands
    return program


def key(model):
    """What the graph of a model depends on, as a digest: weights, sizes, code, versions."""
    digest = hashlib.sha256(repr((model.config, *map(metadata.version, PACKAGES))).encode())
    kinds = {kind for part in model.modules() for kind in type(part).__mro__[:-1]}
    for path in sorted({__file__, *map(inspect.getfile, kinds)}):
        digest.update(Path(path).read_bytes())
    for weights in model.state_dict().values():
        digest.update(weights.numpy().tobytes())
    return digest.hexdigest()


def graph_of(model):
    """The serialized graph of a model in evaluation mode: the one kept, or a new one."""
    path = ROOT / ".cache" / "onnx" / key(model)
    if not path.is_file():
        say("exporting the network as an ONNX graph, once: about half a minute")
        graph = export(model).model_proto.SerializeToString()
        with atomic(path) as file:
            file.write(graph)
    return path.read_bytes()
