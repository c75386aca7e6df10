"""`medsettle demo`."""

from typing import Annotated

import typer


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the scratch directory, to look into it.")] = False,
) -> None:
    """Play and prove the whole story: a hub, hospitals, patients and cards on this machine, in a scratch directory.

    Needs no arguments and nothing beforehand.

    Exit codes: 0 every check held; 1 one did not.
    """
    from medsettle.demo import main

    raise typer.Exit(main(keep=keep))
