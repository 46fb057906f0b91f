"""Plots that need no explanation: units on the axes, intervals drawn, colours that the colour-blind can tell apart."""

import contextlib

import pandas

from lab.files import atomic

# Okabe and Ito's, and grey
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "black", "grey")

TITLES = {  # of axes; along a y axis the arrow to the left points down
    "distance": "distance to real text: JSD 4 + excess copying (\u2190 better)",
    "chars_per_call": "characters per forward pass (better \u2192)",
    "chars_per_second": "characters per second, one text at a time (better \u2192)",
}


@contextlib.contextmanager
def panels(path, titles, x, y):
    """A figure with a pair of axes for each title, side by side, written to `path` at the end.

    Raises UserError when that cannot be.
    """
    import matplotlib.figure  # not at the top: half a second that the other commands need not wait for

    fig = matplotlib.figure.Figure(figsize=(8, 5), layout="constrained")  # draws into files, needs no display
    every = fig.subplots(1, len(titles), sharey=True, squeeze=False)[0]
    for axes, title in zip(every, titles, strict=True):
        axes.set(title=title, xlabel=x)
        axes.grid(alpha=0.3)
        axes.set_prop_cycle(color=COLOURS)
        axes.spines[["top", "right"]].set_visible(False)
    every[0].set_ylabel(y)
    yield every
    named = every[0].get_legend_handles_labels()
    fig.legend(*named, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    with atomic(path) as file:
        fig.savefig(file, format=path.suffix[1:], dpi=130)


@contextlib.contextmanager
def figure(path, title, x, y):
    """The same with one pair of axes."""
    with panels(path, [title], x, y) as (axes,):
        yield axes


def scatter(axes, points, x, y, label=None, fmt="o"):
    """Points with the intervals of y where they are known, each group in a colour of its own.

    points: a table or dictionaries with the keys x and y, and perhaps y_low and y_high; fmt: of matplotlib.
    """
    table = pandas.DataFrame(points, columns=[x, y, f"{y}_low", f"{y}_high"], dtype=float)
    across, up, low, high = table.to_numpy().T
    axes.errorbar(across, up, (abs(up - low), abs(high - up)), fmt=fmt, label=label)


def label(axes, points, x, y):
    """The names of points in a column on the right, in the order of y, with a line from each to its point."""
    for row, p in enumerate(sorted(points, key=lambda p: p[y]), 1):
        place = 1.03, row / (len(points) + 1)
        line = {"arrowstyle": "-", "color": "#cccccc", "relpos": (0, 0.5)}
        axes.annotate(
            p["name"], (p[x], p[y]), place, textcoords="axes fraction", va="center", fontsize=8, arrowprops=line
        )


def log_axes(axes):
    """A logarithmic x axis with plain numbers."""
    axes.set_xscale("log", subs=(2, 3, 5))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:g}")


def real_line(axes, value):
    """Where held-out text of the same size lies."""
    axes.axhline(value, color="#555555", linestyle="--", linewidth=1, label="other real text of the same length")


def speed_of(points):
    """The key of the points' speed: characters per second, or per forward pass where not all were timed."""
    return "chars_per_second" if all(point["chars_per_second"] for point in points) else "chars_per_call"


def against_speed(path, title, speed, y, groups, real, named=()):
    """Groups of points {label: points} by speed and y, with the names of some of them; real: the measures of real text."""
    with figure(path, title, TITLES[speed], TITLES[y]) as axes:
        for group, points in groups.items():
            scatter(axes, points, speed, y, group)
        label(axes, named, speed, y)
        if real and y in real:
            real_line(axes, real[y]["mean"])
