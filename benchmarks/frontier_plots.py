"""Plots of the frontier: generative NLL at equal diversity against what a text costs."""

import pandas as pd

from benchmarks.configurations import middle
from benchmarks.tables import of_frontier
from lab.measuring import plots

# the first that a name contains
GROUPS = ("GPT", "streams", "the origin's", "flow off", "flow", "diffusion", "")


def draw(found, folder, name, only=""):
    """A plot for passes, and one for seconds of one text and of many together: generative NLL at the middle entropy.

    only: regular expression that the names of the configurations contain.
    """
    settings = found["settings"]
    target = middle(settings["entropies"])
    points = [row for row in of_frontier(found, only) if row.get("entropy") == target]
    y = f"generative NLL, nats per character,\nat equal entropy ({target} bits; lower: more probable)"
    costs = {
        "nfe": ("nfe", f"forward passes for {settings['max_new_tokens']} characters"),
        "seconds": ("eager", "seconds per 1,000 characters, one text alone, not compiled"),
        "seconds_together": ("together", f"seconds per 1,000 characters, {settings['batch']} texts together, compiled"),
    }
    for end, (cost, x) in costs.items():
        known = [point for point in points if cost in point]  # not all are timed
        if known:
            with plots.figure(folder / f"{name}_{end}.png", "Generative NLL at equal diversity", x, y) as axes:
                picture(axes, known, cost, found["real_text"]["generative_nll"])


def picture(axes, points, x, real):
    """The points over x with their names, the bar, which is what GPTs reach from left to right, and where real text lies."""
    y = "generative_nll"
    plots.log_axes(axes)
    plots.real_line(axes, real)
    groups = {group: [] for group in GROUPS}
    for point in points:
        groups[next(group for group in GROUPS if group in point["name"])].append(point)
    for group, members in groups.items():
        plots.scatter(axes, members, x, y, group if members else None)
    plots.label(axes, points, x, y)
    bar = pd.DataFrame(groups["GPT"], columns=[x, y]).sort_values(x)
    limits = axes.axis()
    across, up = [*bar[x], limits[1]], [*bar[y].cummin(), bar[y].min()]
    label = "a GPT costs no more, its text is more probable"
    axes.fill_between(across, up, limits[3], step="post", color="#eeeeee", zorder=0, label=label)
    axes.axis(limits)
