"""The three methods by name, and a writer from any weights file of theirs."""

import diffusion
import diffusion_flow
import gpt
from lab import checkpoint, trials

METHODS = {"gpt": gpt, "diffusion": diffusion, "diffusion_flow": diffusion_flow}


def load(path, name, device="cpu"):
    """Weights of method `name` -> Writer, on `device`. Raises UserError when they are missing or another's."""
    method = METHODS[name]
    model, alphabet, opening, _ = checkpoint.load(path, name, method.Model, method.Config)
    return trials.Writer(name, model.to(device), method.generate, alphabet, opening)
