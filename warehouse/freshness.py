"""The progress reports of the loaders. For each loader, the row with the latest time counts."""

import uuid

from warehouse.engine import Engine


def forget_loader(engine: Engine, loader: str) -> None:
    """Delete all reports of a loader. Raises `EngineError`."""
    engine.command(
        f"ALTER TABLE {engine.altered('freshness_by_loader')} DELETE WHERE loader = '{uuid.UUID(loader)}'",
        {"mutations_sync": 2},
    )
