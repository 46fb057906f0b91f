"""Beam search of a masked model: of each gap the likeliest fillings are kept, and the best of them is written at the end.

A filling is as probable as the chain rule says: each character given the known text and those that were written before it.
"""

import torch
from torch.nn import functional as F

from lab.decoding.canvas import Frame, Windows
from lab.decoding.sampling import probabilities
from lab.decoding.unmasking import select_positions


@torch.inference_mode()
def generate(model, canvas, decoding, rngs, width=8):
    """Fill one text as diffusion.generate does, with `width` fillings of each gap; nothing is drawn.

    canvas: of one text. Row b of a pass has the b-th likeliest filling of every gap: a filling is scored beside those of
    its own rank. Yields a Frame per forward pass, of the likeliest.
    """
    starts = canvas.masked & ~F.pad(canvas.masked, (1, 0))[:, :-1]
    gaps = starts.cumsum(1)  # (1, L): a gap's number is that of its start
    nll = torch.full((int(gaps.max()) + 1, width), torch.inf, dtype=torch.float64)
    nll[:, 0] = 0  # at first all are one text
    windows = Windows(canvas.repeat(width), model.config.block_size, decoding.target_chunk_len)
    while windows.masked.any():
        window = windows.next_window()
        hidden = window.idx.masked_fill(window.hidden, model.config.vocab_size)
        probs = probabilities(model(hidden.to(model.lm_head.weight.device)), temp=1)  # (width, W, V)
        chosen = select_positions(probs[:1], window.masked[:1], decoding)
        idx, windows.idx = window.idx.clone(), windows.idx.clone()
        of_columns = gaps[0, windows.columns[0]]
        for column in chosen[0].nonzero().flatten():
            gap = of_columns[column]
            total = nll[gap, :, None] - probs[:, column].log()
            nll[gap], best = total.flatten().topk(width, largest=False)
            parents = best // probs.size(-1)
            here = of_columns == gap
            anywhere = gaps[0] == gap  # chunks before this one may have a part of the gap
            for rows, own in ((idx, here), (probs, here), (windows.idx, anywhere)):
                rows[:, own] = rows[:, own][parents]
            idx[:, column] = best % probs.size(-1)
        frame = windows.commit(window, idx, window.masked & ~chosen, window.drafts, probs)
        yield Frame(*(rows[:1] for rows in frame[:5]), frame.computed * width)
