"""JayCheng113/tiny-diffusion, of which --path names a checkout: its own code, run with its own settings; nothing of it is here."""

import importlib.util
import os
from pathlib import Path

import torch

from lab.cli import UserError
from lab.model.corpus import DEFAULT

USED = ("Model", "device", "generate", "get_batch", "batch_size", "learning_rate", "n_embd", "n_head")


def load(path):
    """Import a file of a checkout, which reads data.txt from the working folder meanwhile. Raises UserError for another file."""
    spec = importlib.util.spec_from_file_location(f"origin_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    before = Path.cwd()
    try:
        os.chdir(DEFAULT.parent)
        spec.loader.exec_module(module)
        for name in USED:
            getattr(module, name)
    except Exception as error:
        raise UserError(f"{path}: not a file of the project whose checkout --path names ({error})") from error
    finally:
        os.chdir(before)
    return module


def training(module):
    """A fresh training -> (model, a function that takes a step)."""
    model = module.Model().to(module.device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=module.learning_rate)

    def step():
        _, loss = model(*module.get_batch("train"))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        loss.item()

    return model, step
