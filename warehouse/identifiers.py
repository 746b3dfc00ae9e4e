"""Quotes names of databases, clusters, tables and users for SQL statements. Pure."""


def quoted(name: str) -> str:
    """Return the name in backticks, so that it may contain dashes, dots, spaces and quotes."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def on_cluster(cluster: str) -> str:
    """Return the clause that runs a statement on each server of a cluster, after a space; "" without a cluster."""
    return f" ON CLUSTER {quoted(cluster)}" if cluster else ""
