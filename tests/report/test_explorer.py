# SPDX-License-Identifier: Apache-2.0
"""What a page holds of kept curves: read back as a browser reads it, thinned to its room, and drawn as it is told."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmyopia as jm
from jaxmyopia.report.explorer import Panel, explorer

DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
PLATEAUS = jm.measures.plateaus(ratio=0.4, fall=0.03)


@dataclasses.dataclass(frozen=True)
class Stairs(jm.Study):
    """A loss of two logistic steps that nothing trains; seeds above a setting diverge."""

    kind: str = "stairs"

    def init(self, keys, params):
        return {"step": jnp.zeros((), jnp.int32), "late": jax.vmap(jax.random.uniform)(keys), "bad": params["bad"]}

    def step(self, state, params):
        return state | {"step": state["step"] + 1}

    def observe(self, state, params):
        fall = lambda at: jax.nn.sigmoid((at - state["step"].astype(state["late"].dtype)) / 4.0)
        loss = 0.2 + fall(60.0) + fall(180.0 + 10 * state["late"])
        many = jnp.stack([loss * 10.0**-k for k in range(3)], axis=-1)
        return {
            "step": state["step"],
            "loss": jnp.where(state["bad"] > 0, jnp.nan, loss),
            "many": many,
            "still": state["late"],
        }


def read(line):
    low, high, text, log = line
    levels = [sum(DIGITS.index(text[i + k]) << 6 * (2 - k) for k in range(3)) for i in range(0, len(text), 3)]
    values = np.array([np.nan if level > 2**18 - 2 else low + (high - low) * level / (2**18 - 2) for level in levels])
    return 10**values if log else values


@pytest.fixture(scope="module")
def answer():
    study = Stairs(measures=[PLATEAUS])
    return jm.run(
        study, kind=["stairs", "other"], bad=[0.0, 1.0], seeds=4, steps=240, records=121, keep_curves=2, progress=False
    )


def entry(found, **wanted):
    names = [name for name, _ in found["settings"]]
    for each in found["trials"]:
        said = {name: found["settings"][k][1][at] for k, (name, at) in enumerate(zip(names, each["at"], strict=True))}
        if said | {"seed": each["seed"]} == wanted:
            return each
    raise AssertionError(wanted)


def test_what_is_written_is_read_back_to_four_digits_with_what_is_not_finite(answer):
    found = explorer(answer.folder, (), {}, 10**9)
    assert found["held"] == found["kept"] == 2 * 2 * 2
    curves = answer.folder.curves(0, "many")
    trial = answer.folder.rows(0)
    place = int(np.flatnonzero((trial["seed"][:4] == 1) & (trial["bad"][:4] == 0))[0])
    steps = list(answer.cells[0].record_steps())
    at = [steps.index(step) for step in found["cells"][0]["lines"]]
    assert len(at) == 100
    drawn = {
        found["panels"][each["panel"]]["title"]: each for each in entry(found, kind="stairs", bad="0", seed=1)["drawn"]
    }
    assert set(drawn) == {"Loss", "many"}  # what never changes is not drawn
    for k, line in enumerate(drawn["many"]["lines"]):
        np.testing.assert_allclose(read(line), curves[at, place, k], rtol=2e-4)
    (loss,) = entry(found, kind="stairs", bad="1", seed=1)["drawn"][0]["lines"]
    assert np.isnan(read(loss)).all()


def test_plateaus_are_marked_as_the_run_counts_them(answer):
    found = explorer(answer.folder, (), {}, 10**9)
    (loss, *_) = entry(found, kind="other", bad="0", seed=0)["drawn"]
    assert "ratio 0.4, fall 0.03" in found["panels"][loss["panel"]]["note"]
    late = answer.folder.curves(0, "still")[0, 0]
    assert [step for step, _ in loss["marks"][0]] == pytest.approx([60, 180 + 10 * late], abs=3)
    assert len(loss["spans"]) == 2 and loss["spans"][1][0] > 60 > loss["spans"][0][1]
    assert ["plateaus", "2"] in entry(found, kind="other", bad="0", seed=0)["numbers"]


def test_where_there_is_little_room_first_seeds_of_all_conditions_come_first(answer, monkeypatch):
    monkeypatch.setattr("jaxmyopia.report.explorer._LEAST", 0)
    whole = explorer(answer.folder, (), {}, 10**9)["trials"]
    few = explorer(answer.folder, (), {}, 4 * len(str(whole[0])))
    assert 3 <= few["held"] < few["kept"] == 8
    assert all(each["seed"] == 0 for each in few["trials"][:4])
    assert explorer(answer.folder, (), {}, 1)["held"] == 1


def test_a_panel_draws_what_it_is_told(answer):
    drawn = Panel(("many",), "Ones", "profile", make=lambda each: each[:, 1:], across="place")
    absent = Panel(("nothing",), "No such curve")
    nowhere = Panel(("many",), "Nothing to draw", make=lambda each: None)
    found = explorer(answer.folder, (drawn, absent, nowhere), {"bad": ("fine", "broken")}, 10**9)
    assert [panel["title"] for panel in found["panels"]] == ["Loss", "Ones", "Nothing to draw"]
    trial = entry(found, kind="stairs", bad="fine", seed=0)
    assert [found["panels"][each["panel"]]["title"] for each in trial["drawn"]] == ["Loss", "Ones"]
    shown = trial["drawn"][1]
    assert shown["shape"] == [2] and len(found["cells"][0]["slices"]) == 16
    last = read(shown["lines"][0]).reshape(16, 2)[-1]
    np.testing.assert_allclose(last, answer.folder.curves(0, "many")[-1, 0, 1:], rtol=1e-3)


def test_a_run_that_keeps_no_curves_has_none_to_explore():
    answer = jm.run(Stairs(), bad=0.0, seeds=2, steps=20, records=8, keep_curves=0, progress=False)
    assert explorer(answer.folder, (), {}, 10**6) is None
