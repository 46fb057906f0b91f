"""What a method says of itself, once: all else in the lab asks this record and never a method's name."""

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.cli import check


@dataclass(frozen=True)
class Method:
    """A way of writing text: the network, how it is trained, scored and sampled. Stands at the end of the method's file."""

    name: str  # of its file, its weights and its rows
    title: str  # in films and plots
    Model: type  # Model(config) is the network; it has `config`, `backbone` and `lm_head`
    config: object  # a lab.model.backbone.Config: the sizes that it is trained in by default
    recipe: object  # a lab.training.trainer.Recipe: how it is trained by default
    decoding: object  # the method's Decoding: how it writes by default
    loss: Callable  # (model, idx (B, block_size + 1), config, rng) -> scalar, its parts by name
    generate: Callable  # the sampler: (model, canvas, decoding, rngs) yields a canvas.Frame per forward pass
    nll: Callable  # (model, windows (n, block_size + 1), repeats=2) -> nats per character (n,); chooses the weights
    is_exact: bool = False  # whether nll is the negative log-likelihood itself, or an upper bound on it
    is_causal: bool = False  # whether it writes from left to right only

    @property
    def is_masked(self):
        """Whether its Model says what is behind any masks, in any order: of such a one there is a bound only."""
        return not self.is_exact

    @property
    def Decoding(self):
        """The class of its settings."""
        return type(self.decoding)

    @property
    def Config(self):
        """The class of its sizes."""
        return type(self.config)


def import_file(path):
    """The module of a Python file, wherever it lies. Raises UserError without one; what is wrong in it is raised as it is."""
    path = Path(path).resolve()
    check(path.is_file(), f"{path}: no such file")
    check(path.suffix == ".py" and path.stem.isidentifier(), f"{path}: a Python file with a plain name, my_method.py")
    sys.path.append(str(path.parent))  # worker processes get it too
    module = importlib.import_module(path.stem)
    check(Path(module.__file__) == path, f"{path}: another module is called {path.stem}; rename the file")
    return module


def sampler_of(text):
    """The function that FILE.py:FUNCTION names, a sampler such as a method's `generate`. Raises UserError."""
    path, _, name = text.rpartition(":")
    check(path.endswith(".py"), f"--sampler {text}: give FILE.py:FUNCTION")
    found = getattr(import_file(path), name, None)
    check(callable(found), f"--sampler {text}: {path} has no function {name}")
    return found
