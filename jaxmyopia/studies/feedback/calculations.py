# SPDX-License-Identifier: Apache-2.0
"""What formulas say of feedback without a run, tested against runs where they hold, and not voted on.

With N answers, many, and without a prior, 1 - cos^2 = (d - 1) / (N I) on average (the Cramer-Rao bound of a direction);
within the right subspace, and w in it, (k - 1) / (N I). What is known saves the factor (d - 1) / (k - 1); whoever knows
the subspace alone has the cosine 1 / sqrt(1 + sigma^2) at most, and is behind from N = (d - 1) / (I sigma^2) on, where
1 - cos^2 = sigma^2, about, for sigma small.

A subspace tilted by theta holds cos(theta)^2 of u, and of v sin(theta)^2 k / (d - k) on average. All that a tilt does
to learners that know nothing else of w is to make sigma larger than they believe: the share of w outside is

  1 - (cos(theta)^2 + sigma^2 sin(theta)^2 k / (d - k)) / (1 + sigma^2)
"""

import itertools

import jax.numpy as jnp
import numpy as np

from jaxmyopia.studies.feedback.model import answer_information, cap_bits, code_lengths, fisher_information

COS = 0.9  # of the table of bits


def crossover(d: int, sharpness: float, sigma: float) -> float:
    """From how many answers on comparisons without a prior are ahead of who knows the subspace alone."""
    return (d - 1) / (fisher_information(sharpness) * sigma**2)


def inside(d: int, k: int, sigma: float, angle: float) -> float:
    """The mean share of w's square in the model's subspace, tilted by so many degrees."""
    turned = np.sin(np.deg2rad(angle)) ** 2
    return float((1 - turned + sigma**2 * turned * k / (d - k)) / (1 + sigma**2))


def rows() -> dict[str, list[list[str]]]:
    """Tables by name, each with its head."""
    answers = [["sharpness", "I(y; w), bits", "I, Fisher", "bits for cos 0.9: d = 32", "d = 16", "d = 8", "d = 2"]]
    for sharpness in (0.5, 1.0, 2.0, 4.0, 8.0):
        told, fisher = float(answer_information(jnp.asarray(sharpness))), fisher_information(sharpness)
        needed = [(d - 1) / (fisher * (1 - COS**2)) * told for d in (32, 16, 8, 2)]
        answers.append([f"{sharpness:g}", f"{told:.3f}", f"{fisher:.3f}", *(f"{n:.0f}" for n in needed)])
    bound = ["least: cap area", "", "", *(f"{float(cap_bits(COS, d)):.1f}" for d in (32, 16, 8, 2))]
    crossing = [["d, sharpness", *(f"sigma {sigma:g}" for sigma in (0.1, 0.3, 1.0)), "saved by k = 2", "by k = 8"]]
    for d, sharpness in itertools.product((16, 32), (1.0, 4.0)):
        found = [f"{crossover(d, sharpness, sigma):,.0f}" for sigma in (0.1, 0.3, 1.0)]
        crossing.append([f"{d}, {sharpness:g}", *found, f"{d - 1:g} times", f"{(d - 1) / 7:.1f} times"])
    tilted = [["sigma, k (d = 16)", *(f"{angle}°" for angle in (0, 20, 45, 90))]]
    for sigma, k in itertools.product((0.1, 0.3, 1.0), (2, 8)):
        best = [f"{np.sqrt(inside(16, k, sigma, angle)):.3f}" for angle in (0, 20, 45, 90)]
        tilted.append([f"{sigma:g}, {k}", *best])
    codes = [["b", *map(str, range(1, 5))], ["bits told a coordinate", *(f"{x:.2f}" for x in code_lengths(4)[1:])]]
    return {
        "what an answer tells, and bits by theory for a cosine of 0.9 without a prior": [*answers, bound],
        "answers from which no prior is ahead of the subspace alone, and what knowledge saves": crossing,
        "root mean square of the cosine that a whole principle has, by angle": tilted,
        "code length of a principle's coordinate": codes,
    }
