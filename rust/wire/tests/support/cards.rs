//! Arbitrary facts of cards, and of persons and generations that go on with their lives.

use super::*;

impl Arbitrary {
    pub(super) fn fact_of_card(&mut self) -> Fact {
        match self.below(8) {
            0 => Fact::CardApplied {
                card: CardId(self.bits()),
                person: PersonId(self.bits()),
                region: self.region(),
                generation: self.text().into(),
                predecessor: self.maybe(|a| CardId(a.id())),
            },
            1 => Fact::CardApplicationFailed {
                card: CardId(self.bits()),
                cause: self.pick(&[
                    FailureCause::BankAccountRefused,
                    FailureCause::IssuedElsewhere,
                    FailureCause::IssuedAsResident,
                    FailureCause::LeftEmployer,
                    FailureCause::NoValidPhoto,
                    FailureCause::NameOrNumberChanged,
                ]),
            },
            2 => Fact::CardMade {
                card: CardId(self.bits()),
                made: self.personalisation(),
                purse: self.fen(),
                legs: self.some(Self::leg),
            },
            3 => Fact::CardHandedOver { card: CardId(self.bits()), collected_by: self.text().into() },
            4 => Fact::CardEnabled {
                card: CardId(self.bits()),
                zone: self.pick(&ZoneKind::ALL),
                cancelled: self.maybe(|a| CardId(a.id())),
                by_first_use: self.flag(),
                moves: self.some(|a| PurseMove { from: CardId(a.bits()), account: a.account_kind(), amount: a.fen() }),
                legs: self.some(Self::leg),
            },
            5 => Fact::CardReportedLost {
                card: CardId(self.bits()),
                zones: self.some(|a| a.pick(&ZoneKind::ALL)),
                loss: self.pick(&[Loss::Temporary, Loss::Formal]),
                until_ms: self.maybe(Self::signed),
                channel: self.pick(&[Channel::Phone, Channel::SelfService, Channel::Desk, Channel::Bank]),
                verified_by: self.text().into(),
            },
            6 => Fact::CardLossWithdrawn {
                card: CardId(self.bits()),
                zones: self.some(|a| a.pick(&ZoneKind::ALL)),
                verified_by: self.text().into(),
            },
            _ => Fact::CardCancelled {
                card: CardId(self.bits()),
                zones: self.some(|a| a.pick(&ZoneKind::ALL)),
                cause: self.pick(&[
                    CancelCause::Returned,
                    CancelCause::HolderDead,
                    CancelCause::IssuedInError,
                    CancelCause::RegionChanged,
                ]),
            },
        }
    }

    /// Of cards and persons that go on with their lives.
    pub(super) fn fact_of_life(&mut self) -> Fact {
        match self.below(3) {
            0 => {
                let zone = self.pick(&ZoneKind::ALL);
                Fact::CardUnlocked { card: CardId(self.bits()), zone, atc: self.maybe(|a| a.bits() as u16) }
            }
            1 => {
                Fact::GenerationRetired { region: self.region(), generation: self.text().into(), cut_over: self.day() }
            }
            _ => Fact::PersonTransferred {
                person: PersonId(self.bits()),
                profile: self.profile(),
                home: self.region(),
                anew: self.some(Self::key),
                legs: self.some(Self::leg),
            },
        }
    }
}
