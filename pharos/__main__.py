"""`python -m pharos`: the command line."""

from pharos.cli import main

main()
