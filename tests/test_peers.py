"""Other packages on an exact toy: where one is right, ours says the same.

    uv run --group peers pytest -rs tests/test_peers.py

Without the group those that need a package skip.
"""

import importlib
from importlib import metadata
from types import SimpleNamespace

import pytest
import torch
import tyro
from test_house import ROOT, code_lines, tree

from benchmarks import output, peers
from benchmarks.adapters import Network, environments
from benchmarks.peers import distance, toy, watch
from lab import cli
from lab.cli import UserError
from lab.decoding.unmasking import within_budget
from lab.measuring import records
from lab.training import muon

ADAPTERS = [ROOT / "benchmarks" / "adapters" / f"{name}.py" for name in environments.PACKAGES]
DRAWS = 5_000  # from the toy: by chance they lie .015 from its probabilities


def adapter(name, module):
    """benchmarks/adapters/NAME.py; skips where its package is not installed."""
    pytest.importorskip(module)
    return importlib.import_module(f"benchmarks.adapters.{name}")


def drawn(sampler, passes):
    """How far a sampler's texts of two positions lie from its law: to fill in both in one pass, or one given the other."""
    torch.manual_seed(0)
    sequences, joint, net = toy(2)
    texts = sampler(net, torch.full((DRAWS, 2), 3), n=passes)
    alone = joint.view(3, 3).sum(1)[sequences[:, 0]] * joint.view(3, 3).sum(0)[sequences[:, 1]]
    together = 1 / passes
    return distance(texts, sequences, together * alone + (1 - together) * joint)


@pytest.mark.parametrize("passes", [1, 2, 8])
def test_our_ancestral_sampler_follows_its_law(passes):
    assert drawn(importlib.import_module("benchmarks.adapters.tiny_diffusion").SAMPLERS["ancestral"], passes) < 0.035


@pytest.mark.parametrize("passes", [1, 2, 8])
def test_bionemo_moco_s_ancestral_sampler_follows_the_same_law(passes):
    assert drawn(adapter("bionemo_moco", "bionemo.moco").SAMPLERS["MDLM"], passes) < 0.035


def test_flow_matching_s_solver_comes_to_the_toy_s_probabilities():
    """Its steps leave more to the last pass than ancestral ones, so that its law is another; in many passes none is seen."""
    euler = adapter("flow_matching", "flow_matching.solver").SAMPLERS["Euler"]
    assert drawn(euler, 1) < 0.035
    assert drawn(euler, 64) < 0.035


def test_to_keep_the_surest_draws_is_another_law():
    """LLaDA's rule with one position a pass, as docs/peers.md tells it: by enumeration, and as diffusers draws."""
    sequences, joint, net = toy(2)
    pair = joint.view(3, 3)
    first, second, law = pair.sum(1), pair.sum(0), torch.zeros(3, 3)
    for a in range(3):
        for b in range(3):
            if first[a] > second[b]:  # the first position's draw stays, and the second is drawn anew
                law[a] += second[b] * pair[a]
            else:
                law[:, b] += first[a] * pair[:, b]
    assert (pair[0, 0].item(), law[0, 0].item()) == (pytest.approx(0.4), pytest.approx(0.6))
    refine = adapter("diffusers", "diffusers").SAMPLERS["BlockRefinement"]
    torch.manual_seed(0)
    assert distance(refine(net, torch.full((DRAWS, 2), 3), n=2), sequences, law.flatten()) < 0.035


@pytest.mark.parametrize(
    "name, module, loss",
    [
        ("tiny_diffusion", "torch", "bound"),
        ("flow_matching", "flow_matching.loss", "generalised KL, sure"),
        ("bionemo_moco", "bionemo.moco", "MDLM"),
    ],
)
def test_a_bound_of_the_exact_network_is_the_entropy_and_of_one_that_knows_nothing_ln_v(name, module, loss):
    losses = {row["loss"]: row for row in peers.losses(adapter(name, module), peers.Args(draws=1024))}
    assert losses[loss]["toy"] == pytest.approx(1, abs=0.03)
    assert losses[loss]["blind"] == pytest.approx(1, abs=0.05)
    assert losses[loss]["visible"] == pytest.approx(0, abs=1e-6)


def test_an_entropy_budget_chooses_what_diffusers_chooses():
    scheduler = pytest.importorskip("diffusers").EntropyBoundScheduler(entropy_bound=1.0, t_max=1.0, t_min=1.0)
    for seed in range(50):
        logits = 4 * torch.randn(8, 32, 65, generator=torch.Generator().manual_seed(seed))
        theirs = scheduler.step(logits, 0, torch.zeros(8, 32, dtype=torch.long)).accepted_index
        ours = within_budget(logits.softmax(-1), torch.ones(8, 32, dtype=torch.bool), nats=1.0)
        assert 0 < ours.float().mean() < 1
        assert ours.equal(theirs)


@pytest.mark.parametrize("shape", [(32, 32), (64, 16), (16, 64)])
def test_muon_is_pytorch_s_but_for_its_bfloat16(shape):
    """Three steps: momentum, Nesterov and the scale of a tall matrix count."""
    start, gradients = torch.randn(shape), torch.randn(3, *shape)
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    steps = (muon.Muon([ours], lr=0.1), torch.optim.Muon([theirs], lr=0.1, weight_decay=0.0))
    for gradient in gradients:
        for parameter, optimiser in zip((ours, theirs), steps, strict=True):
            parameter.grad = gradient.clone()
            optimiser.step()
    assert (ours - theirs).norm() < 0.03 * (ours - start).norm()


def test_what_a_sampler_does_is_seen():
    """One that changes a known symbol, fills in all but a mask in its second pass, and looks once more for nothing."""

    def sampler(net, x):
        for _ in range(3):
            net(x)
            x = torch.where(net.shown[0] == 3, len(net.shown) // 2, net.shown[0] - 1)
            x[:, -1] = 3
        return x

    net = Network(lambda x: torch.zeros(*x.shape, 3), 3, 6)
    text, did = watch(net, sampler, torch.tensor([1, 3, 3, 3, 3, 3]))
    assert text.tolist() == [0, 1, 1, 1, 1, 3]
    assert did == {"passes": 2, "left": 0, "masks": 1, "known": 0}
    sequences, joint, _ = toy(2)
    assert distance(torch.tensor([[0, 3], [0, 0]]), sequences, joint) == pytest.approx(1 - min(joint[0].item(), 0.5))


def test_what_weighs_in_a_loss_is_seen():
    """A loss that is negative for every second text and counts known positions a tenth."""

    def loss(net, x0):
        xt = x0.clone()
        xt[: len(x0) // 2, :5] = net.mask
        xt[len(x0) // 2 :, :45] = net.mask
        nll = torch.nn.functional.cross_entropy(net(xt)[..., :-1].mT, x0, reduction="none")
        weight = torch.where(xt == net.mask, 1.0, 0.1)
        weight[::2] *= -1
        return (nll * weight).mean()

    row = peers.blind(loss, 8)
    assert row["blind"] == pytest.approx(0, abs=1e-6)
    assert [row["at_10"], row["at_90"], row["visible"]] == pytest.approx([0, 0, 0], abs=1e-6)


def test_a_package_is_measured_and_the_others_stay(own_root, monkeypatch, capsys):
    monkeypatch.setattr(output, "ROOT", own_root)
    ours, path = adapter("tiny_diffusion", "torch"), own_root / "benchmark_reports" / "peers.json"
    monkeypatch.setattr(ours, "SAMPLERS", {name: ours.SAMPLERS[name] for name in ("ancestral", "spacing 8")})
    monkeypatch.setattr(peers, "PASSES", (2,))
    path.parent.mkdir()
    records.write_json(path, {"packages": {"diffusers": {}}})
    flags = ["--only", "tiny_diffusion", "--texts", "1", "--draws", "8"]
    assert cli.run(peers.main, peers.Args, flags) == 0
    packages = records.read_json(path)["packages"]
    assert packages.keys() == {"diffusers", "tiny_diffusion"}
    rows = {row["sampler"]: row for row in packages["tiny_diffusion"]["samplers"]}
    assert (rows["ancestral"]["passes"], rows["ancestral"]["masks"], rows["ancestral"]["known"]) == (2, 0, 1)
    assert rows["ancestral"]["nll"] > 1
    assert 10 < rows["spacing 8"]["passes"] < 20


@pytest.mark.parametrize(
    "pins, known",
    [
        ((), True),
        ((f"torch=={metadata.version('torch')}", "x==1"), True),
        (("torch==1.0",), False),
        (("no-such==1",), False),
    ],
)
def test_a_package_of_another_version_is_not_taken_for_the_pinned_one(monkeypatch, pins, known):
    monkeypatch.setitem(environments.PACKAGES, "it", pins)
    assert environments.is_installed("it") == known


def test_a_package_that_is_not_here_is_measured_alone_in_an_environment_that_has_it(monkeypatch):
    ran = []
    monkeypatch.setattr(
        environments.subprocess,
        "run",
        lambda command, **_: ran.append(command) or SimpleNamespace(returncode=len(ran) - 1),
    )
    flags = ["--only", "dlmserve,diffusers", "--texts", "3"]
    monkeypatch.setattr(environments.sys, "argv", ["peers.py", *flags])
    monkeypatch.setitem(environments.PACKAGES, "dlmserve", ("no-such==1",))
    environments.run_in_its_own("dlmserve")
    assert ran[0][:5] == ["uv", "run", "--with=no-such==1", "-m", "benchmarks.peers"]
    args = tyro.cli(peers.Args, args=ran[0][5:], config=cli.CONFIG)
    assert args.only == ("dlmserve",) and args.texts == 3
    with pytest.raises(UserError, match="dlmserve: ended with status 1"):
        environments.run_in_its_own("dlmserve")


def test_adapters_are_short_and_their_packages_pinned():
    assert all("==" in pin for pins in environments.PACKAGES.values() for pin in pins)
    for path in ADAPTERS:
        imports = [node for node in tree(path).body if type(node).__name__.startswith("Import")]
        imported = {line for node in imports for line in range(node.lineno, node.end_lineno + 1)}
        assert len(code_lines(path).keys() - imported) <= 25, path.name
