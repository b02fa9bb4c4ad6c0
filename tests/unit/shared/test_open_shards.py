"""infra names the numbers of keys by itself: its environments load nothing of the platform."""

from infra.environments import OPEN_SHARDS
from order_shared import tables
from order_shared.runtime.config import OpenShards


def test_infra_and_the_services_know_the_same_numbers_of_keys() -> None:
    assert tuple(OpenShards) == OPEN_SHARDS == (tables.DEFAULT_OPEN_SHARDS, tables.OPEN_SHARDS)
