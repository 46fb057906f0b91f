"""x-transformers: the wrapper of non-autoregressive networks."""

from functools import partial

import torch
from x_transformers import NonAutoregressiveWrapper


class Net(torch.nn.Module):
    emb_dim, output_is_log_prob = 1, False

    def __init__(self, net, length):
        super().__init__()
        self.net, self.num_tokens, self.max_seq_len = net, net.mask, length

    def forward(self, x, return_logits_and_embeddings=False, **ignored):
        return (self.net(x), None) if return_logits_and_embeddings else self.net(x)


def generate(net, x, n, **settings):
    wrapper = NonAutoregressiveWrapper(Net(net, x.size(1)), mask_id=net.mask, steps=n)
    return wrapper.generate(batch_size=len(x), **settings)


def loss(net, x0, **settings):
    return NonAutoregressiveWrapper(Net(net, x0.size(1)), mask_id=net.mask, **settings)(x0).loss


SAMPLERS = {"as it comes": generate, "all symbols": partial(generate, filter_thres=0.0)}
LOSSES = {"as it comes": loss, "masks alone": partial(loss, no_replace_prob=0.0, random_token_prob=0.0)}
