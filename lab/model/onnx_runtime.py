"""Models that ONNX Runtime computes: exported from PyTorch once, kept in .cache/onnx, called as the model itself is.

A graph takes what `Model.forward` takes, in int64 and float32, and gives logits. Of a cache it takes how many positions are
read, `length`; their `past_keys_i` and `past_values_i` (B, H, room, D) for each layer i, where what lies behind them is
ignored (zeros, or stale; room is at least 1); and `past_inputs` (layers, B, conv_width - 1, C), the last that the
convolutions read. It gives `keys`, `values` (layers, B, H, T, D) and `inputs` (layers, B, T, C) of the new positions.

Where a model is told what each position sees, the graph takes `idx` and `columns` (B, S), where these stand in a window, and
`visible` (B, S, T), what they see of it; and of a cache by position `past_keys`, `past_values`, `past_inputs` (layers, B, T, C),
where what nobody sees is ignored. It gives `keys`, `values`, `inputs`, the same with these positions, for the next pass.
"""

import hashlib
import importlib.util
import inspect
import logging
import sys
import warnings
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

from lab.cli import ROOT, check
from lab.files import atomic
from lab.model.backbone import Cache, ViewCache

Runtime = Literal["torch", "onnx"]
PACKAGES = ("torch", "onnx", "onnxscript")  # what makes a graph
EXTRA = ("onnx", "onnxruntime", "onnxscript", "safetensors")
OPSET = 20
PARTS = ("keys", "values", "inputs")  # of a cache


class Layer:
    """As lab.model.backbone.Layer, but its past is an input of the graph, and what is new is kept for the output."""

    def __init__(self, keys, values, inputs, mask):
        self.keys = keys
        self.values = values
        self.inputs = inputs
        self.mask = mask

    def attend(self, q, k, v):
        """Attention to the past, which is not copied in front of the new positions, and to these."""
        self.new_keys = k
        self.new_values = v
        scores = torch.cat((q @ self.keys.mT, q @ k.mT), -1) * q.size(-1) ** 0.5 + self.mask
        past, new = scores.softmax(-1).split((self.keys.size(2), k.size(2)), -1)
        return past @ self.values + new @ v

    def convolve(self, x, weight):
        """Depthwise convolution at the new positions, x (B, T, C) being its inputs there; weight: (C, width)."""
        self.new_inputs = x
        reach = torch.arange(x.size(1))[:, None] + torch.arange(weight.size(1))  # (T, width)
        return (torch.cat((self.inputs, x), 1)[:, reach].mT * weight).sum(-1)


class Graph(nn.Module):
    """A model with a cache as a function of tensors."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, idx, length, keys, values, inputs):
        T = idx.size(1)
        *_, room, D = keys[0].shape
        unread = (torch.arange(room) >= length).expand(T, -1)
        ahead = torch.ones(T, T, dtype=torch.bool).triu(1)
        mask = torch.cat((unread, ahead), 1) * -(30 + 2 * D**0.5)  # scores are within sqrt(D): e^-30 and no denormals
        layers = [Layer(*past, mask) for past in zip(keys, values, inputs, strict=True)]
        angles = self.model.backbone.angles[:, length + torch.arange(T)]  # a slice from `length` would not export
        cache = SimpleNamespace(append=lambda T: (slice(T), layers))  # the angles are of the new positions alone
        logits = torch.func.functional_call(self.model, {"backbone.angles": angles}, (idx, cache))
        new = [(layer.new_keys, layer.new_values, layer.new_inputs) for layer in layers]
        return logits, *map(torch.stack, zip(*new, strict=True))


class ViewGraph(Graph):
    """A model with a cache by position as a function of tensors."""

    def forward(self, idx, visible, columns, keys, values, inputs):
        heads = (self.model.config.n_head, -1)
        keys, values = ([past.clone().unflatten(-1, heads) for past in parts] for parts in (keys, values))
        inputs = [F.pad(past, (0, 0, 0, 1)) for past in inputs]
        layers = [*zip(keys, values, inputs, strict=True)]
        logits = self.model(idx, visible, SimpleNamespace(layers=layers), columns)
        T = visible.size(2)
        return logits, *(torch.stack([part[:, :T].flatten(2) for part in parts]) for parts in zip(*layers))


def example_inputs(model):
    """What the graph of a model takes: name -> an example, or one for each layer, and its axes of any length."""
    config = model.config
    names = inputs_of(model)
    rows = 2
    T = min(3, config.block_size)
    room = 5
    L = config.n_layer
    C = config.n_embd
    V = config.vocab_size
    axes = {0: "batch", 1: "positions"}
    given = {
        "idx": (torch.zeros(rows, T, dtype=torch.long), axes),
        "evidence": (torch.zeros(rows, T, V), axes),
        "snr": (torch.zeros(rows, T), axes),
        "visible": (torch.ones(rows, T, room, dtype=torch.bool), axes | {2: "window"}),
        "columns": (torch.arange(T).repeat(rows, 1), axes),
    }
    given = {name: given[name] for name in names if name != "cache"}
    if "visible" in names:
        return given | {f"past_{part}": (torch.zeros(L, rows, room, C), {1: "batch", 2: "window"}) for part in PARTS}
    if "cache" in names:
        past = (rows, config.n_head, room, C // config.n_head)
        given["length"] = torch.tensor(room), {}
        for part in PARTS[:2]:
            given[f"past_{part}"] = [torch.zeros(past) for _ in range(L)], [{0: "batch", 2: "room"}] * L
        given["past_inputs"] = torch.zeros(L, rows, config.conv_width - 1, C), {1: "batch"}
    return given


def export(model):
    """A model in evaluation mode -> its torch.onnx.ONNXProgram, for any number of texts and of positions."""
    names = inputs_of(model)
    given = example_inputs(model)
    network = ViewGraph(model) if "visible" in names else Graph(model) if "cache" in names else model
    inputs = []
    for name, (example, _) in given.items():
        inputs += [f"{name}_{i}" for i in range(len(example))] if isinstance(example, list) else [name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            network.eval(),
            tuple(example for example, _ in given.values()),
            input_names=inputs,
            output_names=["logits", *PARTS] if "cache" in names else ["logits"],
            dynamic_shapes=tuple(axes for _, axes in given.values()),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    for node in program.model.graph:
        node.metadata_props.clear()  # where in whose files each operation stands
    return program


def inputs_of(model):
    """Names of what the forward pass of a model takes."""
    return list(inspect.signature(model.forward).parameters)


def key(model):
    """What the graph of a model depends on, as a digest: weights, sizes, code, versions."""
    kinds = {kind for part in model.modules() for kind in type(part).__mro__[:-1]}
    digest = hashlib.sha256(repr((model.config, *map(metadata.version, PACKAGES))).encode())
    for path in sorted({__file__, *map(inspect.getfile, kinds)}):
        digest.update(Path(path).read_bytes())
    for weights in model.state_dict().values():
        digest.update(weights.numpy().tobytes())
    return digest.hexdigest()


def graph_of(model):
    """The serialized graph of a model: the one kept, or where there is none, or a damaged one, a new one."""
    path = ROOT / ".cache" / "onnx" / key(model)
    raw = path.read_bytes() if path.is_file() else b""
    digest = raw[:32]
    graph = raw[32:]
    if hashlib.sha256(graph).digest() != digest:
        print("exporting the network for ONNX Runtime, once: about half a minute", file=sys.stderr, flush=True)
        graph = export(model).model_proto.SerializeToString()
        with atomic(path) as file:
            file.write(hashlib.sha256(graph).digest() + graph)
    return graph


def check_installed(runtime, device=None):
    """Raise UserError for ONNX Runtime on another device than the CPU, or without its packages."""
    if runtime == "onnx":
        check(device in (None, "cpu"), "--runtime onnx: computes on the CPU; leave out --device")
        missing = ", ".join(name for name in EXTRA if importlib.util.find_spec(name) is None)
        check(not missing, f"ONNX Runtime needs packages that are not installed ({missing}): uv sync --extra onnx")


def choose(model, runtime):
    """A model in evaluation mode as the runtime computes it. Raises UserError without the runtime."""
    check_installed(runtime, model.lm_head.weight.device.type)
    return OnnxModel(model.config, model.lm_head, inputs_of(model), graph_of(model)) if runtime == "onnx" else model


class OnnxModel(nn.Module):
    """A model as its samplers and measures call it, computed by ONNX Runtime on the CPU."""

    def __init__(self, config, lm_head, names, graph):
        super().__init__()
        self.config = config
        self.lm_head = lm_head
        self.names = names
        self.graph = graph
        self.session = session(graph, 1 if "cache" in names else torch.get_num_threads())

    def __reduce__(self):
        """For worker processes: a session cannot be sent."""
        return OnnxModel, (self.config, self.lm_head, self.names, self.graph)

    def forward(self, idx, *more):
        """As the model's own: idx (B, T) tokens -> (B, T, V) logits."""
        if "visible" in self.names:
            return self.viewed(idx, *more)
        if "cache" in self.names:
            return self.cached(idx, *more)
        if "snr" in self.names and not more:  # plain masks carry no evidence
            more = torch.zeros(*idx.shape, self.config.vocab_size), torch.zeros(idx.shape)
        return self.run(zip(self.names, (idx, *more), strict=True))[0]

    def cached(self, idx, cache=None):
        """The same behind what a lab.model.backbone.Cache holds, which then holds these positions too."""
        cache = cache or Cache(self.config, len(idx), like=self.lm_head.weight)
        start = cache.length
        stop = cache.length + idx.size(1)
        pad = cache.conv_pad
        given = {"idx": idx, "length": torch.tensor(start), "past_inputs": cache.inputs[:, :, start : start + pad]}
        for i, (keys, values, _) in enumerate(cache.layers):
            given |= {f"past_keys_{i}": keys, f"past_values_{i}": values}
        logits, *new = self.run(given.items())
        cache.length = stop
        (
            cache.keys[..., start:stop, :],
            cache.values[..., start:stop, :],
            cache.inputs[:, :, pad + start : pad + stop],
        ) = new
        return logits

    def viewed(self, idx, visible, cache=None, columns=None):
        """The same, of positions that are told what they see."""
        B = len(idx)
        T = visible.size(2)
        cache = cache or ViewCache(self.config, B, T, like=self.lm_head.weight)
        columns = torch.arange(T).expand(B, T) if columns is None else columns
        given = {"idx": idx, "visible": visible.expand(B, -1, -1), "columns": columns}
        given |= {f"past_{name}": part[:, :, :T].flatten(3) for name, part in zip(PARTS, cache.parts)}
        logits, *new = self.run(given.items())
        for part, made in zip(cache.parts, new):
            part[:, :, :T] = made.unflatten(-1, part.shape[3:])
        return logits

    def run(self, given):
        """(name, tensor) pairs that the graph takes -> the tensors that it gives."""
        return [torch.from_numpy(x) for x in self.session.run(None, {name: x.numpy() for name, x in given})]


def session(graph, threads):
    """An ONNX Runtime session whose threads sleep while they wait: spinning ones starve on a busy machine."""
    import onnxruntime  # not at the top: an extra

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
