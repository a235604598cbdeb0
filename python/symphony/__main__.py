"""`python -m symphony`: the command line."""

from symphony._cli import main

raise SystemExit(main())
