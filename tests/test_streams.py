"""Streams: what each position sees, that passes with a cache are one full pass, and that the likelihood is the sampler's own."""

import itertools
from dataclasses import replace

import pytest
import torch

import gpt
import streams
from lab.decoding.canvas import Canvas
from lab.model.corpus import Alphabet
from lab.model.likelihood import exact_nll
from streams import Decoding, order_of, shown, visible_to

SIZES = {"block_size": 16, "n_layer": 2, "n_head": 2, "n_embd": 16, "conv_width": 3, "dropout": 0.0}


def random_model(vocab_size=5, **sizes):
    torch.manual_seed(0)
    model = streams.Model(streams.Config(vocab_size=vocab_size, ahead=2, **(SIZES | sizes))).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(std=0.5)
    return model


def written(model, canvas, **settings):
    rngs = [torch.Generator().manual_seed(seed) for seed in range(len(canvas.idx))]
    return list(streams.generate(model, canvas, Decoding(**settings), rngs))


def canvas_of(*texts):
    rows = [Alphabet("abcde").encode_masked(text) for text in texts]
    return Canvas(*map(torch.stack, zip(*rows, strict=True)))


@pytest.mark.parametrize(
    "known, count, passes",
    [
        ("11000000", 2, [-8, -7, 0, 1, 2, 0, 1, 2]),
        ("10010000", 3, [-8, 0, 1, -5, 0, 1, 0, 1]),
        ("00000011", 2, [0, 1, 2, 0, 1, 2, -2, -1]),
        ("00000000", 8, [0] * 8),
    ],
)
def test_each_masked_span_is_cut_into_streams(known, count, passes):
    known = torch.tensor([[int(sign) for sign in known]]).bool()
    assert order_of(known, count).passes.tolist() == [passes]


def test_a_position_is_shown_the_token_before_it_only_once_that_is_written():
    order = order_of(torch.tensor([[1, 0, 0, 0, 0, 1, 0, 1, 0]]).bool(), 3)
    before = torch.arange(9)[None]
    assert shown(before, order.begins, 99).tolist() == [[0, 1, 2, 99, 4, 99, 6, 99, 8]]


def test_a_stream_may_write_several_characters_in_a_pass():
    known, moves = torch.arange(9)[None] < 1, torch.tensor([[0, 0, 1, 0, 1, 1, 0, 0, 1]]).bool()
    assert order_of(known, 2, moves).passes.tolist() == [[-9, 0, 1, 1, 2, 0, 0, 0, 1]]


@pytest.mark.parametrize("moves", ["111111111111", "001010011010"])
@pytest.mark.parametrize("ahead", [0, 2, 9])
def test_no_position_s_logits_depend_on_what_is_not_written_before_it(ahead, moves):
    """Changed: each character in turn. Only what is written in a later pass, or later in its stream, may notice: on both sides."""
    torch.manual_seed(1)
    model = random_model()
    model.config = replace(model.config, ahead=ahead)
    for block in model.backbone.blocks:
        block.conv.weight = torch.nn.Parameter(torch.randn(16, 1, 3 + ahead))
    idx, T = torch.randint(5, (1, 13)), 12
    known = torch.arange(T)[None] < 2
    order = order_of(known, 3, torch.tensor([[move == "1" for move in moves]]))
    passes, begins = order.passes[0], order.begins[0]
    seen = set()
    for changed in range(T):
        other = idx.clone()
        other[0, 1 + changed] = (idx[0, 1 + changed] + 1) % 5
        one, two = (model(shown(x[:, :-1], begins[None], 5), visible_to(order)) for x in (idx, other))
        differs = ((one - two).abs().amax(-1) > 1e-6)[0]
        may = (passes > passes[changed]) | (begins == begins[changed]) & (torch.arange(T) > changed)
        assert not (differs & ~may).any()
        seen |= {(changed, i) for i in differs.nonzero().flatten().tolist()}
    assert any(i > j for j, i in seen) and any(i < j for j, i in seen)


@pytest.mark.parametrize(
    "texts", [["ab__________"], ["ab____c_____", "a_________de"], ["____cc_d_ab_", "ab_____c____"]]
)
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_passes_with_a_cache_give_the_probabilities_of_one_full_pass(texts, count):
    """Also of rows whose spans differ: each has as many passes as its longest stream."""
    model, canvas = random_model(), canvas_of(*texts)
    frames = written(model, canvas, temp=1.0, streams=count)
    final = frames[-1].idx
    order = order_of(~canvas.masked, count)
    before = torch.nn.functional.pad(final, (1, 0), value=5)[:, :-1]
    with torch.no_grad():
        full = model(shown(before, order.begins, 5), visible_to(order)).double().softmax(-1)
    compared = 0
    for n, (frame, masked) in enumerate(zip(frames, [canvas.masked, *(f.masked for f in frames)], strict=False)):
        new = masked & ~frame.masked
        for b, i in new.nonzero().tolist():
            column = frame.columns[b].tolist().index(i)
            torch.testing.assert_close(frame.probs[b, column], full[b, i], rtol=0, atol=2e-6)
            assert order.passes[b, i] == n
            compared += 1
    assert compared == canvas.masked.sum() and not frames[-1].masked.any()
    assert final[~canvas.masked].equal(canvas.idx[~canvas.masked])


def test_the_text_of_a_row_does_not_depend_on_the_rows_beside_it():
    model, canvas = random_model(), canvas_of("ab____c_____", "a_________de")
    both = written(model, canvas, streams=3)[-1].idx
    alone = list(
        streams.generate(model, canvas_of("a_________de"), Decoding(streams=3), [torch.Generator().manual_seed(1)])
    )
    assert alone[-1].idx[0].equal(both[1])


@pytest.mark.parametrize("count, passes", [(1, 40), (2, 20), (4, 10), (40, 1), (99, 1)])
def test_a_chunk_takes_as_many_passes_as_a_stream_has_characters_and_computes_each_position_once(count, passes):
    model = random_model(block_size=48)
    canvas = Canvas.after(torch.tensor([0, 1, 2, 3]), 80)
    frames = written(model, canvas, streams=count, target_chunk_len=40)
    assert len(frames) == 2 * passes
    assert sum(frame.computed for frame in frames) == pytest.approx((44 + 48) / 48)


def test_a_row_that_is_full_costs_the_others_nothing():
    model = random_model()
    alone = written(model, canvas_of("a_________de"), streams=2)
    beside = written(model, canvas_of("a_________de", "abcdeab_cdea"), streams=2)
    assert [frame.columns.size(1) for frame in beside[1:]] == [frame.columns.size(1) for frame in alone[1:]]


def test_a_later_window_knows_the_character_before_it():
    model = random_model(block_size=48)
    canvas = Canvas.after(torch.tensor([0, 1, 2, 3]), 80)
    frames = written(model, canvas, temp=1.0, streams=4, target_chunk_len=40)
    final, start = frames[-1].idx[0], 84 - 48
    order = order_of(torch.arange(48)[None] < 8, 4)
    with torch.no_grad():
        full = model(shown(final[None, start - 1 : -1], order.begins, 5), visible_to(order))[0].double().softmax(-1)
    for n, frame in enumerate(frames[10:]):
        columns = frame.columns[0].tolist()
        for i in (order.passes[0] == n).nonzero().flatten().tolist():
            torch.testing.assert_close(frame.probs[0, columns.index(start + i)], full[i], rtol=0, atol=2e-6)


def test_likelihoods_of_all_texts_add_up_to_one():
    model = random_model(vocab_size=2, block_size=5)
    texts = torch.tensor([(0, *text) for text in itertools.product((0, 1), repeat=5)])
    for count in (1, 2, 3, 5):
        nll, passes = streams.path_nll(model, texts, torch.arange(6) > 0, count)
        assert (-5 * nll.double()).exp().sum() == pytest.approx(1, abs=1e-5)
        assert passes == -(-5 // count)


def test_the_likelihood_is_that_of_what_the_sampler_draws():
    model, canvas = random_model(), canvas_of("ab__________").repeat(16)
    for count in (2, 5):
        frames = written(model, canvas, temp=1.0, streams=count)
        drawn = torch.zeros(16, dtype=torch.float64)
        for frame, masked in zip(frames, [canvas.masked, *(f.masked for f in frames)], strict=False):
            new = (masked & ~frame.masked).gather(1, frame.columns) & (frame.columns >= 2)
            drawn -= torch.where(new, frame.confidence.log(), 0).sum(1)
        x = torch.nn.functional.pad(frames[-1].idx, (1, 0), value=5)  # a window's first character is shown, not written
        nll, _ = streams.path_nll(model, x, torch.arange(13) > 2, count)
        torch.testing.assert_close(10 * nll.double(), drawn, rtol=1e-5, atol=1e-5)


def test_one_stream_of_gpt_s_weights_is_gpt():
    sizes = {"vocab_size": 9, "n_layer": 2, "n_head": 2, "n_embd": 16, "block_size": 32}
    one, four = (method.Model(method.Config(**sizes)).eval() for method in (gpt.METHOD, streams.METHOD))
    own = four.state_dict()
    for name, weights in one.state_dict().items():
        torch.nn.init.normal_(weights, std=0.3)
        own[name][tuple(map(slice, weights.shape))] = weights
    windows = torch.randint(one.config.vocab_size, (3, one.config.block_size + 1))
    alone, _ = streams.path_nll(four, windows, torch.arange(windows.size(1)) > 0, 1)
    torch.testing.assert_close(alone, exact_nll(one, windows), rtol=0, atol=1e-5)
