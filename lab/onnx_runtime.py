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
from typing import Literal

import numpy as np
import torch
from torch import nn

from lab.backbone import Cache
from lab.cli import ROOT, check
from lab.files import atomic

Runtime = Literal["torch", "onnx"]
PACKAGES = ("torch", "onnx", "onnxscript")  # what makes a graph
EXTRA = ("onnx", "onnxruntime", "onnxscript", "safetensors")
OPSET = 20
TAKEN = {"idx": torch.long, "evidence": torch.float32, "snr": torch.float32, "cache": None}  # by Model.forward


class Layer:
    """What a `Past` holds for one block."""

    def __init__(self, past, keys, values, inputs):
        self.past, self.keys, self.values, self.inputs = past, keys, values, inputs

    def attend(self, q, k, v):
        """As lab.backbone's: keys and values of the past are read where they lie, not copied in front of the new ones."""
        self.past.new[0].append(k), self.past.new[1].append(v)
        scores = torch.cat((q @ self.keys.mT, q @ k.mT), -1) * q.size(-1) ** 0.5 + self.past.mask
        past, new = scores.softmax(-1).split((self.keys.size(2), k.size(2)), -1)
        return past @ self.values + new @ v

    def windows(self, x, width):
        """As lab.backbone's."""
        self.past.new[2].append(x)
        reach = torch.arange(x.size(1))[:, None] + torch.arange(width)  # (T, width)
        return torch.cat((self.inputs, x), 1)[:, reach].mT


class Past:
    """A lab.backbone.Cache whose tensors are inputs of a graph: what becomes of the new positions is collected."""

    length = 0  # the graph has the angles of the new positions only

    def __init__(self, T, length, keys, values, inputs):
        unread = (torch.arange(keys[0].size(2)) >= length).expand(T, -1)
        ahead = torch.ones(T, T, dtype=torch.bool).triu(1)
        hidden = torch.cat((unread, ahead), 1)  # (T, room + T)
        self.mask = hidden * -(30 + 2 * keys[0].size(-1) ** 0.5)  # scores are within sqrt(D): e^-30 and no denormals
        self.layers = [Layer(self, *layer) for layer in zip(keys, values, inputs, strict=True)]
        self.new = [], [], []

    def append(self, T):
        """The layers."""
        return self.layers


class Graph(nn.Module):
    """A model with a cache as a function of tensors."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, idx, length, keys, values, inputs):
        past = Past(idx.size(1), length, keys, values, inputs)
        angles = self.model.backbone.angles[
            :, length + torch.arange(idx.size(1))
        ]  # a slice from `length` would not export
        logits = torch.func.functional_call(self.model, {"backbone.angles": angles}, (idx, past))
        return logits, *map(torch.stack, past.new)


def export(model):
    """A model in evaluation mode -> its torch.onnx.ONNXProgram; texts in a batch, and positions, as many as there are."""
    config, rows, T, room = model.config, 2, min(3, model.config.block_size), 5
    names, outputs, network = inputs_of(model), ["logits"], model
    axes = [{0: "batch", 1: "positions"} for name in names]
    shapes = {"idx": (rows, T), "snr": (rows, T), "evidence": (rows, T, config.vocab_size)}
    tensors = [torch.zeros(shapes[name], dtype=TAKEN[name]) for name in names if name != "cache"]
    if "cache" in names:
        L, H, C = config.n_layer, config.n_head, config.n_embd
        keys, values = (
            [torch.zeros(rows, H, room, C // H) for _ in range(L)] for _ in range(2)
        )  # one twice: one input
        tensors += [torch.tensor(room), keys, values, torch.zeros(L, rows, config.conv_width - 1, C)]
        axes[1:] = [{}, *[[{0: "batch", 2: "room"}] * L] * 2, {1: "batch"}]
        names[1:] = ["length", *(f"past_{kind}_{i}" for kind in ("keys", "values") for i in range(L)), "past_inputs"]
        outputs, network = [*outputs, "keys", "values", "inputs"], Graph(model)
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


def inputs_of(model):
    """Names of what the forward pass of a model takes. Raises UserError where there is none for one of them."""
    names = list(inspect.signature(model.forward).parameters)
    strange = ", ".join({*names} - {*TAKEN})
    check(
        not strange, f"lab/onnx_runtime.py: TAKEN lacks {strange}, which {type(model).__module__}.Model.forward takes"
    )
    return names


def key(model):
    """What the graph of a model depends on, as a digest: weights, sizes, code, versions."""
    kinds = {kind for part in model.modules() for kind in type(part).__mro__}
    ours = {Path(inspect.getfile(kind)) for kind in kinds if kind.__module__.split(".")[0] not in ("torch", "builtins")}
    found = hashlib.sha256(repr((model.config, *map(metadata.version, PACKAGES))).encode())
    for path in sorted({*ours, Path(__file__)}):
        found.update(path.read_bytes())
    for name, weights in model.state_dict().items():
        found.update(f"{name} {weights.dtype} {tuple(weights.shape)}".encode() + weights.numpy().tobytes())
    return found.hexdigest()


def graph_of(model):
    """The serialized graph of a model: the one kept, or where there is none, or a damaged one, a new one."""
    path = ROOT / ".cache" / "onnx" / key(model)
    raw = path.read_bytes() if path.is_file() else b""
    digest, graph = raw[:32], raw[32:]
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
        missing = [name for name in EXTRA if importlib.util.find_spec(name) is None]
        check(
            not missing,
            f"ONNX Runtime needs packages that are not installed ({', '.join(missing)}): uv sync --extra onnx",
        )


def choose(model, runtime):
    """A model in evaluation mode as the runtime computes it. Raises UserError without the runtime."""
    check_installed(runtime, model.lm_head.weight.device.type)
    return OnnxModel(model.config, model.lm_head, inputs_of(model), graph_of(model)) if runtime == "onnx" else model


class OnnxModel(nn.Module):
    """A model as its samplers and measures call it, computed by ONNX Runtime on the CPU."""

    def __init__(self, config, lm_head, names, graph):
        super().__init__()
        self.config, self.lm_head, self.names, self.graph = config, lm_head, names, graph
        self.session, self.bound = session(graph, 1 if "cache" in names else torch.get_num_threads()), None

    def __reduce__(self):
        """For worker processes: a session cannot be sent."""
        return OnnxModel, (self.config, self.lm_head, self.names, self.graph)

    def forward(self, idx, *more):
        """As the model's own: idx (B, T) tokens -> (B, T, V) logits."""
        if "cache" in self.names:
            return self.after(idx, *more)
        given = dict(zip(self.names, (idx, *more), strict=False))
        if "snr" in self.names and not more:  # plain masks carry no evidence
            given |= {"snr": torch.zeros(idx.shape), "evidence": torch.zeros(*idx.shape, self.config.vocab_size)}
        logits = self.session.run(["logits"], {name: value.numpy() for name, value in given.items()})
        return torch.from_numpy(logits[0])

    def after(self, idx, cache=None):
        """The same behind what a lab.backbone.Cache holds; without one, behind nothing."""
        cache = cache or Cache(self.config, len(idx), like=self.lm_head.weight)
        key = cache, idx.shape, cache.length > 0
        if self.bound is None or self.bound.key != key:
            self.bound = Bound(self.session, *key)
        return self.bound.run(idx)


class Bound:
    """Tensors that the graph reads and writes in place, for passes of one shape (B, T) behind one cache, or its beginning."""

    def __init__(self, session, cache, shape, has_past):
        (B, T), self.key = shape, (cache, shape, has_past)
        self.session, self.cache, self.binding = session, cache, session.io_binding()
        self.idx, self.length = torch.empty(B, T, dtype=torch.long), torch.tensor(0)
        self.inputs = cache.inputs[:, :, : cache.conv_pad].clone()
        self.taken = {"idx": self.idx, "length": self.length, "past_inputs": self.inputs}
        for i, layer in enumerate(cache.layers):
            keys, values = layer[:2] if has_past else cache.keys.new_zeros(2, *cache.keys[0, :, :, :1].shape)
            self.taken |= {f"past_keys_{i}": keys, f"past_values_{i}": values}
        V = session.get_outputs()[0].shape[-1]
        self.given = {"logits": cache.keys.new_empty(B, T, V)}
        self.given |= {name: getattr(cache, name)[..., :T, :].clone() for name in ("keys", "values", "inputs")}
        for bind, tensors in ((self.binding.bind_input, self.taken), (self.binding.bind_output, self.given)):
            for name, x in tensors.items():
                kind = np.int64 if x.dtype == torch.long else np.float32
                bind(name, "cpu", 0, kind, tuple(x.shape), x.data_ptr())

    def run(self, idx):
        """idx (B, T) -> (B, T, V) logits; the cache then holds these positions too."""
        cache, first = self.cache, self.cache.length
        cache.length = last = first + idx.size(1)
        self.idx.copy_(idx), self.length.fill_(first)
        self.inputs.copy_(cache.inputs[:, :, first : first + cache.conv_pad])
        self.session.run_with_iobinding(self.binding)
        cache.keys[..., first:last, :], cache.values[..., first:last, :] = self.given["keys"], self.given["values"]
        cache.inputs[:, :, cache.conv_pad + first : cache.conv_pad + last] = self.given["inputs"]
        return self.given["logits"].clone()


def session(graph, threads):
    """An ONNX Runtime session whose threads sleep while they wait: spinning ones starve on a busy machine."""
    import onnxruntime  # not at the top: an extra

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
