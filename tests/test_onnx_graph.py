"""Networks exported for other programs compute the same numbers as PyTorch's. `uv run --extra onnx`."""

import importlib.util
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import CHARACTERS, OPENING

import export
import methods
from diffusion import METHOD as diffusion
from diffusion_flow import METHOD as diffusion_flow
from gpt import METHOD as gpt
from lab import cli
from lab.model import checkpoint, onnx_graph
from lab.model.corpus import Alphabet
from streams import METHOD as streams
from streams import order_of, visible_to

try:
    import onnx
    import onnxruntime
except ImportError:
    onnx = None

ODD = {"conv_width": 1, "block_size": 10, "n_layer": 2, "n_embd": 24, "n_head": 3}
extra = pytest.mark.skipif(
    onnx is None, reason="needs onnxruntime: uv run --extra onnx pytest -rs tests/test_onnx_graph.py"
)

every_method = pytest.mark.parametrize("method", methods.METHODS.values(), ids=lambda method: method.name)


class Session:
    """A graph as a function of tensors by name -> the tensors that it gives, by name."""

    def __init__(self, graph):
        self.session = onnxruntime.InferenceSession(graph)

    def __call__(self, **given):
        named = [output.name for output in self.session.get_outputs()]
        made = self.session.run(None, {name: value.numpy() for name, value in given.items()})
        return dict(zip(named, map(torch.from_numpy, made), strict=True))


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """pair(method, **sizes) -> a model and its graph, by ONNX Runtime; each graph is made once."""
    made, root = {}, tmp_path_factory.mktemp("root")

    def make(method, **sizes):
        at = method.name, *sizes.items()
        if at not in made:
            sizes = {"n_layer": 2, "n_embd": 32, "n_head": 2, "block_size": 32} | sizes
            torch.manual_seed(0)
            model = method.Model(method.Config(vocab_size=len(CHARACTERS), **sizes)).eval()
            for weights in model.parameters():  # heads, convolutions and outputs of blocks begin at zero
                weights.data = (0.2 * torch.randn(weights.shape)).bfloat16().float()  # as a file has them
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(onnx_graph, "ROOT", root)
                made[at] = model, Session(onnx_graph.graph_of(model))
        return made[at]

    make.root = root
    return make


@pytest.fixture
def saved(pair, tmp_path, monkeypatch):
    """saved(method) -> the path of the weights of that model, whose graph is made already."""
    monkeypatch.setattr(onnx_graph, "ROOT", pair.root)

    def save(method):
        model, path = pair(method)[0], tmp_path / "mine.pt"
        description = checkpoint.describe(method.name, model.config, Alphabet(CHARACTERS), OPENING, {"seed": 0})
        checkpoint.save(path, model, description)
        return path

    return save


def tokens(model, rows, T, seed=0):
    """Random tokens, some of them masks where the model knows one."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(model.token_emb.num_embeddings, (rows, T), generator=rng)


def no_past(config, rows, T):
    """An empty cache of T positions."""
    return {
        f"past_{part}": torch.zeros(config.n_layer, rows, T, config.n_embd) for part in ("keys", "values", "inputs")
    }


@extra
@pytest.mark.parametrize("method, sizes", [(diffusion, {}), (diffusion_flow, {}), (diffusion_flow, ODD)])
@torch.inference_mode()
def test_logits_are_those_of_pytorch(pair, method, sizes):
    """On ten states, of other lengths and numbers of rows than were exported; the flow's with evidence too."""
    model, graph = pair(method, **sizes)
    for seed in range(10):
        x = tokens(model, 1 + seed % 3, (1, 2, 7, model.config.block_size)[seed % 4], seed)
        given = [{}]
        if method is diffusion_flow:
            blank = torch.zeros(*x.shape, len(CHARACTERS)), torch.zeros(x.shape)
            snr = torch.rand(x.shape) * 20 * (torch.rand(x.shape) < 0.5)
            evidence = torch.randn(*x.shape, len(CHARACTERS)) * 3 * (snr[..., None] > 0)
            given = [dict(zip(("evidence", "snr"), each, strict=True)) for each in (blank, (evidence, snr))]
        for each in given:
            torch.testing.assert_close(graph(idx=x, **each)["logits"], model(x, **each), atol=3e-5, rtol=0)


@extra
@pytest.mark.parametrize("method, sizes", [(streams, {}), (gpt, {}), (gpt, ODD)])
@torch.inference_mode()
def test_positions_that_are_told_what_they_see_are_those_of_pytorch(pair, method, sizes):
    """Every position at once, and pass by pass with a cache by position; GPT is one stream, from left to right."""
    model, graph = pair(method, **sizes)
    T = min(30, model.config.block_size)
    x = tokens(model, 2, T)
    passes, visible = torch.arange(T) // 4, torch.ones(T, T, dtype=torch.bool).tril().repeat(2, 1, 1)
    if method is streams:
        order = order_of(torch.arange(T).expand(2, -1) % 11 < 3, torch.tensor([[3], [3]]))
        passes, visible = order.passes[0].clamp(min=-1), visible_to(order)
    full = model(x, visible) if method is streams else model(x)
    past = no_past(model.config, 2, T)
    everywhere = torch.arange(T).repeat(2, 1)
    once = graph(idx=x, visible=visible, columns=everywhere, **past)["logits"]
    torch.testing.assert_close(once, full, atol=3e-5, rtol=0)
    for k in passes.unique():  # the known ones first
        columns = (passes == k).nonzero()[:, 0].repeat(2, 1)
        made = graph(idx=x.gather(1, columns), visible=visible[:, columns[0]], columns=columns, **past)
        torch.testing.assert_close(made.pop("logits"), full[:, columns[0]], atol=3e-5, rtol=0)
        past = {f"past_{part}": values for part, values in made.items()}


@extra
def test_a_graph_is_kept_and_a_stale_one_made_anew(pair, monkeypatch, tmp_path):
    model, _ = pair(diffusion)
    made, whole = [], onnx.helper.make_model(onnx.helper.make_graph([], "graph", [], []))
    monkeypatch.setattr(onnx_graph, "ROOT", tmp_path)
    monkeypatch.setattr(onnx_graph, "export", lambda model: made.append(model) or SimpleNamespace(model_proto=whole))

    def exports():
        """How many there were when two users have had the graph."""
        assert onnx_graph.graph_of(model) == onnx_graph.graph_of(model) == whole.SerializeToString()
        return len(made)

    assert exports() == 1
    with monkeypatch.context() as patch:
        patch.setattr(model.lm_head.weight, "data", model.lm_head.weight.data * 2)
        assert exports() == 2
    with monkeypatch.context() as patch:
        patch.setattr(onnx_graph.metadata, "version", lambda name: "0")
        assert exports() == 3
    assert exports() == 3


@extra
@every_method
def test_exported_files_are_read_without_our_code(saved, tmp_path, method):
    path, folder = saved(method), tmp_path / "to" / "others"
    assert cli.run(export.main, export.Args, ["--weights", str(path), "--output-dir", str(folder)]) == 0
    model, alphabet, opening = checkpoint.load(path, method)
    session = onnxruntime.InferenceSession(folder / "mine.onnx")
    x = tokens(model, 2, 9)
    given = {"idx": x.numpy()}
    for taken in session.get_inputs()[1:]:  # no evidence, and no past
        sizes = {"batch": 2, "positions": 9, "window": 9}
        kind = {"tensor(int64)": np.int64, "tensor(bool)": bool}.get(taken.type, np.float32)
        given[taken.name] = np.zeros([sizes.get(size, size) for size in taken.shape], kind)
    if "visible" in given:
        given["columns"] += np.arange(9)
        given["visible"] |= np.tri(9, dtype=bool)
    more = (torch.tensor(given["visible"]),) if method is streams else ()
    np.testing.assert_allclose(session.run(["logits"], given)[0], model(x, *more).detach(), atol=3e-5, rtol=0)
    said = json.loads(session.get_modelmeta().custom_metadata_map["tiny-diffusion"])
    assert (said["name"], said["characters"], said["mask"]) == (method.name, alphabet.characters, alphabet.mask)
    assert (said["opening"], said["provenance"], said["config"]["block_size"]) == (
        opening,
        checkpoint.read(path, "")["provenance"],
        32,
    )
    assert str(tmp_path) not in (folder / "mine.onnx").read_bytes().decode("latin-1")


@extra
def test_files_of_one_name_are_refused(make_weights, tmp_path, capsys):
    path = make_weights(gpt)
    assert cli.run(export.main, export.Args, ["--weights", f"{path},elsewhere/{path.name}"]) == 2
    assert "one name" in capsys.readouterr().err


def test_without_the_packages_one_message_says_what_to_do(monkeypatch, capsys):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxscript" else found(name))
    assert cli.run(export.main, export.Args, []) == 2
    assert "uv run --extra onnx" in capsys.readouterr().err
