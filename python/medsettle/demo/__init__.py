"""`medsettle demo`: the whole story, played for real on this machine, told and proved.

Owns the run: a scratch directory, a hub process, the story, and the verdict.
Invariant: every process it started has ended when it returns, whatever happened.
Leaves out what happens: story/; what the numbers are checked by: checks/.
"""


def main(*, keep: bool = False) -> int:
    """Play the demo and return 0 if every check held, else 1; `keep` leaves the scratch directory."""
    # Imported here, because the hospitals' processes import this package and need neither extension nor story.
    import traceback

    from medsettle.demo.hub_process import HubProcess
    from medsettle.demo.scratch import scratch
    from medsettle.demo.story import play
    from medsettle.demo.tell import Teller

    tell = Teller()
    with scratch(keep=keep) as files, HubProcess(files) as hub:
        try:
            play(tell, files, hub)
        except Exception:
            tell.broken(traceback.format_exc(), hub.log_tail())
    tell.summary()
    if keep:
        tell.say(f"Everything is left in {files.root}.")
    return 1 if tell.failures else 0
