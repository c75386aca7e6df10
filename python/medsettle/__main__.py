"""`python -m medsettle` is the command `medsettle`."""

from medsettle.cli import main

main()
