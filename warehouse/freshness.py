"""What the loaders told of themselves: the row with the latest time of each loader counts."""

import uuid

from warehouse.engine import Engine


def forget_loader(engine: Engine, loader: str) -> None:
    """Delete what a loader told so far. Raises `EngineError`."""
    engine.command(
        f"ALTER TABLE {engine.altered('freshness_by_loader')} DELETE WHERE loader = '{uuid.UUID(loader)}'",
        {"mutations_sync": 2},
    )
