"""Names of databases, clusters, tables and users as they stand in a statement. Pure."""


def quoted(name: str) -> str:
    """The name in backticks: any name may then hold dashes, dots, blanks and quotes."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def on_cluster(cluster: str) -> str:
    """The clause that runs a statement on each server of a cluster, with a blank before it; "" without a cluster."""
    return f" ON CLUSTER {quoted(cluster)}" if cluster else ""
