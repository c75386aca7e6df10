"""The small insured world with a pharmacy, in an embedded hub that can be opened again."""

from pathlib import Path

from medsettle import EngineSettings, Hub
from medsettle.hub import Acting
from trial_visits import Counter, found_visits
from trial_world import DESK, ISSUER, OPERATOR, ROLE_OF, Agency, KeyRing, Patient, found_world


class Town:
    """A founded world with a pharmacy, open in this process."""

    def __init__(self, root: Path) -> None:
        self.data, self.ring = root / "data", KeyRing.make(root)
        self.hub = self.open()
        found_world(self.acting(OPERATOR))
        found_visits(self.acting(OPERATOR))
        self.agency = Agency(self.acting(DESK), self.acting(ISSUER), self.acting(OPERATOR))

    def open(self) -> Hub:
        settings = EngineSettings(segment_bytes=1 << 20)
        return Hub.open(self.data, keys=self.ring.path, kek=self.ring.kek, settings=settings)

    def acting(self, institution: str) -> Acting:
        return self.hub.acting([ROLE_OF.get(institution, "HOSPITAL")], institution)

    def at(self, counter: Counter) -> Acting:
        return self.acting(counter.institution)

    def insured(self, balance_fen: int = 10_000) -> Patient:
        patient = self.agency.insure()
        self.agency.credit(patient, balance_fen)
        return patient
