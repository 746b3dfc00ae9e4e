"""The command groups of `pharos`, one per file."""
