"""Plots that need no explanation: units on the axes, intervals drawn, colours that the colour-blind can tell apart."""

import contextlib

from lab.files import atomic

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito

DISTANCE = "distance to real text: JSD 4 + excess copying (\u2190 better)"  # along a y axis this points down
PER_PASS = "characters per forward pass (better \u2192)"


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
        axes.spines[["top", "right"]].set_visible(False)
    every[0].set_ylabel(y)
    yield every
    handles, labels = every[0].get_legend_handles_labels()
    if labels:
        fig.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    with atomic(path) as file:
        fig.savefig(file, format=path.suffix[1:], dpi=130)


@contextlib.contextmanager
def figure(path, title, x, y):
    """The same with one pair of axes."""
    with panels(path, [title], x, y) as (axes,):
        yield axes


def scatter(axes, points, x, y, colour=COLOURS[0], label=None, marker="o", size=36):
    """Points with the intervals of y where they are known.

    points: dictionaries with the keys x and y, and perhaps y_low and y_high.
    """
    known = [p for p in points if p.get(x) is not None and p.get(y) is not None]
    for p in known:
        low = p.get(f"{y}_low")
        high = p.get(f"{y}_high")
        if low is not None:
            axes.vlines(p[x], low, high, color=colour, alpha=0.35, linewidth=1.5, zorder=1)
    across = [p[x] for p in known]
    up = [p[y] for p in known]
    axes.scatter(across, up, color=colour, marker=marker, label=label, zorder=2, s=size)


def label(axes, points, x, y):
    """The names of points in a column on the right, in the order of y, with a line from each to its point."""
    ordered = sorted(points, key=lambda p: p[y])
    for row, p in enumerate(ordered, 1):
        place = 1.03, row / (len(ordered) + 1)
        line = {"arrowstyle": "-", "color": "#cccccc", "relpos": (0, 0.5)}
        axes.annotate(
            p["name"], (p[x], p[y]), place, textcoords="axes fraction", va="center", fontsize=8, arrowprops=line
        )


def log_axes(axes):
    """A logarithmic x axis with plain numbers."""
    from matplotlib.ticker import LogLocator

    axes.set(xscale="log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(LogLocator(subs=(2, 3, 5)))
    axes.xaxis.set_minor_formatter("{x:g}")


def real_line(axes, value):
    """Where held-out text of the same size lies."""
    if value is not None:
        axes.axhline(value, color="#555555", linestyle="--", linewidth=1, label="other real text of the same length")


def speed_axis(points):
    """Key and label of the points' speed: characters per second, or per forward pass when not all were timed."""
    if all(point["chars_per_second"] for point in points):
        return "chars_per_second", "characters per second, one text at a time (better \u2192)"
    return "chars_per_call", "characters per forward pass, as seconds were not measured (better \u2192)"
