# SPDX-License-Identifier: Apache-2.0
"""A figure laid out and drawn as SVG text: in this process, or by this file run as one of its own; see `artist`.

It imports matplotlib alone, so that such a process begins in a third of a second.
"""

import contextlib
import io
import os
import pickle
import signal
import sys
from collections.abc import Iterator
from typing import Any

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

_STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titley": 1.0,  # where it is anyway: to look for what may be in its way takes a seventh of it
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.1,
    "legend.frameon": False,
    "svg.hashsalt": "jaxmyopia",
    "svg.fonttype": "none",  # words stay words: half as long, and they can be searched for
    "figure.dpi": 130,
}


@contextlib.contextmanager
def house_style() -> Iterator[None]:
    """The house style, while it lasts: a notebook's own settings and backend stay as they are."""
    with matplotlib.rc_context(_STYLE):
        yield


def _spare(figure: Figure) -> None:
    """Spares the layout what does not change it, a seventh of its time: an empty label, whose place is looked for among
    all labels of ticks, and an axis that shows neither (of its ticks a spine takes care)."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if not axis.get_label_text():
                axis.set_label_coords(0, 0)
                ticks = axis.get_tick_params()
                if not any(ticks[name] for name in ticks if name.startswith("label")):
                    axis.set_in_layout(False)


def lay_out(figure: Figure) -> None:
    """Gives a figure's axes their places, once: of a whole drawing, as `savefig` does, the part needed."""
    layout = figure.get_layout_engine()
    if layout is not None:
        with house_style():
            _spare(figure)
            layout.execute(figure)
            figure.set_layout_engine("none")


def svg(figure: Figure) -> str:
    """A figure as SVG text; drawn once, where `savefig` draws twice to find the layout."""
    lay_out(figure)
    with house_style(), io.StringIO() as text:
        dpi = figure.dpi
        FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None})
        figure.dpi = dpi  # SVG has its own, which the canvas leaves behind
        return text.getvalue()


def _serve() -> None:
    """Draws what comes by standard input until that ends, as it does with whoever started this, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started this
    texts = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what else is printed is no text of a figure
    first = Figure(layout="constrained")
    first.subplots().loglog([1, 10])
    svg(first)  # fonts are found, and the like, before a figure comes
    with contextlib.suppress(EOFError):
        while True:
            settings, figure = pickle.load(sys.stdin.buffer)
            with matplotlib.rc_context(settings):
                pickle.dump(svg(figure), texts)
            texts.flush()


if __name__ == "__main__":
    _serve()
