"""The groups of commands of `pharos`, one a file."""
