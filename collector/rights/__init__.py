"""The rights of an install's owner: requests, decisions, and how they are carried out."""
