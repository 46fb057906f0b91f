"""bitnet-dllm: the ancestral sampler and the loss."""

from functools import partial
from types import SimpleNamespace

import torch
from bitnet_dllm.dataset import MaskedDiffusionDataset
from bitnet_dllm.loss import BitDiffLMLoss
from bitnet_dllm.sampler import MDLMAncestralSampler


class Model(torch.nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net, self.config = net, SimpleNamespace(vocab_size=net.mask + 1)

    def forward(self, x, *ignored):
        return {"logits": self.net(x)}


def sample(net, x, n, top_p=1.0):
    sampler = MDLMAncestralSampler(Model(net), SimpleNamespace(mask_token_id=net.mask), device="cpu")
    return sampler._denoise_loop(
        x, x != net.mask, n, 1.0, top_p, None
    )  # what its generate calls between two tokenizers


def loss(net, x0):
    data = MaskedDiffusionDataset(list(x0), net.mask, pad_token_id=-1)
    batch = data.get_collate_fn()([data[i] for i in range(len(x0))])
    xt, t = batch["input_ids"], batch["timestep"]
    return BitDiffLMLoss(net.mask)(net(xt), batch["labels"], xt, t, batch["attention_mask"])["loss"]


SAMPLERS = {"ancestral": sample, "ancestral as it comes": partial(sample, top_p=0.9)}
LOSSES = {"as it comes": loss}
