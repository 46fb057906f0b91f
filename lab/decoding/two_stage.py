"""Two-stage decoding: provisional characters (drafts), which later passes confirm or remask.

Sources: arXiv 2507.18578, 2604.18738.
"""

import torch

from lab.decoding.unmasking import confidence_of


def is_on(decoding):
    """Whether some positions become drafts first. False for a method without drafts."""
    return hasattr(decoding, "draft_threshold") and decoding.draft_threshold < decoding.confidence_threshold


def verify_drafts(window, probs, chosen, drawn, decoding):
    """Verify the drafts that this pass was not shown, and add new ones: -> idx, masked, draft (B, W) after the pass.

    The model was not shown a draft, so that it cannot just repeat it. A draft whose character is probable enough is
    final; one less probable than another character, by more than replace_margin, is remasked. Masked positions
    with a confidence between draft_threshold and confidence_threshold become drafts. Each row gets at least one final
    character: a confirmed draft, or the position that was chosen though its confidence is below the threshold.
    window: a canvas.Window; probs: (B, W, V), those of `unmask` that positions are chosen by; chosen: (B, W) bool; drawn:
    (B, W) tokens.
    """
    current = probs.gather(-1, torch.where(window.drafts, window.idx, 0)[..., None])[..., 0]  # (B, W)
    confirmed = window.drafts & (current >= decoding.confirm_threshold)
    remasked = window.drafts & ~confirmed & (probs.amax(-1) - current > decoding.replace_margin)
    confidence = confidence_of(probs, decoding)
    enough = confidence >= decoding.confidence_threshold
    chosen = chosen & (enough | ~confirmed.any(1, keepdim=True))
    drafted = window.masked & ~chosen & ~enough & (confidence >= decoding.draft_threshold)
    idx = torch.where(chosen | drafted, drawn, window.idx)
    masked = (window.masked & ~chosen & ~drafted) | remasked
    return idx, masked, (window.drafts & ~confirmed & ~remasked) | drafted
