//! Arbitrary facts of accounts, and of what came back to them.

use super::*;

impl Arbitrary {
    pub(super) fn fact_of_account(&mut self) -> Fact {
        match self.below(8) {
            0 => Fact::FamilyLinked { person: PersonId(self.bits()), payer: PersonId(self.bits()) },
            1 => Fact::FamilyUnlinked { person: PersonId(self.bits()), payer: PersonId(self.bits()) },
            2 => Fact::Unwound { unwind: Arc::new(self.unwind()) },
            3 => self.pay_out_made(),
            4 => Fact::PayOutReleased {
                person: PersonId(self.bits()),
                claim_number: self.text().into(),
                card: CardId(self.bits()),
                legs: self.some(Self::leg),
            },
            5 => Fact::PayOutWithdrawn {
                person: PersonId(self.bits()),
                claim_number: self.text().into(),
                legs: self.some(Self::leg),
            },
            6 => Fact::ToppedUp {
                person: PersonId(self.bits()),
                card: CardId(self.bits()),
                account: self.account_kind(),
                amount: self.fen(),
                balance_after: self.fen(),
                legs: self.some(Self::leg),
            },
            _ => Fact::Purchased {
                person: PersonId(self.bits()),
                card: CardId(self.bits()),
                account: self.account_kind(),
                amount: self.fen(),
                balance_after: self.fen(),
                terminal: self.text().into(),
                legs: self.some(Self::leg),
            },
        }
    }

    fn pay_out_made(&mut self) -> Fact {
        let card = self.maybe(|a| CardId(a.id()));
        let pay_out = PayOut {
            claim_number: self.text().into(),
            amount: self.fen(),
            region: self.region(),
            waiting: card.is_none(),
        };
        Fact::PayOutMade { person: PersonId(self.bits()), pay_out, card, legs: self.some(Self::leg) }
    }
}
