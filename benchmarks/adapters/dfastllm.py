"""dfastllm: diffusion_generate after LLaDA."""

from dfastllm.engine.diffusion_sampler import diffusion_generate

from benchmarks.adapters import HuggingFace


def sample(net, x, n):
    new = int((x[0] == net.mask).sum())
    settings = {"steps": n, "gen_length": new, "block_length": new, "temperature": 1.0, "mask_id": net.mask}
    return diffusion_generate(HuggingFace(net), x[:, : x.size(1) - new], **settings)


SAMPLERS = {"LLaDA": sample}
