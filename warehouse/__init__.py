"""What is at rest: the field table, the home, credentials and ClickHouse."""
