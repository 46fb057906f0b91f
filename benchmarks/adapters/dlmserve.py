"""dlmserve: the denoising loop after LLaDA."""

from dlmserve.denoise_loop import denoise
from dlmserve.sampler import SamplingParams

from benchmarks.adapters import HuggingFace


def sample(net, x, n):
    new = int((x[0] == net.mask).sum())
    settings = SamplingParams(num_denoising_steps=n, gen_length=new, temperature=1.0)
    return denoise(HuggingFace(net), x[:, : x.size(1) - new], None, settings, net.mask)


SAMPLERS = {"LLaDA": sample}
