"""slm388-torchdiff: the canvas sampler."""

from functools import partial
from types import SimpleNamespace

import torch
from torchdiff.sample import generate_canvas

ROWS = 1  # texts that it writes together


class Model(torch.nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net, self.cfg = (
            net,
            SimpleNamespace(mask_token_id=net.mask, diff_blocks_num=3, max_position_embeddings=256),
        )
        self.get_vocab_projection_weight = lambda: torch.eye(net.mask + 1)

    def forward(self, x, *ignored, **more):
        return self.net(x), None, None


def sample(net, x, n, **settings):
    same, known = lambda tokens, **ignored: torch.as_tensor(tokens), x[x != net.mask][None]
    tokenizer, new = SimpleNamespace(encode=same, decode=same), x.size(1) - known.size(1)
    settings |= {"canvas_size": new, "steps_per_canvas": n, "device": "cpu", "stream": False}
    return torch.cat((known[0], generate_canvas(Model(net), tokenizer, known, new, **settings)))[None]


SAMPLERS = {
    "canvas": partial(sample, temperature=1.0, top_k=0, repetition_penalty=1.0),
    "canvas as it comes": sample,
}
