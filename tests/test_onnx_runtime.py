"""Models computed by ONNX Runtime, and exported for other programs: the same numbers as PyTorch's. `uv run --extra onnx`."""

import importlib.util
import itertools
import json
import pickle
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
from lab import cli, command
from lab.decoding.canvas import Canvas
from lab.measuring import trials
from lab.model import checkpoint, onnx_runtime
from lab.model.backbone import Cache, ViewCache
from lab.model.corpus import Alphabet
from streams import METHOD as streams
from streams import order_of, visible_to

try:
    import onnx
    import onnxruntime
    import safetensors
except ImportError:
    onnx = None

ODD = {"conv_width": 1, "block_size": 10, "n_layer": 2, "n_embd": 24, "n_head": 3}
extra = pytest.mark.skipif(
    onnx is None, reason="needs onnxruntime: uv run --extra onnx pytest -rs tests/test_onnx_runtime.py"
)

every_method = pytest.mark.parametrize("method", methods.METHODS.values(), ids=lambda method: method.name)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """pair(method, **sizes) -> the same model twice, computed by PyTorch and by ONNX Runtime; each graph is made once."""
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
                patch.setattr(onnx_runtime, "ROOT", root)
                made[at] = model, onnx_runtime.choose(model, "onnx")
        return made[at]

    make.root = root
    return make


@pytest.fixture
def saved(pair, tmp_path, monkeypatch):
    """saved(method) -> the path of the weights of that model, whose graph is made already."""
    monkeypatch.setattr(onnx_runtime, "ROOT", pair.root)

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


@extra
@pytest.mark.parametrize(
    "method, sizes", [(gpt, {}), (diffusion, {}), (diffusion_flow, {}), (gpt, ODD), (diffusion_flow, ODD)]
)
@torch.inference_mode()
def test_logits_are_those_of_pytorch(pair, method, sizes):
    """On ten states, of other lengths and numbers of rows than were exported; the flow's with evidence too."""
    model, other = pair(method, **sizes)
    for seed in range(10):
        x = tokens(model, 1 + seed % 3, (1, 2, 7, model.config.block_size)[seed % 4], seed)
        given = [(x,)]
        if method is diffusion_flow:
            snr = torch.rand(x.shape) * 20 * (torch.rand(x.shape) < 0.5)
            given.append((x, torch.randn(*x.shape, len(CHARACTERS)) * 3 * (snr[..., None] > 0), snr))
        for each in given:
            torch.testing.assert_close(other(*each), model(*each), atol=3e-5, rtol=0)


@extra
@torch.inference_mode()
def test_positions_that_are_told_what_they_see_are_those_of_pytorch(pair):
    """Every position at once, and pass by pass with a cache by position."""
    model, other = pair(streams)
    order = order_of(torch.arange(30).expand(2, -1) % 11 < 3, torch.tensor([[3], [3]]))
    x, visible = tokens(model, 2, 30), visible_to(order)
    full, cache = model(x, visible), ViewCache(model.config, 2, 30, like=model.lm_head.weight)
    torch.testing.assert_close(other(x, visible), full, atol=3e-5, rtol=0)
    for k in range(-1, 3):  # the known ones first
        columns = (order.passes[0].clamp(min=-1) == k).nonzero().T.expand(2, -1)
        part = other(x.gather(1, columns), visible_to(order, columns), cache, columns)
        seen = full.gather(1, columns[..., None].expand(-1, -1, full.size(-1)))
        torch.testing.assert_close(part, seen, atol=3e-5, rtol=0)


@extra
@pytest.mark.parametrize("sizes", [{}, ODD], ids=["usual", "odd"])
@torch.inference_mode()
def test_cached_passes_agree_with_a_full_one(pair, sizes):
    """However many positions are read at once, and after some were forgotten."""
    model, other = pair(gpt, **sizes)
    T = model.config.block_size
    x, cache = tokens(model, 3, T), Cache(model.config, 3, like=model.lm_head.weight)
    full, cuts = model(x), [0, 3, 4, 5, 9, T]
    for start, stop in ((0, 6), *itertools.pairwise(cuts)):
        cache.length = start
        torch.testing.assert_close(other(x[:, start:stop], cache), full[:, start:stop], atol=3e-5, rtol=0)
        assert cache.length == stop


def texts(model, method, canvas, seeds):
    engine = trials.Engine(method, model, Alphabet(CHARACTERS), OPENING)
    return [sample.text for sample in trials.run(engine, trials.Trial(canvas, method.decoding, seeds))]


@extra
@every_method
def test_the_same_seed_writes_the_same_text(pair, method):
    """Of 100 seeds at least 95: a draw that falls within 1e-6 of the border between two characters may go either way."""
    prompt, seeds = Alphabet(CHARACTERS).encode(OPENING[:5]), tuple(range(100))
    ours, theirs = (texts(model, method, Canvas.after(prompt, 40), seeds) for model in pair(method))
    assert sum(a == b for a, b in zip(ours, theirs, strict=True)) >= 95
    assert len(set(ours)) > 90


@extra
def test_prompts_of_unequal_length_and_masked_spans(pair):
    idx, masked = tokens(pair(gpt)[0], 3, 50), torch.arange(50) >= torch.tensor([[3], [17], [40]])
    one, two = (texts(model, gpt, Canvas(idx, masked), (1, 2, 3)) for model in pair(gpt))
    assert one == two
    spans = Canvas(idx % len(CHARACTERS), (torch.arange(50) % 7 < 3).expand(3, -1))
    for method in (diffusion, diffusion_flow, streams):
        one, two = (texts(model, method, spans, (1, 2, 3)) for model in pair(method))
        assert one == two


@extra
@every_method
def test_likelihoods_are_those_of_pytorch(pair, method):
    x = tokens(pair(gpt)[0], 20, 33)
    one, two = (method.nll(model, x) for model in pair(method))
    torch.testing.assert_close(one, two, atol=1e-4, rtol=0)


@extra
def test_a_graph_is_kept_and_a_damaged_or_stale_one_made_anew(pair, monkeypatch, tmp_path):
    model, other = pair(diffusion)
    made, whole = [], onnx.load_from_string(other.graph)
    monkeypatch.setattr(onnx_runtime, "ROOT", tmp_path)
    monkeypatch.setattr(onnx_runtime, "export", lambda model: made.append(model) or SimpleNamespace(model_proto=whole))

    def exports():
        """How many there were when two users have had the graph."""
        assert onnx_runtime.graph_of(model) == onnx_runtime.graph_of(model) == other.graph
        return len(made)

    assert exports() == 1
    (path,) = (tmp_path / ".cache" / "onnx").iterdir()
    kept = path.read_bytes()
    for damaged in (b"", kept[:-9], kept[:2000] + bytes(8) + kept[2008:]):
        path.write_bytes(damaged)
        before = len(made)
        assert exports() == before + 1
        assert path.read_bytes() == kept
    with monkeypatch.context() as patch:
        patch.setattr(model.lm_head.weight, "data", model.lm_head.weight.data * 2)
        assert exports() == 5
    with monkeypatch.context() as patch:
        patch.setattr(onnx_runtime.metadata, "version", lambda name: "0")
        assert exports() == 6
    assert exports() == 6


@extra
def test_worker_processes_get_the_model(pair):
    model, other = pair(diffusion)
    x = tokens(model, 2, 9)
    assert torch.equal(pickle.loads(pickle.dumps(other))(x), other(x))


@extra
@every_method
def test_a_command_writes_the_same_text(saved, capsys, method):
    flags = ["--weights", str(saved(method)), "--max-new-tokens", "60"]
    assert command.run(method, [*flags, "--device", "cpu"]) == 0
    plain = capsys.readouterr().out
    assert command.run(method, [*flags, "--runtime", "onnx"]) == 0
    captured = capsys.readouterr()
    assert captured.out == plain
    assert "exporting" not in captured.err


@extra
@every_method
def test_exported_files_are_read_without_our_code(saved, tmp_path, method):
    path, folder = saved(method), tmp_path / "to" / "others"
    assert cli.run(export.main, export.Args, ["--weights", str(path), "--output-dir", str(folder)]) == 0
    model, alphabet, opening, provenance = checkpoint.load(path, method)
    session = onnxruntime.InferenceSession(folder / "mine.onnx")
    x = tokens(model, 2, 9)
    given = {"idx": x.numpy()}
    for taken in session.get_inputs()[1:]:  # no evidence, and no past
        sizes = {"batch": 2, "positions": 9, "room": 1, "window": 9}
        kind = {"tensor(int64)": np.int64, "tensor(bool)": bool}.get(taken.type, np.float32)
        given[taken.name] = np.zeros([sizes.get(size, size) for size in taken.shape], kind)
    more = ()
    if method is streams:
        given["columns"] += np.arange(9)
        given["visible"] |= np.tri(9, dtype=bool)
        more = (torch.tensor(given["visible"]),)
    np.testing.assert_allclose(session.run(["logits"], given)[0], model(x, *more).detach(), atol=3e-5, rtol=0)
    with safetensors.safe_open(folder / "mine.safetensors", "np") as file:
        weights, said = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    assert weights.keys() == model.state_dict().keys()
    for name, own in model.state_dict().items():
        np.testing.assert_array_equal(weights[name], own)
    assert said == session.get_modelmeta().custom_metadata_map
    assert (said["method"], said["characters"], said["mask"]) == (method.name, alphabet.characters, alphabet.mask)
    assert (said["opening"], json.loads(said["provenance"])) == (opening, provenance)
    assert json.loads(said["sizes"])["block_size"] == 32
    assert str(tmp_path) not in (folder / "mine.onnx").read_bytes().decode("latin-1")


@extra
def test_files_of_one_name_are_refused(make_weights, tmp_path, capsys):
    path = make_weights(gpt)
    assert cli.run(export.main, export.Args, ["--weights", f"{path},elsewhere/{path.name}"]) == 2
    assert "one name" in capsys.readouterr().err


WANTING = (lambda: command.run(gpt, ["--runtime", "onnx"]), lambda: cli.run(export.main, export.Args, []))


@pytest.mark.parametrize("wanting", WANTING, ids=["gpt", "export"])
def test_without_the_packages_one_message_says_what_to_do(monkeypatch, capsys, wanting):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else found(name))
    assert wanting() == 2
    assert "uv sync --extra onnx" in capsys.readouterr().err


def test_another_device_is_refused(capsys):
    assert command.run(gpt, ["--runtime", "onnx", "--device", "cuda"]) == 2
    assert "leave out --device" in capsys.readouterr().err
