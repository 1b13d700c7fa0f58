"""A dataset as tokens: encoded once into memory-mapped shards, and read back in any order (docs/shards.md)."""

from nuwa.data.shards.damage import verify
from nuwa.data.shards.layout import Plan
from nuwa.data.shards.loader import ShardLoader, TokenBatch
from nuwa.data.shards.read import Shards
from nuwa.data.shards.stream import ShardStream
from nuwa.data.shards.views import VIEWS
from nuwa.data.shards.write import Written, write_shards

__all__ = ["VIEWS", "Plan", "ShardLoader", "ShardStream", "Shards", "TokenBatch", "Written", "verify", "write_shards"]
