"""The command line: exit status, and one message for every mistake, for all three commands."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import run_inference_sweep
from diffusion import METHOD as diffusion
from diffusion_flow import METHOD as diffusion_flow
from gpt import METHOD as gpt
from lab import cli, command
from lab.cli import UserError, check
from lab.model import corpus
from streams import METHOD as streams


@dataclass(frozen=True)
class Args:
    """Flags of the command that these tests make up."""

    what: str = "nothing"  # what to do
    size: int = 3  # how large
    is_loud: bool = False  # whether to shout


def do(args):
    """Made-up command."""
    check(args.size >= 0, f"size must not be negative, but is {args.size}")
    if args.what == "stop":
        raise KeyboardInterrupt
    if args.what == "bug":
        raise ZeroDivisionError("a bug of ours")
    if args.what == "runtime":
        raise RuntimeError("another bug of ours")
    if args.what == "memory":
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 10 bytes")
    if args.what == "exit":
        sys.exit(3)
    print("SHOUTED" if args.is_loud else "said", args.what, args.size)


def test_success_is_status_0_and_flags_reach_the_command(capsys):
    assert cli.run(do, Args, ["--what", "hello", "--size", "5", "--is-loud"]) == 0
    assert capsys.readouterr() == ("SHOUTED hello 5\n", "")


def test_flags_left_out_have_their_defaults(capsys):
    assert cli.run(do, Args, []) == 0
    assert capsys.readouterr().out == "said nothing 3\n"


def test_flags_come_from_the_process_when_none_are_handed_over(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["command.py", "--size", "7"])
    assert cli.run(do, Args) == 0
    assert "7" in capsys.readouterr().out


def test_mistake_is_status_2_and_one_line_on_stderr(capsys):
    assert cli.run(do, Args, ["--size", "-1"]) == 2
    assert capsys.readouterr() == ("", "error: size must not be negative, but is -1\n")


def test_mistake_found_while_the_settings_are_made_is_reported_alike(capsys):
    @dataclass(frozen=True)
    class Strict(Args):
        def __post_init__(self):
            raise UserError("these settings do not go together")

    assert cli.run(do, Strict, []) == 2
    assert capsys.readouterr() == ("", "error: these settings do not go together\n")


@pytest.mark.parametrize(
    ("argv", "named"), [(["--nonsense", "1"], "--nonsense"), (["--size", "x"], "--size"), (["x"], "x")]
)
def test_flag_that_cannot_be_understood_is_status_2_and_named_on_stderr(capsys, argv, named):
    assert cli.run(do, Args, argv) == 2
    out, err = capsys.readouterr()
    assert out == "" and named in err and "Traceback" not in err


def test_interrupt_is_status_130(capsys):
    assert cli.run(do, Args, ["--what", "stop"]) == 130
    assert capsys.readouterr() == ("", "interrupted\n")


def test_exit_status_of_the_command_itself_is_kept():
    assert cli.run(do, Args, ["--what", "exit"]) == 3


def test_bug_of_ours_is_not_disguised_as_a_mistake_of_the_user():
    for what, error in (("bug", ZeroDivisionError), ("runtime", RuntimeError)):
        with pytest.raises(error):
            cli.run(do, Args, ["--what", what])


def test_out_of_memory_is_one_message(capsys):
    assert cli.run(do, Args, ["--what", "memory"]) == 2
    assert capsys.readouterr().err.startswith("error: out of memory: ")


def test_help_is_status_0_and_explains_flags_and_purpose(capsys):
    assert cli.run(do, Args, ["--help"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "--is-loud" in out and "how large" in out and "one message for every mistake" in out


def test_check_passes_what_is_right_and_stops_what_is_not():
    check(True, "not seen")
    with pytest.raises(UserError, match="seen"):
        check(False, "seen")


def test_reader_that_leaves_early_is_no_error():
    """As in `uv run gpt.py | head -1`; in a process of its own, for its stdout is closed."""
    code = "import dataclasses, sys; from lab import cli; Args = dataclasses.make_dataclass('Args', [])\n"
    code += "def main(args): [print('line') for _ in range(100_000)]\n"
    code += "sys.exit(cli.run(main, Args, []))"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cli.ROOT
    )
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 141


METHODS = {"gpt": gpt, "diffusion": diffusion, "diffusion_flow": diffusion_flow, "streams": streams}
MASKED = [diffusion, diffusion_flow]


@pytest.fixture(params=METHODS.values(), ids=METHODS.keys())
def method(request):
    """Each of the methods."""
    return request.param


@pytest.fixture
def invoke(make_weights, own_root, monkeypatch, capsys):
    """invoke(method, *argv) -> (status, stdout, stderr) of its command, run on tiny weights in an empty folder."""
    monkeypatch.chdir(own_root)

    def run(method, *argv):
        weights = [] if "--weights" in argv else ["--weights", str(make_weights(method))]
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", [f"{method.name}.py", *argv])
        status = command.run(method, [*weights, *argv])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def refused(invoke, own_root):
    """refused(method, *argv) -> message, once checked that the command refuses and leaves no file behind."""

    def run(method, *argv):
        before = files(own_root)
        status, out, err = invoke(method, *argv)
        assert (status, out) == (2, "")
        assert "Traceback" not in err
        is_box = err.startswith("╭")  # the library's answer to a flag that it cannot understand
        assert is_box or [line.startswith("error: ") for line in err.splitlines()].index(True) == err.count("\n") - 1
        assert files(own_root) - before <= {own_root / "weights.pt"}
        return err

    return run


def files(root):
    """All files below a folder but those of the corpus cache."""
    return {path for path in root.rglob("*") if path.is_file() and ".cache" not in path.parts}


def test_default_prompt_is_the_opening_that_the_weights_know(invoke, method):
    assert invoke(method, "--max-new-tokens", "5", "--prompt-len", "9")[1].startswith("to be or ")


def test_opening_of_a_typed_text_is_the_prompt(invoke, method, own_root):
    (own_root / "text.txt").write_text("whether tis nobler", encoding="utf-8")
    argv = ("--data", str(own_root / "text.txt"), "--max-new-tokens", "5", "--prompt-len", "7")
    assert invoke(method, *argv)[1].startswith("whether")


@pytest.mark.parametrize("masked_method", MASKED, ids=lambda method: method.name)
def test_infill_fills_the_gaps_and_keeps_the_rest(invoke, masked_method):
    status, out, _ = invoke(masked_method, "--infill", "__be or n__ to b_")
    assert status == 0 and len(out) == 17 + 1 and "_" not in out
    assert out[2:9] == "be or n" and out[11:16] == " to b"


IMPOSSIBLE = [
    ("--temp -1", "temp"),
    ("--temp nan", "temp"),
    ("--temp warm", "--temp"),
    ("--top-k 0", "top_k"),
    ("--top-k -2", "top_k"),
    ("--max-new-tokens 0", "max_new_tokens"),
    ("--prompt-len -1", "prompt_len"),
    ("--prompt-len 33", "prompt_len 33"),
    ("--iters 0", "iters"),
    ("--iters 1" + "0" * 400, "iters"),
    ("--batch-size 1" + "0" * 30, "batch_size"),
    ("--data /dev/zero", "/dev/zero: is a device or a pipe"),
    ("--batch-size 0", "batch_size"),
    ("--eval-every 0", "eval_every"),
    ("--adam-lr -1", "adam_lr"),
    ("--adam-lr 1e300", "adam_lr"),
    ("--muon-lr nan", "muon_lr"),
    ("--decay 2", "decay"),
    ("--seed x", "--seed"),
    ("--device nonsense", "--device nonsense"),
    ("--device cuda:99", "--device cuda:99"),
    ("--resume", "--train"),
    ("--init weights.pt", "--train"),
    ("--nonsense 1", "--nonsense"),
    ("--prompt a_b", "'_'"),
    ("--weights nowhere.pt", "nowhere.pt: no such file"),
    ("--data nowhere.txt", "nowhere.txt: No such file"),
]


def in_turn(methods, cases):
    """A parametrization of (method, *case) in which the methods take turns: what they share need not be tried with each."""
    return [pytest.param(methods[n % len(methods)], *case, id=case[0]) for n, case in enumerate(cases)]


@pytest.mark.parametrize(("method", "argv", "named"), in_turn([*METHODS.values()], IMPOSSIBLE))
def test_impossible_value_is_refused_and_named(refused, method, argv, named):
    assert named in refused(method, *argv.split())


@pytest.mark.parametrize("seed", [10**20, -(10**20)])
def test_seed_that_no_generator_takes_is_refused(refused, method, seed):
    assert "seed" in refused(method, "--prompt", "ab", "--seed", str(seed))


@pytest.mark.parametrize("device", ["meta", "hpu"])
def test_device_that_pytorch_knows_but_cannot_compute_on_here_is_refused(refused, method, device):
    assert f"--device {device}" in refused(method, "--device", device, "--prompt", "ab")


IMPOSSIBLE_MASKED = [
    ("--confidence-threshold 1.5", "confidence_threshold"),
    ("--confidence-threshold -0.1", "confidence_threshold"),
    ("--confidence-threshold nan", "confidence_threshold"),
    ("--spacing -1", "spacing"),
    ("--draft-threshold 0.5", "needs draft_threshold < confidence_threshold"),
    ("--confidence-threshold 0.8 --draft-threshold 0.8", "draft_threshold: no effect without two stages"),
    (
        "--replace-margin 0.3 --confirm-threshold 0.2",
        "confirm_threshold and replace_margin: no effect without two stages",
    ),
    ("--weights /dev/null", "a weights file ends in .pt; name another"),
    ("--target-chunk-len 0", "target_chunk_len"),
    ("--steps 5 --spacing 3", "--steps ignores confidence_threshold and spacing"),
    ("--prompt a_", "--infill fills masked characters"),
    ("--infill unspaced", "mark each missing character by _"),
    ("--infill=", "nothing to fill in"),
    ("--infill N_", "'N'"),
    ("--infill a_ --prompt a", "leave out --prompt"),
]


@pytest.mark.parametrize(("method", "argv", "named"), in_turn(MASKED, IMPOSSIBLE_MASKED))
def test_impossible_value_of_a_masked_method_is_refused_and_named(refused, method, argv, named):
    assert named in refused(method, *argv.split())


@pytest.mark.parametrize("argv", ["--flow-step 2", "--flow-step -0.1", "--flow-step nan", "--flow-until 2"])
def test_impossible_value_of_the_flow_is_refused_and_named(refused, argv):
    assert argv.split()[0][2:].replace("-", "_") in refused(diffusion_flow, *argv.split())


LACKING = [(gpt, "--spacing 1"), (gpt, "--confidence-threshold 1"), (gpt, "--flow-step 1")]
LACKING += [(diffusion, "--flow-step 1"), (diffusion, "--flow-until 1"), (diffusion, "--flow-weight 1")]


@pytest.mark.parametrize(("lacking", "argv"), LACKING, ids=[f"{method.name} {argv}" for method, argv in LACKING])
def test_setting_that_the_method_lacks_is_refused_and_named(refused, lacking, argv):
    assert argv.split()[0] in refused(lacking, *argv.split())


def test_gpt_fills_in_what_stands_at_the_end_and_says_why_not_elsewhere(refused, invoke):
    assert "cannot fill a masked span before known text; use diffusion.py" in refused(gpt, "--infill", "a_b")
    status, out, _ = invoke(gpt, "--infill", "ab__")
    assert status == 0 and out.startswith("ab") and len(out) == 5


def test_unknown_characters_of_the_prompt_are_listed(refused, method):
    message = refused(method, "--prompt", "to be 日本 OK")
    assert "does not know: 'KO日本'. It knows: " in message


def test_gpt_needs_a_prompt(refused):
    assert "prompt" in refused(gpt, "--prompt", "")
    assert "prompt" in refused(gpt, "--prompt-len", "0")


@pytest.mark.parametrize("masked_method", MASKED, ids=lambda method: method.name)
def test_masked_methods_need_no_prompt(invoke, masked_method):
    status, out, _ = invoke(masked_method, "--prompt", "", "--max-new-tokens", "5")
    assert status == 0 and len(out) == 6


def test_missing_weights_name_the_command_that_makes_them(refused, method):
    argv = ("--weights", "folder/nowhere.pt")
    assert cli.uv_run(f"{method.name}.py", *argv, "--train") in refused(method, *argv)


def test_a_command_to_type_works_in_the_users_folder(tmp_path, monkeypatch):
    argv = ("gpt.py", "--train", "--data", Path("my text.txt"))
    monkeypatch.chdir(cli.ROOT)
    assert cli.uv_run(*argv) == "uv run gpt.py --train --data 'my text.txt'"
    monkeypatch.chdir(tmp_path)
    assert cli.uv_run(*argv) == f"uv run --project {cli.ROOT} {cli.ROOT}/gpt.py --train --data 'my text.txt'"
    monkeypatch.setattr(sys, "argv", ["../gpt.py", "--train", "--seed", "2"])
    assert cli.typed_command("--resume") == f"uv run --project {cli.ROOT} {cli.ROOT}/gpt.py --train --seed 2 --resume"


def test_weights_of_another_method_are_refused(refused, make_weights, method):
    other = gpt if method is not gpt else diffusion
    path = make_weights(other, "other.pt")
    message = refused(method, "--weights", str(path))
    assert str(path) in message and f"{other.name}.py" in message


def test_damaged_weights_are_refused(refused, method, own_root):
    (own_root / "damaged.pt").write_bytes(b"not weights at all")
    assert "damaged.pt" in refused(method, "--weights", "damaged.pt")


@pytest.fixture
def make_text(own_root):
    """make_text(bytes) -> path of a file that holds them."""

    def make(data):
        (own_root / "text.txt").write_bytes(data)
        return str(own_root / "text.txt")

    return make


def test_empty_text_is_refused(refused, method, make_text, tiny):
    path = make_text(b"")
    for argv in ([], ["--train", "--weights", "new.pt", *tiny]):
        message = refused(method, "--data", path, *argv)
        assert path in message and "empty" in message


def test_text_that_is_not_utf8_is_refused(refused, method, make_text):
    path = make_text(b"caf\xe9")
    message = refused(method, "--data", path)
    assert path in message and "UTF-8" in message


def test_text_too_short_for_the_prompt_is_refused(refused, method, make_text):
    message = refused(method, "--data", make_text(b"to be"))
    assert "prompt_len 16" in message and "5 characters" in message


def test_text_too_short_to_train_on_is_refused(refused, method, make_text, tiny):
    path = make_text(b"to be or not to be " * 10)
    message = refused(method, "--train", "--weights", "new.pt", "--data", path, *tiny)
    assert path in message and "190" in message and "--block-size" in message


def test_training_text_that_cannot_be_had_is_named_with_the_ways_out(refused, method, tiny):
    message = refused(method, "--train", "--weights", "new.pt", *tiny)
    assert "data.txt" in message and corpus.URL in message and "--data" in message


@pytest.fixture
def train(refused, text_file, tiny):
    """train(method, *argv) -> the message with which a short training is refused; nothing may have been written."""

    def run(method, *argv):
        weights = [] if "--weights" in argv else ["--weights", "new.pt"]
        return refused(method, "--train", "--iters", "1", "--data", str(text_file), *tiny, *weights, *argv)

    return run


SIZES = [
    "--n-layer 1000000000",
    "--n-head 3",
    "--n-head 0",
    "--n-head 16",
    "--n-layer 0",
    "--n-embd 0",
    "--block-size 0",
    "--conv-width 0",
]


@pytest.mark.parametrize(("method", "size"), in_turn([*METHODS.values()], [(size,) for size in SIZES]))
def test_size_that_no_model_can_have_is_refused_and_named(train, method, size):
    flag = size.split()[0]
    message = train(method, *size.split())
    assert flag[2:].replace("-", "_") in message or flag in message


@pytest.mark.parametrize("size", ["--block-size 1 --conv-width 1", "--block-size 2 --conv-width 2 --n-head 8"])
def test_smallest_sizes_train_and_write(invoke, method, text_file, tiny, size):
    argv = ("--train", "--iters", "1", "--weights", "new.pt", "--data", str(text_file), *tiny, *size.split())
    status, out, _ = invoke(method, *argv, "--prompt", "the", "--max-new-tokens", "20")
    assert status == 0 and len(out) == 24


def test_weights_in_a_folder_that_cannot_be_made_are_refused_before_training(train, method, own_root):
    (own_root / "file").write_text("not a folder")
    assert "cannot be written" in train(method, "--weights", str(own_root / "file" / "new.pt"))


def test_folder_in_the_place_of_the_weights_is_refused_before_training(train, method, own_root):
    (own_root / "folder.pt").mkdir()
    assert "folder.pt" in train(method, "--weights", str(own_root / "folder.pt"))


def test_a_prompt_of_unknown_characters_is_refused_before_training(train, method):
    assert "does not know: '中'" in train(method, "--prompt", "中")


@pytest.mark.parametrize("infill, why", [("the 中_", "does not know: '中'"), ("the", "nothing to fill in")])
def test_an_infill_that_cannot_be_filled_is_refused_before_training(train, infill, why):
    assert why in train(diffusion, "--infill", infill)


@pytest.mark.parametrize(
    "argv, why",
    [("--prompt=", "a prompt"), ("--infill=t_e", "from left to right"), ("--infill=t*e", "the length of a gap")],
)
def test_what_gpt_cannot_write_is_refused_before_training(train, argv, why):
    assert why in train(gpt, argv)


@pytest.mark.parametrize("masked_method", MASKED, ids=lambda method: method.name)
def test_prompt_and_infill_together_are_refused_before_training(train, masked_method):
    assert "--infill fills a text that you give" in train(masked_method, "--prompt", "the", "--infill", "the_")


def test_a_training_replaces_no_file_that_never_held_weights(train, text_file, own_root):
    (own_root / "log.csv").write_text("step,val_loss\n", encoding="utf-8")
    for path in (text_file, own_root / "log.csv"):
        before = path.read_bytes()
        assert "a weights file ends in .pt; name another" in train(gpt, "--weights", str(path))
        assert path.read_bytes() == before


def test_missing_weights_to_start_from_are_refused(train, method):
    assert "nowhere.pt: no such file" in train(method, "--init", "nowhere.pt")


def test_weights_to_start_from_must_know_the_same_characters(train, make_weights, method):
    path = make_weights(method, "other.pt")
    message = train(method, "--init", str(path))
    assert str(path) in message and "alphabet" in message


def test_training_that_was_never_started_cannot_be_resumed(train, method):
    assert "new.resume.pt" in train(method, "--resume")


def test_refused_training_leaves_the_old_weights_alone(invoke, method, make_weights, make_text, tiny):
    path = make_weights(method, "old.pt")
    before = path.read_bytes()
    assert invoke(method, "--train", "--weights", str(path), "--data", make_text(b"short"), *tiny)[0] == 2
    assert path.read_bytes() == before


@dataclass(frozen=True)
class Wide:
    """Flags of every kind."""

    calibrate: bool = True  # whether to end by fitting one temperature to held-out text
    data: Path | None = None  # the corpus; default data.txt
    prompt: str | None = None  # text to go on from
    top_k: cli.one_number_or_all() = None  # draw from the k likeliest characters only
    spacing: cli.comma_list(int) = ()  # positions


def keep(kept):
    """A main that keeps its Args; what the module's docstring says is its help."""

    def main(args):
        kept.append(args)

    return main


def test_help_names_flags_and_defaults(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["command.py"])
    assert cli.run(keep([]), Wide, ["--help"]) == 0
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for flag in (
        "--no-calibrate",
        "--data",
        "the corpus",
        "--top-k INT|all",
        "(default: all)",
        "--spacing INT,...",
    ):
        assert flag in shown


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
def test_help_says_what_each_flag_means(method, capsys, monkeypatch):
    """Of the command, the decoding, the training and the sizes: the comments beside the fields."""
    monkeypatch.setattr(sys, "argv", ["command.py"])
    assert command.run(method, ["--help"]) == 0
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for meaning in ("text to go on from", "draw from the k likeliest", "windows of text in a step", "longest context"):
        assert meaning in shown


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
def test_help_of_a_method_is_its_purpose_and_commands_without_theory(capsys, monkeypatch, method):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "argv", ["command.py"])
    assert command.run(method, ["--help"]) == 0
    head = capsys.readouterr().out.partition("╭")[0]
    assert f"uv run {method.name}.py" in head and len(head.splitlines()) < 12
    assert "noise ~" not in head


def test_a_number_or_all(capsys):
    kept = []
    assert cli.run(keep(kept), Wide, ["--top-k", "None"]) == 2
    assert "--top-k" in capsys.readouterr().err
    assert cli.run(keep(kept), Wide, ["--top-k", "all"]) == 0 and kept[-1].top_k is None


def test_a_list_is_separated_by_commas_or_spaces_and_has_no_value_twice():
    kept = []
    assert cli.run(keep(kept), Wide, ["--spacing", "1,2", "3"]) == 0
    assert kept[0].spacing == (1, 2, 3)
    assert cli.run(keep(kept), Wide, ["--spacing", "5,5,3"]) == 0
    assert kept[1].spacing == (5, 3)


def test_an_error_of_the_disk_that_nobody_put_into_words_is_a_bug():
    def main(args):
        (cli.ROOT / "no such folder" / "file").read_bytes()

    with pytest.raises(FileNotFoundError):
        cli.run(main, Args, [])


@pytest.mark.parametrize("argv", ["--spacing 99999999999999999999", "--steps 1000000000"])
def test_spacing_and_steps_have_limits(refused, argv):
    assert "0..1,000,000" in refused(diffusion, *argv.split())


def test_a_number_of_processes_alone_starts_none(invoke, monkeypatch):
    """As some containers set it; torchrun sets RANK, too."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert invoke(gpt, "--max-new-tokens", "5")[0] == 0


@pytest.mark.parametrize("fault", [UserError("no such text"), KeyboardInterrupt()])
@pytest.mark.parametrize(("rank", "lines"), [("0", 1), ("1", 0)])
def test_of_processes_that_torchrun_starts_the_first_speaks(rank, lines, fault, monkeypatch, capsys):
    monkeypatch.setenv("LOCAL_RANK", rank)

    def fail(args):
        raise fault

    assert cli.run(fail, command.flags(gpt), []) in (2, 130)
    assert capsys.readouterr().err.count("\n") == lines


def test_lists_may_have_a_space_behind_each_comma():
    args = run_inference_sweep.Args
    kept = []
    assert cli.run(keep(kept), args, ["--top-k", "2, all"]) == 0
    assert kept[0].top_k == (2, None)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full disk to write to")
def test_a_full_disk_on_standard_output_is_one_message():
    with open("/dev/full", "w") as full:
        command = [sys.executable, "gpt.py", "--help"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, cwd=cli.ROOT, check=False)
    assert done.returncode == 2 and done.stderr.startswith(b"error: standard output: No space left")
    assert done.stderr.count(b"\n") == 1
