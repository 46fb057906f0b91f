"""Models that ONNX Runtime computes: exported from PyTorch once, kept in .cache/onnx, called as the model itself is.

A graph takes what `Model.forward` takes, in int64 and float32, and gives logits. Of a cache it takes how many positions are
read, `length`; their `past_keys_i` and `past_values_i` (B, H, room, D) for each layer i, where what lies behind them is
ignored (zeros, or stale; room is at least 1); and `past_inputs` (layers, B, conv_width - 1, C), the last that the
convolutions read. It gives `keys`, `values` (layers, B, H, T, D) and `inputs` (layers, B, T, C) of the new positions.
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

from lab.cli import ROOT, check
from lab.files import atomic
from lab.model.backbone import Cache

Runtime = Literal["torch", "onnx"]
PACKAGES = ("torch", "onnx", "onnxscript")  # what makes a graph
EXTRA = ("onnx", "onnxruntime", "onnxscript", "safetensors")
OPSET = 20
INPUTS = ("idx", "evidence", "snr", "cache")  # that a Model.forward may take


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


def export(model):
    """A model in evaluation mode -> its torch.onnx.ONNXProgram, for any number of texts and of positions."""
    names = inputs_of(model)
    rows = 2
    T = min(3, model.config.block_size)
    examples = {
        "idx": torch.zeros(rows, T, dtype=torch.long),
        "evidence": torch.zeros(rows, T, model.config.vocab_size),
        "snr": torch.zeros(rows, T),
    }
    network = model
    outputs = ["logits"]
    tensors = [examples[name] for name in names if name in examples]
    axes = [{0: "batch", 1: "positions"} for _ in tensors]
    if "cache" in names:
        L = model.config.n_layer
        H = model.config.n_head
        C = model.config.n_embd
        room = 5
        network = Graph(model)
        outputs = ["logits", "keys", "values", "inputs"]
        keys = [torch.zeros(rows, H, room, C // H) for _ in range(L)]
        values = [torch.zeros_like(each) for each in keys]  # a tensor that is given twice would be one input
        tensors += [torch.tensor(room), keys, values, torch.zeros(L, rows, model.config.conv_width - 1, C)]
        axes += [{}, [{0: "batch", 2: "room"}] * L, [{0: "batch", 2: "room"}] * L, {1: "batch"}]
        past = [f"past_{kind}_{i}" for kind in ("keys", "values") for i in range(L)]
        names = ["idx", "length", *past, "past_inputs"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            network.eval(),
            tuple(tensors),
            input_names=names,
            output_names=outputs,
            dynamic_shapes=tuple(axes),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    for node in program.model.graph:
        node.metadata_props.clear()  # where in whose files each operation stands
    return program


def exports(Model):
    """Whether a class of models takes nothing that is unknown here."""
    return {*inspect.signature(Model.forward).parameters} <= {"self", *INPUTS}


def inputs_of(model):
    """Names of what the forward pass of a model takes. Raises UserError for one that is unknown here."""
    names = list(inspect.signature(model.forward).parameters)
    unknown = ", ".join({*names} - {*INPUTS})
    check(not unknown, f"--runtime onnx: cannot export {unknown}, which {type(model).__module__}.Model.forward takes")
    return names


def key(model):
    """What the graph of a model depends on, as a digest: weights, sizes, code, versions."""
    kinds = {kind for part in model.modules() for kind in type(part).__mro__}
    files = {inspect.getfile(kind) for kind in kinds if kind.__module__.split(".")[0] not in ("torch", "builtins")}
    digest = hashlib.sha256(repr((model.config, *map(metadata.version, PACKAGES))).encode())
    for path in sorted({*files, __file__}):
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
