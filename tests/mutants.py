"""Which changes of a file do its tests miss? Mutation testing by cosmic-ray's operators.

    uv run --with cosmic-ray python tests/mutants.py lab/measuring/stats.py tests/test_stats.py --sample 100

Each mutant is tried in a copy of the project by a process that is forked when PyTorch is imported already, so that it costs
about as much as the tests themselves up to the first that fails. Prints the mutants that live and the share of those that do not.
"""

import argparse
import contextlib
import difflib
import gc
import importlib
import itertools
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAVY = "torch numpy pandas scipy.special scipy.stats matplotlib.pyplot PIL.Image tyro rich.progress hypothesis msgspec tabulate"


def mutants(code, seed):
    """One (operator, mutated text) at random for each place of a text and kind of operator, in random order."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator, operator_names

    nodes, places = list(ast_nodes(get_ast(code))), {}
    for name in operator_names():
        if not get_operator(name).arguments():
            operator, kind = get_operator(name)(), name.partition("/")[2].partition("_")[0]
            found = itertools.chain.from_iterable(operator.mutation_positions(node) for node in nodes)
            for occurrence, place in enumerate(found):
                places.setdefault((kind, place), []).append((name, operator, occurrence))
    rng = random.Random(seed)
    chosen = [rng.choice(places[key]) for key in sorted(places)]
    rng.shuffle(chosen)
    return [(name, partial(mutate_code, code, operator, occurrence)) for name, operator, occurrence in chosen]


@contextlib.contextmanager
def copy():
    """A copy of what git tracks or may track, in a folder that ends with the context."""
    listed = subprocess.run(("git", "ls-files", "-co", "--exclude-standard"), cwd=ROOT, capture_output=True, check=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in listed.stdout.decode().splitlines():
            if (ROOT / name).is_file():
                (target := Path(folder, name)).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, target)
        yield Path(folder)


def prepare():
    """Import what takes long, and leave out of the forked processes what does."""
    os.environ |= {"OMP_NUM_THREADS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    for name in HEAVY.split():
        importlib.import_module(name)
    gc.freeze()


def passes(folder, tests, limit, options=("-x", "-q")):
    """Whether the tests pass in a copy within so many seconds of the CPU, and what they printed."""
    (folder / "out.txt").touch()
    if (child := os.fork()) == 0:
        os.chdir(folder)
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
        out = os.open("out.txt", os.O_WRONLY | os.O_TRUNC)
        os.dup2(out, 1), os.dup2(out, 2)
        status = 1
        with contextlib.suppress(BaseException):
            status = pytest.main([*options, "-p", "no:cacheprovider", *tests])
        os._exit(status)
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(child, signal.SIGKILL))
    signal.alarm(10 * limit)  # of the clock: one that sleeps
    status = os.waitpid(child, 0)[1]
    signal.alarm(0)
    return status == 0, (folder / "out.txt").read_text(errors="replace")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("tests", nargs="+", help="files, or FILE::TEST")
    parser.add_argument("--sample", type=int, help="try so many of the mutants, drawn at random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=int, default=60, help="of the CPU: a mutant whose tests take more is killed")
    args = parser.parse_args()
    code = (ROOT / args.file).read_text(encoding="utf-8")
    every = mutants(code, args.seed)
    tried = every[: args.sample]
    prepare()
    with copy() as folder:
        path, alive = folder / args.file, []
        passed, said = passes(folder, args.tests, 10 * args.seconds)
        assert passed, said
        sys.dont_write_bytecode = True  # a mutant may be as long and as old as another one
        for n, (name, mutant) in enumerate(tried, 1):
            path.write_text(mutant := mutant(), encoding="utf-8")
            if passes(folder, args.tests, args.seconds)[0]:
                diff = difflib.unified_diff(
                    code.splitlines(), mutant.splitlines(), str(args.file), name, n=0, lineterm=""
                )
                alive.append("\n".join(list(diff)[2:]))
                print(f"{len(alive)} of {n} alive, {name}\n{alive[-1]}", flush=True)
    print(f"{args.file}: {len(tried) - len(alive)} of {len(tried)} mutants killed, drawn of {len(every)}")


if __name__ == "__main__":
    main()
