"""The rights of an install's owner: requests, decisions, and their execution."""
