"""What is asked of ClickHouse, one question a file."""
