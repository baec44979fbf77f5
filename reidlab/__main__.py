"""`python -m reidlab` is the `reidlab` command."""

from reidlab.cli import main

main()
