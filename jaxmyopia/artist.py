# SPDX-License-Identifier: Apache-2.0
"""A report's figures are drawn on two cores: a process of its own draws some, this one makes all and draws the rest.

That process runs `report/svg.py` alone, with matplotlib and without JAX, and begins before a run's cells do, so that it
is ready once they end. What it gives is the same to the byte. Where there is none, or it fails, all is drawn here.
"""

import contextlib
import os
import pathlib
import pickle
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from jaxmyopia.report.figures import Drawable

_LEAST_CORES = 2
_SCRIPT = pathlib.Path(__file__).parent / "report" / "svg.py"


class Artist:
    """Draws figures, with the help of a process that lives as long as the `with` in which it is used.

    Args:
      help: whether there is such a process, given a core for it.
    """

    def __init__(self, *, help: bool = True):
        self._help = help and len(os.sched_getaffinity(0)) >= _LEAST_CORES
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Artist":
        if self._help and sys.executable:
            environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
            with contextlib.suppress(OSError):  # it can be done without
                self._process = subprocess.Popen(
                    [sys.executable, "-P", str(_SCRIPT)], env=environment,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                )  # fmt: skip
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in filter(None, (self._process.stdin, self._process.stdout)):
                with contextlib.suppress(OSError):  # it may have ended before it read all
                    pipe.close()

    def draw(self, figures: Mapping[str, "Drawable"]) -> dict[str, str]:
        """Makes figures, one after the other, and draws each as SVG text.

        Args:
          figures: by name; a figure, or a function that makes it.

        Returns:
          The texts, by name.
        """
        from jaxmyopia.report.svg import svg

        pool, made, texts = ThreadPoolExecutor(1, thread_name_prefix="artist"), {}, {}
        try:
            for name, given in figures.items():
                figure = given() if callable(given) else given
                made[name] = figure, pool.submit(self._ask, self._packed(figure))
            for name, (figure, asked) in reversed(made.items()):
                text = None if asked.cancel() else asked.result()
                texts[name] = svg(figure) if text is None else text
        finally:
            pool.shutdown(cancel_futures=True)
        return {name: texts[name] for name in made}

    def _packed(self, figure: "Figure") -> bytes | None:
        """A figure, and the settings under which it is drawn; None where it cannot be, or nobody draws it."""
        import matplotlib

        if self._process is None:
            return None
        names = [name for name in matplotlib.rcParams if not name.startswith("backend")]  # which would choose one
        with contextlib.suppress(Exception):  # such as of a function within it
            return pickle.dumps(({name: matplotlib.rcParams[name] for name in names}, figure))
        return None

    def _ask(self, packed: bytes | None) -> str | None:
        """The text of a figure by the other process; None where that does not draw it."""
        if packed is None or self._process is None:
            return None
        figures, texts = self._process.stdin, self._process.stdout
        assert figures is not None and texts is not None
        try:
            figures.write(packed)
            figures.flush()
            return str(pickle.load(texts))
        except (OSError, ValueError, EOFError, pickle.UnpicklingError):  # it has ended; so it will not answer the next
            return None
