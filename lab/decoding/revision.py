"""Revision: a text that is written is improved by sweeps that mask a part of it again and redraw it, given all the rest.

Blocked Gibbs sampling with the conditionals of a masked model, which are its strongest: nearly all the text is in view.
"""

import functools
from dataclasses import replace

import torch

from lab.decoding.canvas import Canvas

LEFT = 0.25  # a sweep has the temperature of a chunk that is masked to this share
STRIDE = 9  # a pass redraws every ninth position: of those of one pass none is near another


def revised(generate):
    """A sampler that goes over its text again, decoding.revise times.

    Each frame before a pass of a sweep shows as masked what that pass redraws: only what the canvas had masked, ever.
    """

    @functools.wraps(generate)
    def run(model, canvas, decoding, rngs, **more):
        positions = torch.arange(canvas.masked.size(1)) % STRIDE
        parts = [canvas.masked & (positions == k) for k in range(STRIDE)] * decoding.revise
        again = [part for part in parts if part.any()]
        temp = decoding.temp * (decoding.cool_to + (1 - decoding.cool_to) * LEFT)
        spaced = replace(decoding, temp=temp, cool_to=1.0, spacing=STRIDE - 1, confidence_threshold=0.0, steps=0)
        for n, part in enumerate([*again, None]):
            for frame in generate(model, canvas, spaced if n else decoding, rngs, **more):
                if part is not None and not frame.masked.any():
                    frame = frame._replace(masked=part)
                    canvas = Canvas(frame.idx, part)
                yield frame

    return run
