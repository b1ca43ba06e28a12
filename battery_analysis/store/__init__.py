"""Everything that talks to MongoDB."""

from battery_analysis.store.connection import Store, open_store

__all__ = ["Store", "open_store"]
