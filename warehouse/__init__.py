"""ClickHouse: connections, migrations, inserts, queries and retention."""
