"""dlmserve: the denoising loop after LLaDA."""

from dlmserve.denoise_loop import denoise
from dlmserve.sampler import SamplingParams


def sample(net, x, n):
    new = int((x[0] == net.mask).sum())
    settings = SamplingParams(num_denoising_steps=n, gen_length=new, temperature=1.0)
    return denoise(net.hugging_face(), x[:, : x.size(1) - new], None, settings, net.mask)


SAMPLERS = {"LLaDA": sample}
