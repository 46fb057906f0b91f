"""How often does a text depend on the batch around it? The same seeds, each alone and all in one batch.

    uv run -m benchmarks.batching

With exact arithmetic never: each row draws from its own generator. Kernels, though, may round another way for another
batch size. The commands write in float32; bfloat16 stands here to show what it would cost.
"""

import sys
from dataclasses import dataclass

import torch

import methods
from benchmarks.timing import write_results
from lab import checkpoint, cli, machine, trials
from lab.canvas import Canvas


@dataclass(frozen=True)
class Args:
    texts: int = 32  # texts of each method
    chars: int = 240  # characters in each


def main(args):
    """Count the texts that differ, for every method and number format."""
    device, seeds, rows = machine.pick_device(), tuple(range(args.texts)), []
    for name, method in methods.METHODS.items():
        writer = methods.load(checkpoint.default_path(name), name, device)
        canvas = Canvas.after(writer.alphabet.encode(writer.opening[:16]), args.chars)
        for dtype in (torch.float32, torch.bfloat16):
            with torch.autocast(device.type, torch.bfloat16, enabled=dtype is torch.bfloat16):
                decoding = method.Args().decoding
                together = trials.run(writer, trials.Trial(canvas, decoding, seeds))
                alone = [trials.run(writer, trials.Trial(canvas, decoding, (seed,)))[0] for seed in seeds]
            changed = sum(a.text != b.text for a, b in zip(together, alone, strict=True))
            rows.append({"module": name, "dtype": str(dtype).removeprefix("torch."), "changed": changed})
            print(f"{name}, {rows[-1]['dtype']}: {changed} of {args.texts} texts differ", flush=True)
    write_results("batching", rows, texts=args.texts, chars=args.chars, device=str(device))


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
