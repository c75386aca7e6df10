"""SIGKILL under load: hospitals settle over gRPC, the hub dies at random moments, and what was acknowledged stays.

At the end the journal is the witness of what the oracle noted.
`MEDSETTLE_KILLS` says how often the hub dies; `make kills` runs a long series.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trial_oracle import CALLERS, Load
from trial_report import Figures
from trial_site import HubProcess, Office, Pki

KILLS = int(os.environ.get("MEDSETTLE_KILLS", "25"))
ANSWERS = (50, 300)
"""After how many answers the hub dies, at least and at most."""


@pytest.mark.fault(7)
@pytest.mark.timeout(120 + 30 * KILLS)
def test_what_was_acknowledged_survives_every_sigkill_and_nothing_else_appears(
    tmp_path: Path, pki: Pki, figures: Figures
) -> None:
    recoveries_s: list[float] = []
    with HubProcess(tmp_path, pki) as hub, Office(hub) as office, Load(hub, office) as load:
        for _ in range(KILLS):
            load.work_until_the_hub_dies(ANSWERS, hub.kill)
            began_s = time.monotonic()
            hub.start()
            recoveries_s.append(time.monotonic() - began_s)
            load.check_the_hub_that_came_back()
        load.check_everything()
        facts = office.sequence()
        assert hub.terminate() == 0
    verified = subprocess.run(
        [sys.executable, "-m", "medsettle", "verify", str(hub.data)], capture_output=True, text=True, check=False
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr
    load.oracle.witness.check(hub.data)
    recoveries_s.sort()
    figures(
        f"{KILLS} SIGKILLs under {CALLERS} callers: {len(load.oracle.answered)} answers acknowledged, each there once; "
        f"from start to ready, with recovery: median {recoveries_s[len(recoveries_s) // 2]:.2f} s, "
        f"longest {recoveries_s[-1]:.2f} s, with {facts} facts at the end"
    )
