"""How many beacons and requests were rejected, by day (UTC), reason and field. No value of theirs is kept."""

from collections.abc import Mapping

from collector.spool.database import Database

Rejection = tuple[str, str, str]  # the day (ISO), the reason, and the path of the field or ""


class Rejections(Database):
    """Adds up the counts of all workers."""

    def add_rejections(self, counts: Mapping[Rejection, int]) -> None:
        """Add counts to those of their days. Raises `Unavailable`."""
        with self.transaction():
            self.db.executemany(
                "INSERT INTO rejections VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET times = times + excluded.times",
                [(*rejection, times) for rejection, times in counts.items()],
            )

    def rejections(self) -> dict[Rejection, int]:
        """Return the counts of all days that are kept."""
        found = self.db.execute("SELECT day, reason, field, times FROM rejections")
        return {(day, reason, field): times for day, reason, field, times in found}

    def forget_rejections(self, before: str) -> None:
        """Delete the counts of earlier days (ISO). Raises `Unavailable`."""
        with self.transaction():
            self.db.execute("DELETE FROM rejections WHERE day < ?", (before,))
