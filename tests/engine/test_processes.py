# SPDX-License-Identifier: Apache-2.0
"""Who does what: every chunk is exactly one process's, and the chunks are dealt evenly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxmyopia.engine.processes import Share, meet


@given(chunks=st.integers(0, 60), shards=st.integers(1, 5), processes=st.integers(1, 5))
def test_every_chunk_is_exactly_one_process_s(chunks, shards, processes):
    shares = [
        Share(shard=shard, shards=shards, process=process, processes=processes)
        for shard in range(shards)
        for process in range(processes)
    ]
    owners = [[share for share in shares if share.mine(number)] for number in range(chunks)]
    assert all(len(found) == 1 for found in owners)
    loads = [sum(share.mine(number) for number in range(chunks)) for share in shares]
    assert max(loads) - min(loads) <= 1
    for number in range(chunks):
        assert [share.in_shard(number) for share in shares] == [
            share.shard == owners[number][0].shard for share in shares
        ]


@pytest.mark.parametrize(
    ("bad", "message"),
    (
        ({"shards": 0}, "num_shards=0 is not allowed: must be at least 1"),
        ({"shard": 2, "shards": 2}, "shard_index=2 is not allowed: must be between 0 and num_shards - 1 = 1"),
        ({"shard": -1}, "shard_index=-1 is not allowed: must be between 0 and num_shards - 1 = 0"),
    ),
)
def test_shares_that_are_not_allowed_are_refused(bad, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        Share(**bad)


@pytest.mark.parametrize(
    ("bad", "message"),
    (
        (("localhost:1", 0, 0), "num_processes=0 is not allowed: must be at least 1"),
        (("localhost:1", 2, 2), "process_id=2 is not allowed: must be at least 0 and at most num_processes - 1 = 1"),
        (("localhost:1", None, -1), "process_id=-1 is not allowed: must be at least 0"),
    ),
)
def test_processes_that_are_not_allowed_are_refused(bad, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        meet(*bad)


@pytest.mark.parametrize("told", ("10.0.0.7:12345", None))
def test_the_coordinator_listens_only_where_it_is_told_to(monkeypatch, told):
    asked = []
    monkeypatch.setattr("jax.distributed.initialize", lambda *args, **kwargs: asked.append((args, kwargs)))
    meet(told, 2, 0)
    assert asked == [((told, 2, 0), {"coordinator_bind_address": told})]
