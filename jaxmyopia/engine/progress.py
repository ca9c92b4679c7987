# SPDX-License-Identifier: Apache-2.0
"""The progress bar: seeds done, seed-steps per second, time left."""

from tqdm.auto import tqdm


class Progress:
    """A bar over all seed-steps of a run; seeds are counted as their blocks finish.

    Args:
      seed_steps: all there is to do, a scalar; what a resumed run finds done is not counted.
      seeds: likewise the seeds (one per cell and combination).
      show: whether there is anything to see.
    """

    def __init__(self, seed_steps: int, seeds: int, *, show: bool = True):
        self._seeds, self._done = seeds, 0
        look = {"unit": "seed-step", "unit_scale": True, "dynamic_ncols": True, "smoothing": 0.05, "mininterval": 0.5}
        self._bar = tqdm(total=seed_steps, disable=not show, **look)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def tick(self, seed_steps: int) -> None:
        """Moves on by a scalar number of seed-steps."""
        self._bar.update(seed_steps)

    def finish(self, seeds: int, cell: str) -> None:
        """Counts a scalar number of finished seeds and names the cell they belong to."""
        self._done += seeds
        self._bar.set_postfix_str(f"seeds {self._done}/{self._seeds}, {cell}")
