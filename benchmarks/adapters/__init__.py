"""A file for each package, which hands it the network; here: what several of them want."""

from types import SimpleNamespace

from torch import nn


class HuggingFace(nn.Module):
    """A network with its logits in an object, as `transformers` returns them."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x, *ignored, **more):
        """Tokens (B, L) -> an object with their logits."""
        return SimpleNamespace(logits=self.net(x))
