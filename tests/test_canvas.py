"""Canvas, windows over its chunks, and draws."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lab.decoding.canvas import Canvas, Frame, Windows
from lab.decoding.sampling import choose_tokens, probabilities, sample_tokens


def generator(seed):
    return torch.Generator().manual_seed(seed)


def canvas_of(*rows):
    """Canvas from strings in which _ is masked."""
    masked = torch.tensor([[character == "_" for character in row] for row in rows])
    return Canvas(torch.zeros(masked.shape, dtype=torch.long), masked)


def test_canvas_after_a_prompt_keeps_it_and_masks_the_rest_in_every_row():
    canvas = Canvas.after(torch.tensor([5, 6, 7]), new=4, rows=2)
    assert canvas.idx.dtype == torch.long and canvas.masked.dtype == torch.bool
    assert canvas.idx[:, :3].tolist() == [[5, 6, 7]] * 2
    assert canvas.masked.tolist() == [[False] * 3 + [True] * 4] * 2


def test_canvas_after_an_empty_prompt_is_all_masked():
    canvas = Canvas.after(torch.tensor([], dtype=torch.long), new=3)
    assert canvas.idx.shape == (1, 3) and canvas.masked.all()


def test_repeated_rows_are_equal_and_independent():
    canvas = Canvas(torch.tensor([1, 2]), torch.tensor([False, True])).repeat(3)
    assert canvas.idx.shape == canvas.masked.shape == (3, 2)
    canvas.idx[0, 0] = 9
    assert canvas.idx[:, 0].tolist() == [9, 1, 1]


def look(windows, masked):
    """The columns of the next pass and which of them may be filled, (B, W) each."""
    windows.masked = masked
    window = windows.next_window()
    return windows.columns, window.masked


def drain(windows, masked, fill):
    """Fill a canvas as a sampler does -> list of (masked, columns, eligible) before each pass."""
    steps = []
    while masked.any():
        columns, eligible = look(windows, masked)
        steps.append((masked, columns, eligible))
        masked = masked.scatter(1, columns, masked.gather(1, columns) & ~fill(eligible))
        assert len(steps) <= 1000, "the windows never come to an end"
    return steps


def everything(eligible):
    return eligible


def one_at_random(seed):
    """Fills one position of each row, chosen by the row's own generator."""
    rngs = {}

    def fill(eligible):
        taken = torch.zeros_like(eligible)
        for b, row in enumerate(eligible):
            rng = rngs.setdefault(b, generator(seed + b))
            if row.any():
                places = row.nonzero()[:, 0]
                taken[b, places[torch.randint(len(places), (1,), generator=rng)]] = True
        return taken

    return fill


def test_long_canvas_is_written_in_chunks_of_240_after_16_kept():
    canvas = Canvas.after(torch.zeros(16, dtype=torch.long), new=720)
    steps = drain(Windows(canvas, block_size=256, chunk=240), canvas.masked, everything)
    seen = [(int(columns[0, 0]), int(columns[0, -1]), int(eligible.sum())) for _, columns, eligible in steps]
    assert seen == [(0, 255, 240), (240, 495, 240), (480, 735, 240)]
    assert all(eligible[0].tolist() == [False] * 16 + [True] * 240 for _, _, eligible in steps)


@pytest.mark.parametrize("block_size", [16, 128, 240])
def test_a_chunk_as_long_as_the_window_leaves_a_sixteenth_to_what_stands_before(block_size):
    canvas = Canvas.after(torch.zeros(block_size // 16, dtype=torch.long), new=2 * block_size)
    windows = Windows(canvas, block_size, chunk=240)
    for masked, _, eligible in drain(windows, canvas.masked, everything):
        assert eligible.sum() <= block_size * 15 // 16
        assert not eligible[0, : block_size // 16].any() and masked.sum() > 0


def test_short_last_chunk_sees_the_more_of_the_text_before_it():
    canvas = Canvas.after(torch.zeros(16, dtype=torch.long), new=240 + 10)
    steps = drain(Windows(canvas, block_size=256, chunk=240), canvas.masked, everything)
    _, columns, eligible = steps[-1]
    assert columns[0].tolist() == list(range(266 - 256, 266))
    assert eligible[0].tolist() == [False] * 246 + [True] * 10


def test_gap_gets_the_same_context_on_both_sides():
    canvas = canvas_of("k" * 100 + "_" * 10 + "k" * 100)
    columns, eligible = look(Windows(canvas, block_size=30, chunk=20), canvas.masked)
    assert columns[0].tolist() == list(range(90, 120))
    assert columns[eligible].tolist() == list(range(100, 110))


@pytest.mark.parametrize(("before", "after", "expected"), [(2, 100, range(30)), (100, 2, range(82, 112))])
def test_gap_near_an_end_gets_the_rest_of_its_context_from_the_other_side(before, after, expected):
    canvas = canvas_of("k" * before + "_" * 10 + "k" * after)
    columns, _ = look(Windows(canvas, block_size=30, chunk=20), canvas.masked)
    assert columns[0].tolist() == list(expected)


def test_canvas_shorter_than_the_block_is_one_window():
    canvas = canvas_of("kk___k__")
    windows = Windows(canvas, block_size=256, chunk=240)
    columns, eligible = look(windows, canvas.masked)
    assert columns[0].tolist() == list(range(8))
    assert eligible.equal(canvas.masked)


def test_masked_text_beyond_the_chunk_is_seen_but_not_filled():
    canvas = canvas_of("_" * 30)
    columns, eligible = look(Windows(canvas, block_size=20, chunk=5), canvas.masked)
    assert columns[0].tolist() == list(range(20))
    assert eligible[0].tolist() == [True] * 5 + [False] * 15


def test_window_stays_until_its_chunk_is_full_whatever_the_other_rows_do():
    canvas = canvas_of("k" + "_" * 40, "k" + "_" * 40)
    windows = Windows(canvas, block_size=16, chunk=8)
    look(windows, canvas.masked)
    masked = canvas.masked.clone()
    masked[0, 1:9] = False  # row 0 has finished its chunk, row 1 all but one position of it
    masked[1, 1:8] = False
    columns, eligible = look(windows, masked)
    assert columns[0, 0] == 1 and columns[0][eligible[0]].tolist() == list(range(9, 17))
    assert columns[1, 0] == 0 and columns[1][eligible[1]].tolist() == [8]


@st.composite
def problems(draw):
    """Rows of masked positions (strings with _), block size, chunk, seed."""
    length = draw(st.integers(1, 40))
    rows = draw(st.lists(st.text("_k", min_size=length, max_size=length), min_size=1, max_size=3))
    return rows, draw(st.integers(1, 16)), draw(st.integers(1, 20)), draw(st.integers(0, 1000))


@given(problems())
def test_every_pass_offers_each_unfinished_row_something_to_fill_in_a_window_of_its_own_text(problem):
    rows, block_size, chunk, seed = problem
    canvas = canvas_of(*rows)
    L = canvas.masked.size(1)
    for masked, columns, eligible in drain(Windows(canvas, block_size, chunk), canvas.masked, one_at_random(seed)):
        assert columns.size(1) == min(block_size, L)
        assert columns.min() >= 0 and columns.max() < L and (columns.diff(dim=1) == 1).all()
        assert eligible.any(1).equal(masked.any(1))
        assert not (eligible & ~masked.gather(1, columns)).any()
        for b in range(len(rows)):
            assert columns[b][eligible[b]].diff().sum() < chunk


@given(problems())
def test_chunks_are_filled_in_the_order_of_the_text(problem):
    rows, block_size, chunk, seed = problem
    canvas = canvas_of(rows[0])
    for masked, columns, eligible in drain(Windows(canvas, block_size, chunk), canvas.masked, one_at_random(seed)):
        assert columns[eligible][0] == masked[0].nonzero()[0, 0]


@given(problems())
def test_windows_of_a_row_do_not_depend_on_the_other_rows(problem):
    rows, block_size, chunk, seed = problem
    canvas = canvas_of(*rows)
    together = drain(Windows(canvas, block_size, chunk), canvas.masked, one_at_random(seed))
    for b, row in enumerate(rows):
        alone_canvas = canvas_of(row)
        alone = drain(Windows(alone_canvas, block_size, chunk), alone_canvas.masked, one_at_random(seed + b))
        for (masked, columns, eligible), (masked1, columns1, eligible1) in zip(together, alone, strict=False):
            assert masked[b].equal(masked1[0])
            assert columns[b].equal(columns1[0]) and eligible[b].equal(eligible1[0])
        assert sum(bool(masked[b].any()) for masked, _, _ in together) == len(alone)


def test_probabilities_are_those_of_softmax_at_the_temperature_in_float64():
    logits = torch.tensor([[[0.0, 1.0, 3.0]]])
    probs = probabilities(logits, 0.5)
    expected = torch.tensor([0.0, 2.0, 6.0], dtype=torch.float64).exp()
    assert probs.dtype == torch.float64 and probs.device.type == "cpu" and probs.shape == logits.shape
    assert torch.allclose(probs[0, 0], expected / expected.sum(), rtol=1e-12)


def test_probabilities_of_bfloat16_logits_sum_to_one_in_float64():
    probs = probabilities(torch.randn(2, 3, 65, generator=generator(0)).bfloat16(), 1.0)
    assert torch.allclose(probs.sum(-1), torch.ones(2, 3, dtype=torch.float64), atol=1e-14)


def test_temperature_zero_puts_all_on_the_best_letter():
    probs = probabilities(torch.tensor([[[0.0, 3.0, 1.0], [2.0, -1.0, 1.999]]]), 0)
    assert probs.dtype == torch.float64
    assert probs.tolist() == [[[0, 1, 0], [1, 0, 0]]]


def test_probabilities_approach_temperature_zero_without_overflow():
    logits = torch.tensor([[[100.0, -100.0, 99.0]]])
    assert probabilities(logits, 1e-4).equal(probabilities(logits, 0))


def draw_all(probs, rngs):
    return sample_tokens(probs, None, rngs, torch.ones(len(probs), dtype=torch.bool))


def draws_of(weights, count, seed):
    """How often each character is drawn."""
    probs = torch.tensor(weights, dtype=torch.float64).expand(1, count, -1)
    return draw_all(probs, [generator(seed)])[0].bincount(minlength=len(weights)).double()


@pytest.mark.parametrize("scale", [1.0, 0.3, 17.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_draws_are_as_frequent_as_their_probabilities_normalised_or_not(scale, seed):
    weights, count = torch.tensor([0.4, 0.3, 0.2, 0.0999, 0.0001], dtype=torch.float64), 100_000
    seen = draws_of((scale * weights).tolist(), count, seed)
    chi_square = ((seen - count * weights).square() / (count * weights)).sum()
    assert chi_square < 18.5  # 4 degrees of freedom, p = .001


def test_neighbouring_positions_are_drawn_independently():
    pairs = draw_all(torch.full((1, 40_000, 2), 0.5, dtype=torch.float64), [generator(0)]).view(-1, 2)
    seen = (2 * pairs[:, 0] + pairs[:, 1]).bincount(minlength=4).double()
    assert (seen - 5000).square().sum() / 5000 < 16.3  # 3 degrees of freedom, p = .001


@pytest.mark.parametrize("u", [0.0, 1 - 2**-53])
@pytest.mark.parametrize(
    ("weights", "possible"), [([0, 0, 1, 0], {2}), ([0, 0.3, 0, 0.1, 0], {1, 3}), ([0.1] * 3, {0, 2})]
)
def test_letter_of_probability_zero_is_not_drawn_even_at_the_ends_of_the_generator(u, weights, possible):
    drawn = choose_tokens(
        torch.tensor([[weights]], dtype=torch.float64), None, torch.tensor([[u]], dtype=torch.float64)
    )
    assert drawn.item() in possible


@given(st.lists(st.sampled_from([0.0, 1e-12, 0.1, 1.0]), min_size=1, max_size=6).filter(any), st.integers(0, 10_000))
def test_letter_of_probability_zero_is_never_drawn(weights, seed):
    seen = draws_of(weights, 200, seed)
    assert all(count == 0 for count, weight in zip(seen, weights, strict=True) if weight == 0)


def test_draws_of_a_row_depend_on_its_own_generator_only():
    probs = torch.rand(3, 50, 7, generator=generator(9), dtype=torch.float64)
    together = draw_all(probs, [generator(seed) for seed in (1, 2, 3)])
    for b, seed in enumerate((1, 2, 3)):
        assert together[b].equal(draw_all(probs[b : b + 1], [generator(seed)])[0])
    assert not draw_all(probs[:1], [generator(1)]).equal(draw_all(probs[:1], [generator(2)]))


def test_second_draw_of_a_generator_is_a_new_one():
    probs, rng = torch.full((1, 50, 7), 1 / 7, dtype=torch.float64), generator(0)
    assert not draw_all(probs, [rng]).equal(draw_all(probs, [rng]))


def test_a_row_that_is_left_out_draws_nothing():
    probs, rngs = torch.full((2, 9, 4), 0.25, dtype=torch.float64), [generator(0), generator(1)]
    sample_tokens(probs, None, rngs, torch.tensor([False, True]))
    assert rngs[0].get_state().equal(generator(0).get_state())
    assert not rngs[1].get_state().equal(generator(1).get_state())


def test_prompts_of_a_batch_are_known_whatever_their_number():
    canvas = Canvas.after(torch.arange(10).view(2, 5), 3)
    assert canvas.masked.tolist() == [[False] * 5 + [True] * 3] * 2


def test_confidence_is_that_of_each_rows_own_characters():
    probs = torch.rand(2, 3, 4, dtype=torch.float64)
    idx, columns = torch.tensor([[0, 1, 2, 3], [3, 2, 1, 0]]), torch.tensor([[0, 1, 2], [1, 2, 3]])
    frame = Frame(idx, idx < 0, idx < 0, columns, probs, 1.0)
    expected = [[probs[b, k, idx[b, columns[b, k]]].item() for k in range(3)] for b in range(2)]
    assert frame.confidence.tolist() == expected


def test_drafts_at_even_positions_are_scored_first_then_those_at_odd_ones():
    windows = Windows(Canvas.after(torch.tensor([0]), 8), 9, 8)
    for hidden in ([2, 4], [3, 5], [2, 4]):
        windows.draft = torch.tensor([[False, False, True, True, True, True, False, False, False]])
        windows.masked = torch.tensor([[False] * 6 + [True] * 3])
        window = windows.next_window()
        assert window.drafts[0].nonzero().flatten().tolist() == hidden
        assert window.hidden[0].nonzero().flatten().tolist() == [*hidden, 6, 7, 8]
        windows.commit(window, window.idx, window.masked, window.drafts, torch.zeros(1, 9, 2))
