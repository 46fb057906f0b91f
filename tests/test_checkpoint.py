"""One file per model: what goes in comes out, and nothing else gets in."""

import errno
import os
import pickle
import random
import re
import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

import methods
from diffusion import METHOD as diffusion
from diffusion_flow import METHOD as diffusion_flow
from gpt import METHOD as gpt
from lab import command, files
from lab.cli import UserError
from lab.model import checkpoint, machine
from lab.model.corpus import Alphabet
from streams import METHOD as streams

METHODS = [gpt, diffusion, diffusion_flow, streams]


def load(path, method=gpt):
    return checkpoint.load(path, method)


def refusal(path, method=gpt):
    """The message with which loading is refused: one line that names the file."""
    with pytest.raises(UserError) as caught:
        load(path, method)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    return message


def test_refusal_names_the_file_and_the_command_that_trains(make_weights, tmp_path):
    for method in METHODS:
        assert f"uv run {method.name}.py --train" in refusal(tmp_path / "nowhere.pt", method)


GPT = checkpoint.default_path("gpt")


@pytest.mark.parametrize("path", [GPT.with_stem(method.name) for method in METHODS], ids=lambda path: path.stem)
def test_the_shipped_weights_are_of_a_documented_training(path):
    """What the pages say of them: `--train`, with `--iters 10000` (GPT) or `--batch-size 12`, makes them again."""
    newest = checkpoint.read(path, "--train")
    made, method = newest["provenance"], methods.METHODS[newest["name"]]
    assert made["recipe"] == asdict(replace(method.recipe, iters=10000, batch_size=12))
    assert (made["seed"], made["init"], made["steps"]) == (command.Args.seed, None, 10000) and made["temperature"]
    assert method.Config(**newest["config"]) == replace(method.config, vocab_size=len(newest["characters"]))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_what_was_saved_is_loaded(tmp_path, method):
    config = method.Config(vocab_size=3, n_layer=1, n_embd=16, n_head=2, block_size=8)
    torch.manual_seed(1)
    model = method.Model(config)
    path, alphabet = tmp_path / "new" / "folder" / "w.pt", Alphabet("_ab")
    provenance = {"seed": 1, "minutes": 0.5, "init": None, "recipe": {"iters": 3}, **machine.versions()}
    checkpoint.save(path, model, checkpoint.describe(method.name, config, alphabet, "ab_a", provenance))

    found, found_alphabet, opening = load(path, method)
    assert type(found) is method.Model and found.config == config and not found.training
    assert found_alphabet == alphabet and found_alphabet.mask == alphabet.mask
    assert opening == "ab_a" and checkpoint.read(path, "")["provenance"] == provenance
    assert found.state_dict().keys() == model.state_dict().keys()
    for key, value in found.state_dict().items():
        assert value.dtype == torch.float32 and value.device.type == "cpu"
        assert value.equal(model.state_dict()[key].bfloat16().float())
    assert [p.name for p in path.parent.iterdir()] == ["w.pt"]


def test_saving_what_was_loaded_loses_nothing(make_weights, tmp_path):
    model, alphabet, opening = load(make_weights(gpt))
    again = tmp_path / "again.pt"
    checkpoint.save(again, model, checkpoint.describe("gpt", model.config, alphabet, opening, {}))
    idx = alphabet.encode(opening)[None]
    with torch.no_grad():
        assert model(idx).equal(load(again)[0](idx))
        assert model(idx).std() > 0.1


def test_saving_changes_neither_the_model_nor_its_number_format(tmp_path):
    model = gpt.Model(gpt.Config(vocab_size=3, n_layer=1, n_embd=16, n_head=2)).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    checkpoint.save(tmp_path / "w.pt", model, {})
    assert model.training
    assert all(value.equal(before[key]) for key, value in model.state_dict().items())


def test_missing_file_is_refused(tmp_path):
    assert "no such file" in refusal(tmp_path / "nowhere.pt")


def test_a_file_of_another_name_is_not_to_be_replaced(tmp_path):
    (tmp_path / "x.csv").write_text("step,loss")
    assert refusal(tmp_path / "x.csv") == f"{tmp_path / 'x.csv'}: a weights file ends in .pt; name another"


@pytest.mark.parametrize("start", [b"", b"PK", b"PK\x03\x04", b"\0\0\0\0", b"\x80\x02", b"step,loss"])
def test_the_remedy_for_damaged_weights_is_a_training(tmp_path, start):
    (tmp_path / "x.pt").write_bytes(start)
    assert "To replace it: uv run gpt.py --train" in refusal(tmp_path / "x.pt")


@pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.9, 0.999])
def test_truncated_file_is_refused(make_weights, share):
    path = make_weights(gpt)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert "uv run gpt.py --train" in refusal(path)


def test_file_of_any_other_bytes_is_refused(tmp_path):
    rng, path = random.Random(0), tmp_path / "w.pt"
    for _ in range(300):
        path.write_bytes(rng.randbytes(rng.randrange(1, 60)))
        refusal(path)


@pytest.mark.parametrize("payload", [[1, 2], {"a": 1}, torch.zeros(3), "text", None, {"format": 0}])
def test_file_of_another_program_is_refused(tmp_path, payload):
    torch.save(payload, tmp_path / "w.pt")
    assert "uv run gpt.py --train" in refusal(tmp_path / "w.pt")


@pytest.mark.parametrize("key", ["name", "config", "characters", "opening", "model"])
def test_file_that_lacks_a_part_is_refused(make_weights, key):
    path = make_weights(gpt)
    payload = torch.load(path, weights_only=True)
    del payload[key]
    torch.save(payload, path)
    assert "uv run gpt.py --train" in refusal(path)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_weights_of_another_method_are_refused_and_both_are_named(make_weights, method):
    for other in METHODS:
        if other is not method:
            message = refusal(make_weights(other), method)
            assert f"{other.name}.py" in message and f"not of {method.name}" in message


@pytest.mark.parametrize(
    "sizes", [{"n_layer": 2}, {"n_embd": 32}, {"vocab_size": 99}, {"conv_width": 3}, {"n_head": 0}, {"unheard_of": 1}]
)
def test_weights_that_do_not_fit_their_sizes_are_refused(make_weights, sizes):
    path = make_weights(gpt)
    payload = torch.load(path, weights_only=True)
    payload["config"] |= sizes
    torch.save(payload, path)
    message = refusal(path)
    assert "damaged" in message and "uv run gpt.py --train" in message


@pytest.mark.parametrize(
    "change",
    [
        {"opening": "Ω"},
        {"characters": "abc"},
        {"config": 5},
        {"config": {"n_layer": "many"}},
        {"model": 5},
    ],
    ids=str,
)
def test_values_that_cannot_be_used_are_refused(make_weights, change):
    path = make_weights(gpt)
    torch.save(torch.load(path, weights_only=True) | change, path)
    assert "damaged" in refusal(path)


def altered(path, part, key, change):
    """The weights file with one of its values as `change` makes it."""
    payload = torch.load(path, weights_only=True)
    payload[part][key] = change(payload[part][key])
    torch.save(payload, path)
    return path


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_numbers_are_refused(make_weights, value):
    place = torch.tensor([3]), torch.tensor([5])
    path = altered(
        make_weights(gpt), "model", "lm_head.weight", lambda old: old.index_put(place, torch.tensor(value).to(old))
    )
    assert "NaN or infinite weights" in refusal(path)


@pytest.mark.parametrize("value", [torch.zeros(3), torch.zeros(27, 17), 5, None, "text", [1.0]])
def test_weights_of_another_shape_are_refused(make_weights, value):
    path = altered(make_weights(gpt), "model", "lm_head.weight", lambda old: value)
    assert "damaged" in refusal(path)


def test_advice_names_the_file_in_quotes(tmp_path):
    path = tmp_path / "my w.pt"
    assert f"uv run gpt.py --train --weights '{path}'" in refusal(path)


def test_folder_is_called_a_folder(tmp_path):
    (tmp_path / "w.pt").mkdir()
    assert "directory; name a weights file" in refusal(tmp_path / "w.pt")


@pytest.mark.skipif(os.name != "posix", reason="the words are the system's")
def test_what_cannot_be_read_is_not_called_damaged(tmp_path):
    (tmp_path / "loop.pt").symlink_to("loop.pt")
    assert (
        refusal(tmp_path / "loop.pt")
        == f"{tmp_path / 'loop.pt'}: Too many levels of symbolic links; name a weights file"
    )


def test_an_error_of_the_methods_own_code_keeps_its_traceback(make_weights):
    """The file is not to blame for it, and 40 minutes of training would not mend it."""

    class Model(gpt.Model):
        def __init__(self, config):
            super().__init__(config)
            self.size = config.vocabsize

    with pytest.raises(AttributeError, match="vocabsize"):
        checkpoint.load(make_weights(gpt), replace(gpt, Model=Model))


class Trap:
    """Its pickle makes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_trap_works_on_a_careless_reader(tmp_path):
    pickle.loads(pickle.dumps(Trap(tmp_path / "sprung")))
    assert (tmp_path / "sprung").exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("how", ["whole file", "beside good weights", "bare pickle"])
def test_file_that_would_run_code_is_refused_and_the_code_does_not_run(make_weights, tmp_path, how):
    path, trap = make_weights(gpt), Trap(tmp_path / "sprung")
    if how == "bare pickle":
        path.write_bytes(pickle.dumps(trap))
    else:
        torch.save(trap if how == "whole file" else torch.load(path, weights_only=True) | {"opening": trap}, path)
    assert "uv run gpt.py --train" in refusal(path)
    assert not (tmp_path / "sprung").exists()


def refused_write(path):
    """The message with which writing is refused: one line that names the file."""
    with pytest.raises(UserError) as caught:
        checkpoint.write(path, {"format": 2})
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    return message


def test_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    for path in (tmp_path / "file" / "w.pt", tmp_path / "file" / "folder" / "w.pt"):
        assert "cannot be written" in refused_write(path)
    assert (tmp_path / "file").read_text() == "not a folder"


def test_folder_in_the_place_of_the_file_is_refused_and_kept(tmp_path):
    (tmp_path / "w.pt").mkdir()
    refused_write(tmp_path / "w.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["w.pt"]


def test_full_disk_is_reported_and_leaves_the_old_file_as_it_was(make_weights, tmp_path, monkeypatch):
    path, real = make_weights(gpt), os.fsync
    before = path.read_bytes()

    def full(descriptor):
        real(descriptor)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left" in refused_write(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is full")
def test_weights_for_a_full_device_are_reported_by_the_system_not_by_torch(make_weights, tmp_path, monkeypatch):
    path = make_weights(gpt)
    model, alphabet, opening = load(path)
    before, description = path.read_bytes(), checkpoint.describe("gpt", model.config, alphabet, opening, {})
    path.with_name(f"{path.name}.x.part").symlink_to("/dev/full")
    monkeypatch.setattr(files.secrets, "token_hex", lambda _: "x")
    with pytest.raises(UserError, match="No space left"):
        checkpoint.save(path, model, description)
    assert path.read_bytes() == before


def test_interrupted_write_leaves_the_old_file_as_it_was(make_weights, tmp_path, monkeypatch):
    path = make_weights(gpt)
    before = path.read_bytes()

    def stop(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.write(path, {"format": 2})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_resume_file_lies_beside_the_weights_under_another_name(tmp_path):
    assert checkpoint.resume_path(tmp_path / "gpt.pt") == tmp_path / "gpt.resume.pt"


def test_default_weights_lie_under_the_root():
    assert checkpoint.default_path("gpt") == checkpoint.ROOT / "weights" / "gpt.pt"
    assert (checkpoint.ROOT / "gpt.py").exists()


def test_a_commit_is_dirty_when_the_code_differs_and_not_when_results_do(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "ROOT", tmp_path)
    files = [
        tmp_path / "gpt.py",
        tmp_path / "weights" / "gpt.pt",
        tmp_path / "results" / "x.json",
        tmp_path / "README.md",
    ]
    git = ("git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b")
    for path in files:
        path.parent.mkdir(exist_ok=True)
        path.write_text("before")
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "x")):
        subprocess.run((*git, *words), check=True)
    for path in files[1:]:
        path.write_text("after")
    assert re.fullmatch("[0-9a-f]{12}", machine.versions()["commit"])
    files[0].write_text("after")
    assert machine.versions()["commit"].endswith("-dirty")


def test_versions_can_be_stored_in_a_checkpoint(tmp_path):
    checkpoint.write(tmp_path / "w.pt", {"format": 2, "name": "gpt", "provenance": machine.versions()})
    found = checkpoint.read(tmp_path / "w.pt", "gpt.py --train")["provenance"]
    assert found == machine.versions() and found["torch"] == torch.__version__ and found["threads"] >= 1
