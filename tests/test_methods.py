"""The methods: what a model sees, what a loss counts, and what a sampler promises its viewers."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend

import diffusion as diffusion_file
import diffusion_flow as diffusion_flow_file
from diffusion import METHOD as diffusion
from diffusion_flow import METHOD as diffusion_flow
from gpt import METHOD as gpt
from lab.cli import UserError
from lab.decoding import two_stage, unmasking
from lab.decoding.canvas import Canvas, Window
from lab.measuring import trials
from lab.model.backbone import Cache, attend, l2_normalize
from lab.model.corpus import Alphabet
from lab.model.machine import Rng
from methods import METHODS, TWO_STAGE, load
from streams import METHOD as streams

CHARACTERS = Alphabet("abcdefgh ")
SIZES = {"vocab_size": len(CHARACTERS), "block_size": 16, "n_layer": 2, "n_head": 2, "n_embd": 16, "conv_width": 3}
MASKED = {"diffusion": diffusion, "diffusion_flow": diffusion_flow}
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
masked_method = pytest.mark.parametrize("method", MASKED.values(), ids=MASKED)


def make_model(method, seed=0, **sizes):
    """A small model with no zero weights, so that every part of it matters."""
    config = method.Config(**(SIZES | sizes))
    torch.manual_seed(seed)
    model = method.Model(config).eval()
    for p in model.parameters():
        nn.init.normal_(p, std=0.3)
    return model


def make_canvas(length=40, prompt="abc", rows=1):
    return Canvas.after(CHARACTERS.encode(prompt), length - len(prompt), rows)


def write(method, model, canvas, decoding, seeds):
    engine = trials.Engine(method, model, CHARACTERS, "abc")
    rows = canvas if len(canvas.idx) == len(seeds) else canvas.repeat(len(seeds))
    return trials.run(engine, trials.Trial(rows, decoding, seeds))


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


class Mock(nn.Module):
    """Logits that depend on the position alone, whatever it is shown; usable as any of the three models."""

    def __init__(self, method, logits):
        super().__init__()
        self.config = method.Config(**SIZES)
        self.lm_head = nn.Linear(1, 1)
        self.logits = logits  # (block_size, V)

    def forward(self, idx, *_):
        return self.logits[: idx.size(1)].expand(len(idx), -1, -1)


# What a model sees


@pytest.mark.parametrize("is_causal", [True, False])
@pytest.mark.parametrize("T", [9, 4, 1])
def test_attention_in_bfloat16_is_that_in_float32_to_rounding(is_causal, T):
    q, k, v = torch.randn(3, 2, 2, 9, 8, generator=generators(0)[0])
    q, k = l2_normalize(q[:, :, -T:]), l2_normalize(k)
    rounded = attend(q.bfloat16(), k.bfloat16(), v.bfloat16(), is_causal=is_causal)
    assert (rounded - attend(q, k, v, is_causal=is_causal)).abs().max() < 0.03


def test_gpt_does_not_see_the_future():
    model, idx = make_model(gpt), torch.randint(9, (1, 16))
    changed = idx.clone()
    changed[0, 10] = (idx[0, 10] + 1) % 9
    before, after = model(idx), model(changed)
    assert torch.equal(before[:, :10], after[:, :10])
    assert not torch.allclose(before[:, 10:], after[:, 10:])


@masked_method
def test_masked_models_see_both_sides(method):
    model, idx = make_model(method), torch.randint(9, (1, 16))
    for there, here in ((2, 13), (13, 2)):
        changed = idx.clone()
        changed[0, there] = (idx[0, there] + 1) % 9
        assert not torch.allclose(model(idx)[:, here], model(changed)[:, here])


@every_method
def test_logits_are_over_letters_only(method):
    model, idx = make_model(method), torch.zeros(2, 16, dtype=torch.long)
    logits = model(idx, torch.ones(2, 16, 16, dtype=torch.bool)) if method is streams else model(idx)
    assert logits.shape == (2, 16, len(CHARACTERS))


def test_flow_model_without_evidence_is_the_masked_model():
    model = make_model(diffusion_flow)
    idx = torch.randint(len(CHARACTERS) + 1, (3, 16))
    nothing = torch.zeros(3, 16, len(CHARACTERS))
    plain = diffusion.Model.forward(model, idx)
    assert torch.equal(model(idx), plain)
    assert torch.equal(model(idx, nothing, nothing[..., 0]), plain)


def test_evidence_of_one_position_changes_the_others():
    model = make_model(diffusion_flow)
    idx = torch.full((1, 16), len(CHARACTERS))
    evidence, snr = torch.zeros(1, 16, len(CHARACTERS)), torch.zeros(1, 16)
    evidence[0, 3, 2], snr[0, 3] = 5.0, 5.0
    assert not torch.allclose(model(idx)[0, 8], model(idx, evidence, snr)[0, 8])


# What a loss counts


@every_method
def test_an_untrained_model_is_as_surprised_as_chance(method):
    config = method.Config(**SIZES)
    model = method.Model(config)
    idx = torch.randint(9, (4, 17))
    total, parts = method.loss(model, idx, config, Rng(0))
    if not parts:
        assert total.item() == pytest.approx(math.log(9), abs=1e-5)
    else:
        plain = diffusion_file.corrupt(idx[:, :-1], config, Rng(0))[2][:4].float().mean().item()
        assert parts["batch_ce_loss"].item() == pytest.approx(math.log(9) * 2 * plain, abs=1e-4)
        assert 0 < parts["batch_flow_loss"].item() < math.log(9) * 2 * (1 - plain)  # evidence helps from the start
        assert total.item() == pytest.approx((parts["batch_ce_loss"] + parts["batch_flow_loss"]).item(), abs=1e-5)


def test_corrupt_masks_each_character_in_one_of_two_mirror_images():
    x0 = torch.randint(9, (5, 16))
    xt, twice, masked = diffusion_file.corrupt(x0, make_model(diffusion).config, Rng(3))
    assert torch.equal(masked[:5], ~masked[5:])
    assert torch.equal(twice, torch.cat((x0, x0)))
    assert torch.equal(xt == len(CHARACTERS), masked)
    assert torch.equal(xt[~masked], twice[~masked])


def test_corrupt_spreads_the_shares_of_masks_over_the_logit_normal_distribution():
    """One share in each tenth of its probability."""
    x0 = torch.zeros(10, 4000, dtype=torch.long)
    _, _, masked = diffusion_file.corrupt(x0, make_model(diffusion).config, Rng(1))
    shares = masked[:10].double().mean(1).sort().values
    edges = torch.special.ndtri(torch.arange(0, 1.1, 0.1, dtype=torch.float64)).sigmoid()
    assert torch.all((edges[:-1] - 0.03 < shares) & (shares < edges[1:] + 0.03))


@masked_method
def test_masked_loss_counts_masked_positions_only(method):
    model = make_model(method)
    idx = torch.randint(9, (4, 17))
    seen = {}
    model.lm_head.register_full_backward_hook(lambda module, grad_in, grad_out: seen.update(grad=grad_out[0]))
    method.loss(model, idx, model.config, Rng(5))[0].backward()
    _, _, masked = diffusion_file.corrupt(idx[:, :-1], model.config, Rng(5))
    assert torch.equal(seen["grad"].abs().sum(-1) > 0, masked)


def test_evidence_has_the_mean_and_variance_of_its_definition():
    x0, snr = torch.zeros(1, 20000, dtype=torch.long), torch.full((1, 20000), 4.0)
    y = diffusion_flow_file.add_noise(x0, snr, Rng(0).randn(1, 20000, 2))
    assert y.mean((0, 1)).tolist() == pytest.approx([4.0, 0.0], abs=0.1)
    assert y.var((0, 1)).tolist() == pytest.approx([4.0, 4.0], abs=0.15)


@given(st.floats(0.1, 1.0))
def test_snr_and_time_are_inverse(t):
    t = torch.tensor(t, dtype=torch.float64)
    assert diffusion_flow_file.noise_share(diffusion_flow_file.snr_at(t)).item() == pytest.approx(t.item())


def test_a_flow_step_towards_the_right_letter_is_exact():
    """From evidence at one snr it leads to evidence as defined at the higher one: mean snr', variance snr'."""
    n, decoding = 20000, diffusion_flow.Decoding(flow_step=0.4)
    probs = torch.zeros(1, n, 3, dtype=torch.float64)
    probs[..., 1] = 1
    before = torch.full((1, n), 2.0, dtype=torch.float64)
    y = diffusion_flow_file.add_noise(torch.ones(1, n, dtype=torch.long), before, Rng(0).randn(1, n, 3).double())
    y, after = diffusion_flow_file.advance_evidence(probs, y, before, torch.ones(1, n).bool(), decoding, generators(7))
    expected = diffusion_flow_file.snr_at(diffusion_flow_file.noise_share(torch.tensor(2.0)) * 0.6).item()
    assert after.unique().item() == pytest.approx(expected)
    assert y.mean((0, 1)).tolist() == pytest.approx([0, expected, 0], abs=0.1)
    assert y.var((0, 1)).tolist() == pytest.approx([expected] * 3, abs=0.25)


# What a step decides


def step(probs, masked=None, idx=None, drafts=None, **settings):
    """`step` on windows of their own -> idx (-1 where nothing is), masked, draft."""
    B, W, _ = probs.shape
    masked = torch.ones(B, W, dtype=torch.bool) if masked is None else masked
    idx = torch.full((B, W), -1) if idx is None else idx
    drafts = torch.zeros(B, W, dtype=torch.bool) if drafts is None else drafts
    calls = torch.full((B, 1), settings.pop("calls", 0))
    window = Window(idx, masked | drafts, masked, drafts, masked.sum(1, keepdim=True), calls)
    decoding = diffusion.Decoding(**({"temp": 1.0, "spacing": 0} | settings))
    return diffusion_file.unmask(window, probs, probs, decoding, generators(*range(B)))


def random_probs(rows=2, width=30, characters=5, seed=0):
    sharpness = torch.rand(rows, width, 1, generator=generators(seed)[0], dtype=torch.float64) * 8
    return torch.softmax(
        torch.randn(rows, width, characters, generator=generators(seed + 1)[0]).double() * sharpness, -1
    )


CONFIDENCE = {
    1: 1,
    2: 2,
    3: 3,
    4: 1,
    None: 1,
}


@given(st.floats(0.2, 0.99), st.sampled_from([*CONFIDENCE]), st.integers(0, 1000))
def test_threshold_fills_what_passes_or_else_the_most_confident(threshold, top_k, seed):
    """Confidence sums as many probabilities of the 5 as are drawn from, if these are 3 or fewer."""
    probs = random_probs(seed=seed)
    masked = torch.rand(2, 30, generator=generators(seed)[0]) < 0.6
    masked[:, 0] = True
    idx, still, _ = step(probs, masked, confidence_threshold=threshold, top_k=top_k)
    filled = masked & ~still
    confidence = probs.topk(CONFIDENCE[top_k]).values.sum(-1).masked_fill(~masked, -1)
    for b in range(2):
        passing = masked[b] & (confidence[b] >= threshold)
        expected = passing.nonzero().flatten() if passing.any() else confidence[b].argmax()[None]
        assert torch.equal(filled[b].nonzero().flatten(), expected)
    assert torch.equal(idx >= 0, filled)


@masked_method
@pytest.mark.parametrize("rule", [{"confidence_threshold": 0.5, "spacing": 0}, {"spacing": 3}])
def test_when_cold_positions_are_chosen_by_the_untempered_probabilities(method, rule):
    """The first call of temperatures 0 to .2 fills the positions that it fills at 1, with the likeliest characters at 0."""
    logits = torch.zeros(16, 9)
    logits[::2, 7:], logits[1::2, 3] = torch.tensor([8.0, 8.1]), 2.0  # one of two; surer than this when it is cold
    model, canvas = Mock(method, logits), Canvas.after(torch.tensor([0, 1]), 14, rows=2)

    def first(**settings):
        return next(method.generate(model, canvas, method.Decoding(**rule, **settings), generators(1, 2)))

    warm, cold = first(temp=1.0), first(temp=0.0)
    for temp in (0.0, 0.05, 0.2):
        frame = first(temp=temp)
        assert torch.equal(frame.masked, warm.masked) and torch.equal(frame.draft, warm.draft)
        assert not torch.equal(frame.masked, first(temp=0.3).masked)
    filled = canvas.masked & ~cold.masked
    assert torch.equal(cold.idx[filled], logits.argmax(-1).expand(2, 16)[filled])
    for temp in (0.25, 0.4):
        assert not torch.equal(first(temp=temp).masked, warm.masked)


@given(st.integers(1, 8), st.integers(0, 1000))
def test_spacing_takes_the_lowest_entropy_that_is_far_apart(spacing, seed):
    probs = random_probs(seed=seed)
    masked = torch.rand(2, 30, generator=generators(seed)[0]) < 0.7
    masked[:, 0] = True
    _, still, _ = step(probs, masked, confidence_threshold=0.0, spacing=spacing)
    entropy = -(probs * probs.log()).sum(-1)
    for b in range(2):
        taken = []
        for i in entropy[b].argsort().tolist():
            if masked[b, i] and all(abs(i - j) > spacing for j in taken):
                taken.append(i)
        assert (masked & ~still)[b].nonzero().flatten().tolist() == sorted(taken)


@given(st.integers(1, 5), st.integers(0, 1000))
def test_draws_stay_within_the_top_k(top_k, seed):
    probs = random_probs(seed=seed)
    idx, _, _ = step(probs, confidence_threshold=0.0, top_k=top_k)
    best = probs.topk(top_k).indices
    assert (best == idx[..., None]).any(-1).all()


@pytest.mark.parametrize("calls", range(5))
def test_an_ancestral_step_unmasks_the_share_of_the_time_that_is_left(calls):
    """From t = left / steps to s = t - 1 / steps: (t - s) / t = 1 / left, whatever the confidence."""
    probs, masked = random_probs(2, 20000), torch.ones(2, 20000, dtype=torch.bool)
    masked[:, :5000] = False
    idx, still, _ = step(probs, masked, steps=5, calls=calls)
    assert (~still & masked)[:, 5000:].double().mean().item() == pytest.approx(1 / (5 - calls), abs=0.01)
    assert torch.equal(idx >= 0, masked & ~still)


def test_ancestral_sampling_takes_its_steps_in_every_chunk_and_no_more():
    decoding = diffusion.Decoding(steps=4, target_chunk_len=10)
    frames = list(diffusion.generate(make_model(diffusion), make_canvas(length=33), decoding, generators(1)))
    assert len(frames) == 12 and not frames[-1].masked.any()
    left = [int(frame.masked.sum()) for frame in frames]
    assert left[3::4] == [20, 10, 0] and left == sorted(left, reverse=True)


def test_a_step_changes_nothing_in_place_and_drafts_nothing():
    probs, masked = random_probs(), torch.ones(2, 30, dtype=torch.bool)
    copy = probs.clone()
    _, _, draft = step(probs, masked, spacing=3, confidence_threshold=0.0)
    assert torch.equal(probs, copy)
    assert masked.all()
    assert not draft.any()


# What a sampler promises

DECODINGS = {
    "gpt": [gpt.Decoding(temp=1.0, top_k=None)],
    "diffusion": [
        diffusion.Decoding(**TWO_STAGE),
        diffusion.Decoding(temp=1.0, top_k=None, confidence_threshold=0.0, spacing=2, target_chunk_len=10),
        diffusion.Decoding(temp=1.0, confidence_threshold=0.5, top_k=3, spacing=0),
    ],
    "diffusion_flow": [
        diffusion_flow.Decoding(**TWO_STAGE),
        diffusion_flow.Decoding(
            temp=1.0, top_k=None, confidence_threshold=0.0, spacing=2, target_chunk_len=10, flow_until=0.2
        ),
    ],
    "streams": [streams.Decoding(temp=1.0, streams=3, target_chunk_len=10)],
}
CASES = [(METHODS[name], decoding) for name, decodings in DECODINGS.items() for decoding in decodings]
every_decoding = pytest.mark.parametrize(("method", "decoding"), CASES)


@every_decoding
def test_one_frame_per_forward_pass_that_keeps_what_is_known_and_ends_with_nothing_masked(method, decoding):
    model, canvas, passes = make_model(method), make_canvas(rows=2), []
    model.register_forward_hook(lambda *_: passes.append(1))
    unsettled = canvas.masked
    for n, frame in enumerate(method.generate(model, canvas, decoding, generators(1, 2)), start=1):
        assert len(passes) == n
        assert torch.equal(frame.idx[:, :3], canvas.idx[:, :3])
        left = frame.masked | frame.draft
        assert (unsettled & ~left).any(1)[unsettled.any(1)].all()  # every unfinished row gets on
        assert not (left & ~unsettled).any()
        unsettled = left
    assert not unsettled.any()
    assert frame.idx.max() < len(CHARACTERS)


@every_decoding
def test_a_frame_is_never_written_again(method, decoding):
    frames, copies = [], []
    for frame in method.generate(make_model(method), make_canvas(), decoding, generators(1)):
        frames.append(frame)
        copies.append([x.clone() for x in frame[:5]])
    for frame, copy in zip(frames, copies, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(frame[:5], copy, strict=True))


@every_decoding
def test_a_text_depends_on_its_seed_alone_not_on_the_batch(method, decoding):
    model, seeds = make_model(method), (5, 6, 7, 8)
    together = write(method, model, make_canvas(), decoding, seeds)
    for sample, seed in zip(together, seeds, strict=True):
        alone = write(method, model, make_canvas(), decoding, (seed,))[0]
        assert (sample.text, sample.nfe, sample.full_passes) == (alone.text, alone.nfe, alone.full_passes)
    assert len({sample.text for sample in together}) == 4


@every_decoding
def test_a_text_of_a_mock_model_is_exactly_independent_of_the_batch(method, decoding):
    model = Mock(method, torch.randn(16, len(CHARACTERS), generator=generators(0)[0]))
    together = write(method, model, make_canvas(), decoding, (5, 6, 7))
    alone = [write(method, model, make_canvas(), decoding, (seed,))[0].text for seed in (5, 6, 7)]
    assert [sample.text for sample in together] == alone


@masked_method
def test_a_row_that_is_finished_has_probabilities_while_another_cools(method):
    idx, masked = torch.zeros(2, 16, dtype=torch.long), torch.arange(16) >= torch.tensor([[13], [2]])
    frames = list(
        method.generate(make_model(method), Canvas(idx, masked), method.Decoding(spacing=2), generators(1, 2))
    )
    assert not frames[1].masked[0].all() and frames[-2].masked[1].any()
    assert all(frame.probs.isfinite().all() for frame in frames)


def test_the_temperature_falls_as_a_chunk_fills():
    """In proportion to what is masked of it, each row for itself, from temp to cool_to times temp."""
    masked = torch.arange(8) < torch.tensor([[8], [4], [2]])
    sizes = torch.tensor([[8], [8], [4]])
    window = Window(torch.zeros(3, 8), masked, masked, masked, sizes, torch.zeros(3, 1))
    for cool_to, expected in ((0.0, [0.8, 0.4, 0.4]), (0.25, [0.8, 0.5, 0.5]), (1.0, [0.8, 0.8, 0.8])):
        temps = unmasking.cooled(diffusion.Decoding(temp=0.8, cool_to=cool_to), window)
        assert temps.shape == (3, 1, 1) and temps.flatten().tolist() == pytest.approx(expected)


@every_decoding
def test_figures_of_a_sample(method, decoding):
    model, passes = make_model(method), []
    model.register_forward_hook(lambda *_: passes.append(1))
    (sample,) = write(method, model, make_canvas(), decoding, (1,))
    assert sample.nfe == len(passes)
    assert sample.chars == len(sample.text) - 3 == 37
    assert 0 < sample.full_passes <= sample.nfe
    assert sample.seconds > 0


@torch.no_grad()
def test_cached_gpt_equals_the_uncached_one_at_every_position():
    """Also when the cache is full: the context is then the newest half of it and what follows."""
    model, canvas = make_model(gpt), make_canvas(length=60)
    size, start = SIZES["block_size"], 0
    frames = list(gpt.generate(model, canvas, gpt.Decoding(temp=1.0, top_k=None), generators(1)))
    for n, frame in enumerate(frames, start=3):
        if n - start > size:
            start = n - size // 2
        expected = torch.softmax(model(frame.idx[:, start:n])[:, -1].double(), -1)
        assert torch.allclose(frame.probs[:, 0], expected, atol=1e-5)
        assert n - start <= size


def test_gpt_reads_a_prompt_longer_than_its_block():
    (sample,) = write(gpt, make_model(gpt), make_canvas(30, "abcdefgh" * 3), gpt.Decoding(), (1,))
    assert sample.text.startswith("abcdefgh" * 3)
    assert sample.nfe == 6


@torch.no_grad()
def test_a_cache_holds_what_the_uncached_forward_computes():
    model, idx = make_model(gpt), torch.randint(9, (2, 12))
    cache = Cache(model.config, 2, model.lm_head.weight)
    pieces = [model(idx[:, :5], cache)] + [model(idx[:, n : n + 1], cache) for n in range(5, 12)]
    assert torch.allclose(torch.cat(pieces, 1), model(idx), atol=1e-5)
    assert cache.length == 12


def test_a_compiled_model_is_not_compiled_anew_for_each_length_of_its_cache():
    """The first call reads several positions, the second one: two graphs, whatever the length."""
    model, idx = make_model(gpt), torch.randint(9, (1, 12))
    counter = CompileCounterWithBackend("aot_eager")
    compiled, cache = torch.compile(model, backend=counter), Cache(model.config, 1, model.lm_head.weight)
    with torch.inference_mode():
        for n in range(4, 13):
            logits = compiled(cache.next_input(idx, n), cache)[:, -1]
            assert torch.allclose(logits, model(idx[:, :n])[:, -1], atol=1e-5)
    assert counter.frame_count <= 2


@torch.no_grad()
@pytest.mark.parametrize("start", range(1, 16))
def test_a_filled_cache_reads_any_number_of_positions(start):
    """At every length the logits are those of the uncached forward."""
    model, idx = make_model(gpt), torch.randint(9, (2, 16))
    for length in range(1, 16 - start + 1):
        cache = Cache(model.config, 2, model.lm_head.weight)
        model(idx[:, :start], cache)
        read = cache.next_input(idx, start + length)
        assert read.equal(idx[:, start : start + length])
        assert torch.allclose(model(read, cache), model(idx[:, : start + length])[:, start:], atol=1e-5)
        assert cache.length == start + length


def test_random_numbers_belong_to_seed_and_prompt_and_not_to_settings_or_length():
    canvases = make_canvas(20, "abc"), make_canvas(20, "abd"), make_canvas(30, "abc")
    streams = [
        torch.rand(1, generator=trials.rng_for(seed, canvas.idx[0], canvas.masked[0])).item()
        for canvas in canvases
        for seed in (1, 2)
    ]
    assert streams[:2] == streams[4:] and len(set(streams)) == 4


def test_gpt_refuses_a_masked_span_and_an_empty_prompt():
    idx, masked = CHARACTERS.encode_masked("ab__cd__")
    model = make_model(gpt)
    with pytest.raises(UserError, match="masked span"):
        next(gpt.generate(model, Canvas(idx[None], masked[None]), gpt.Decoding(), generators(1)))
    with pytest.raises(UserError, match="prompt"):
        next(gpt.generate(model, make_canvas(10, ""), gpt.Decoding(), generators(1)))


@masked_method
@settings(max_examples=20, deadline=None)
@given(text=st.text("ab_", min_size=1, max_size=40))
def test_infilling_keeps_every_given_letter(method, text):
    idx, masked = CHARACTERS.encode(text.replace("_", "a")), torch.tensor([character == "_" for character in text])
    (sample,) = write(method, make_model(method), Canvas(idx[None], masked[None]), method.Decoding(), (1,))
    assert len(sample.text) == len(text)
    assert all(given in ("_", written) for given, written in zip(text, sample.text, strict=True))
    assert sample.nfe > 0 or "_" not in text


@every_method
def test_temperature_zero_ignores_the_seed(method):
    decoding = method.Decoding(temp=0.0, **({"flow_until": 1.0} if method is diffusion_flow else {}))
    a, b = write(method, make_model(method), make_canvas(), decoding, (1, 2))
    assert a.text == b.text


def test_with_the_flow_off_the_flow_model_writes_what_the_masked_model_writes():
    flow, seeds = make_model(diffusion_flow), (1, 2)
    settings = {"temp": 1.0, "top_k": None, "confidence_threshold": 0.0, "spacing": 2, "target_chunk_len": 10}
    off = write(
        diffusion_flow, flow, make_canvas(prompt="a"), diffusion_flow.Decoding(**settings, flow_until=1.0), seeds
    )
    plain = diffusion.Model(diffusion.Config(**SIZES)).eval()
    plain.load_state_dict({key: value for key, value in flow.state_dict().items() if key in plain.state_dict()})
    expected = write(diffusion, plain, make_canvas(prompt="a"), diffusion.Decoding(**settings), seeds)
    assert [sample.text for sample in off] == [sample.text for sample in expected]


class TwoCharacters(nn.Module):
    """A network that knows only how often each of two characters occurs, whatever it is shown; notes its evidence."""

    def __init__(self, prior):
        super().__init__()
        self.config = diffusion_flow.Config(vocab_size=2, block_size=20000, n_embd=8)
        self.lm_head = nn.Linear(1, 1)
        self.prior, self.shown = prior, []

    def forward(self, idx, evidence, snr):
        self.shown.append((evidence.double(), snr.double()))
        return torch.tensor(self.prior).log().expand(*idx.shape, 2)


def test_the_flow_decodes_as_its_equations_say():
    """Three calls on positions that know nothing of each other: (2) is Bayes' rule over the two characters, (3) the law of (1).

    Every figure is a sum over the two characters and their Gaussian densities; nothing is taken from the module.
    """
    prior, n = (0.3, 0.7), 20000
    model, canvas = TwoCharacters(prior), Canvas.after(torch.tensor([], dtype=torch.long), n)
    decoding = diffusion_flow.Decoding(temp=1.0, confidence_threshold=1.0, flow_step=0.9, target_chunk_len=n, spacing=0)
    frames = diffusion_flow.generate(model, canvas, decoding, generators(3))
    probs = [next(frames).probs[0] for _ in range(3)]
    assert torch.allclose(probs[0], torch.tensor(prior).double(), atol=1e-6)
    (y1, snr1), (y2, snr2) = ((y[0], snr[0, :, None]) for y, snr in model.shown[1:])
    flows = (snr2[:, 0] > 0).nonzero()[:, 0]  # all but the few that are settled
    assert len(flows) > n - 10
    y1, snr1, y2, snr2, after_1, after_2 = (x[flows] for x in (y1, snr1, y2, snr2, probs[1], probs[2]))
    for y, snr, found in (y1, snr1, after_1), (y2, snr2, after_2):
        means = snr[:, None] * torch.eye(2)  # (n, x, 2): what the evidence of character x has as its mean
        density = torch.exp(-((y[:, None] - means) ** 2).sum(-1) / (2 * snr))
        expected = density * torch.tensor(prior)
        assert torch.allclose(found, expected / expected.sum(-1, keepdim=True), atol=1e-4)  # equation (2)
    snr = snr1[0].item()  # equal for all after the first call, and known: no entropy but the prior's
    mean, spread = snr * torch.tensor(prior), snr + snr**2 * prior[0] * prior[1]
    assert torch.allclose(y1.mean(0), mean.double(), atol=4 * math.sqrt(spread / n))
    assert y1.var(0).tolist() == pytest.approx([spread] * 2, rel=0.06)  # equation (3) from nothing
    rise = (y2 - y1) / (snr2 - snr1)  # equation (3): towards a character drawn from (2), not from the prior
    for part in after_1[:, 0] > 0.5, after_1[:, 0] < 0.2:
        error = 4 * rise[part].std(0) / math.sqrt(int(part.sum()))
        assert ((rise[part].mean(0) - after_1[part].mean(0)).abs() < error).all()
    rest = (y2 - y1)[:, 0] - (snr2 - snr1)[:, 0] * after_1[:, 0]
    expected = (snr2 - snr1)[:, 0] + (snr2 - snr1)[:, 0] ** 2 * after_1.prod(-1)
    assert (rest**2).mean().item() == pytest.approx(expected.mean().item(), rel=0.06)


def test_evidence_starts_from_nothing_in_every_chunk():
    model, first = make_model(diffusion_flow), []
    real = model.forward
    model.forward = lambda idx, evidence, snr: first.append(float(snr.abs().sum())) or real(idx, evidence, snr)
    decoding = diffusion_flow.Decoding(confidence_threshold=0.0, spacing=2, target_chunk_len=10, flow_until=0.2)
    before = make_canvas(prompt="a").masked.sum()
    for n, frame in enumerate(diffusion_flow.generate(model, make_canvas(prompt="a"), decoding, generators(1))):
        begins = before % 10 == 9 if n else True  # 39 open positions: chunks of 10, 10, 10 and 9
        assert (first[n] == 0) or not begins
        before = frame.masked.sum()
    assert max(first) > 0


def test_a_single_window_gives_a_finite_flow_loss():
    model = make_model(diffusion_flow)
    for seed in range(30):
        assert diffusion_flow.loss(model, torch.randint(9, (1, 17)), model.config, Rng(seed))[0].isfinite()


# Two-stage decoding


@masked_method
@pytest.mark.parametrize("threshold", [0.3, 0.6])
def test_two_stage_with_equal_thresholds_is_threshold_decoding_bit_for_bit(method, threshold):
    """`old_like`: nothing is ever a draft, so the confirming settings cannot matter."""
    model, canvas = make_model(method), make_canvas(40)
    one = {"confidence_threshold": threshold, "spacing": 0, "draft_threshold": 1.0}
    old_like = {
        "confidence_threshold": threshold,
        "spacing": 0,
        "draft_threshold": threshold,
        "confirm_threshold": threshold,
        "replace_margin": 1.0,
    }
    frames = [list(method.generate(model, canvas, method.Decoding(**s), generators(5))) for s in (one, old_like)]
    assert len(frames[0]) == len(frames[1]) > 1
    for a, b in zip(*frames, strict=True):
        assert torch.equal(a.idx, b.idx) and torch.equal(a.masked, b.masked) and not b.draft.any()


def judged(current, other, **settings):
    """A step on one draft of character 0, beside a masked position -> (masked, draft) of the draft afterwards.

    current, other: what the model gives that character, and the likeliest other one.
    """
    probs = torch.tensor([[[current, other, 1 - current - other], [0.4, 0.3, 0.3]]], dtype=torch.float64)
    masked, draft = torch.tensor([[False, True]]), torch.tensor([[True, False]])
    settings = {"confidence_threshold": 0.9, "draft_threshold": 0.8} | settings
    idx, masked, draft = step(probs, masked, torch.zeros(1, 2).long(), draft, **settings)
    assert idx[0, 0] == 0
    return bool(masked[0, 0]), bool(draft[0, 0])


def test_a_draft_is_confirmed_kept_or_taken_back():
    final, kept, taken_back = (False, False), (False, True), (True, False)
    assert judged(0.9, 0.05, confirm_threshold=0.85) == final
    assert judged(0.75, 0.2, confirm_threshold=0.75) == final
    assert judged(0.5, 0.3, confirm_threshold=0.85) == kept
    assert judged(0.25, 0.5, confirm_threshold=0.85, replace_margin=0.25) == kept
    assert judged(0.3, 0.5, confirm_threshold=0.85, replace_margin=0.1) == taken_back
    assert judged(0.3, 0.5, confirm_threshold=0.85, replace_margin=0.3) == kept
    assert judged(0.0, 1.0, confirm_threshold=0.85, replace_margin=1.0) == kept


def test_between_the_thresholds_a_position_becomes_a_draft():
    probs = torch.tensor([[[0.97, 0.03], [0.8, 0.2], [0.6, 0.4]]], dtype=torch.float64)
    masked = torch.ones(1, 3).bool()
    _, masked, draft = step(probs, masked, confidence_threshold=0.95, draft_threshold=0.7)
    assert masked.tolist() == [[False, False, True]] and draft.tolist() == [[False, True, False]]
    masked = torch.ones(1, 3).bool()
    probs = torch.tensor([[[0.75, 0.25], [0.5, 0.5], [0.45, 0.55]]], dtype=torch.float64)
    _, masked, draft = step(probs, masked, confidence_threshold=0.75, draft_threshold=0.5, top_k=1)  # both included
    assert masked.tolist() == [[False] * 3] and draft.tolist() == [[False, True, True]]


def drafting(method, seed):
    """A model, and settings under which its first call drafts about half of the positions."""
    model = make_model(method, seed)
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(3)  # else all masked positions look the same to it
    all_final = method.Decoding(temp=1.0, top_k=1)
    confidence = next(method.generate(model, make_canvas(40), all_final, generators(seed))).probs.amax(-1)
    low, high = confidence.quantile(torch.tensor([0.4, 0.95], dtype=torch.float64)).tolist()
    rest = {"confidence_threshold": high, "spacing": 0, "confirm_threshold": high, "target_chunk_len": 12}
    return model, method.Decoding(temp=1.0, top_k=1, draft_threshold=low, **rest)


@masked_method
def test_two_stage_decoding_ends_and_every_call_makes_something_final(method):
    drafted = 0
    for seed in range(5):
        (model, decoding), unsettled = drafting(method, seed), 57
        for frame in method.generate(model, make_canvas(60), decoding, generators(seed)):
            left = int((frame.masked | frame.draft).sum())
            assert left < unsettled
            assert not (frame.masked & frame.draft).any()
            unsettled, drafted = left, drafted + int(frame.draft.sum())
        assert unsettled == 0
    assert drafted > 0


@masked_method
def test_the_model_never_sees_a_draft_that_it_judges(method):
    """A draft that is visible in a call comes out of it as it was, while its chunk is unfinished."""
    checked = hidden = 0
    for seed in range(60):  # with a flow few models keep a draft for long
        model, decoding = drafting(method, seed)
        seen, before = [], None
        model.register_forward_pre_hook(lambda _, args, seen=seen: seen.append(args[0].clone()))
        for frame in method.generate(model, make_canvas(15), decoding, generators(seed)):
            if before is not None and frame.masked.any():
                visible = before.draft & (seen[-1] != len(CHARACTERS))
                assert (frame.draft & (frame.idx == before.idx))[visible].all()
                checked, hidden = checked + int(visible.sum()), hidden + int((before.draft & ~visible).sum())
            before = frame
    assert checked > 0 and hidden > 0


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_a_writer_of_weights_writes_what_a_trial_writes(method, make_weights):
    path = make_weights(method)
    engine = load(method.name, str(path))
    assert load(path=path).name == method.name
    for decoding in (method.Decoding(), method.Decoding(temp=3.0)):
        canvas = Canvas.after(engine.alphabet.encode("to be "), 40)
        (sample,) = trials.run(engine, trials.Trial(canvas, decoding, (7,)))
        assert engine.write("to be ", 40, seed=7, decoding=decoding) == sample.text
    assert engine.write("to be ", 40, seed=7) != sample.text


def test_a_writer_fills_masks_and_goes_on(make_weights):
    text = load("diffusion", make_weights(diffusion)).write("to __ or not", 5)
    assert len(text) == 17 and text.startswith("to ") and text[5:12] == " or not" and "_" not in text
    with pytest.raises(UserError, match="cannot fill"):
        load("gpt", make_weights(gpt)).write("to __ or not", 5)
    with pytest.raises(UserError, match="nothing to fill"):
        load("gpt", make_weights(gpt)).write("to be", 0)


def test_a_draft_is_verified_by_the_probability_of_its_own_character():
    """Probable enough: final. Less probable than another by more than the margin: remasked. Else it stays a draft."""
    probs = torch.tensor([[[0.02, 0.04, 0.9, 0.04], [0.3, 0.4, 0.1, 0.2], [0.1, 0.8, 0.05, 0.05]]], dtype=torch.float64)
    idx, every = torch.tensor([[2, 0, 0]]), torch.ones(1, 3, dtype=torch.bool)
    window = Window(idx, every, ~every, every, torch.tensor([[3]]), torch.tensor([[1]]))
    settings = {"confidence_threshold": 0.9, "draft_threshold": 0.7, "confirm_threshold": 0.85, "replace_margin": 0.2}
    decoding = diffusion.Decoding(**settings, spacing=0)
    found, masked, drafts = two_stage.verify_drafts(window, probs, ~every, idx, decoding)
    assert found.tolist() == [[2, 0, 0]]
    assert masked.tolist() == [[False, False, True]] and drafts.tolist() == [[False, True, False]]
