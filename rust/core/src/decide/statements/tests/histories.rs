//! Random histories of a family: every statement adds up to its account, against balances kept apart.

use proptest::prelude::*;

use crate::account::AccountKind;
use crate::command::Command;
use crate::decide::fixture::Desk;
use crate::decide::fixture::clinic::{bill, medicine};
use crate::ids::{CardId, SettlementId};
use crate::money::Fen;
use crate::policy::{BenefitPolicy, OnCancel, VisitKind};
use crate::statement::Entry;

const PERSONS: usize = 3;
const ON: &str = "2026-02-01";

#[derive(Clone, Copy, Debug)]
enum Step {
    Credit { person: usize, amount: i64 },
    Link { person: usize, payer: usize },
    Unlink { person: usize, payer: usize },
    Visit { person: usize, yuan: i64, account: i64, use_family: bool },
    Cancel { age: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let person = || 0..PERSONS;
    let step = prop_oneof![
        3 => (person(), 1..90_000_i64).prop_map(|(person, amount)| Step::Credit { person, amount }),
        3 => (person(), person()).prop_map(|(person, payer)| Step::Link { person, payer }),
        1 => (person(), person()).prop_map(|(person, payer)| Step::Unlink { person, payer }),
        6 => (person(), 1..3_000_i64, 0..90_000_i64, any::<bool>())
            .prop_map(|(person, yuan, account, use_family)| Step::Visit { person, yuan, account, use_family }),
        2 => (0..4_usize).prop_map(|age| Step::Cancel { age }),
    ];
    prop::collection::vec(step, 1..80)
}

struct History {
    desk: Desk,
    cards: [CardId; PERSONS],
    balances: [i64; PERSONS],
    payers: [Vec<usize>; PERSONS],
    /// Standing settlements with what each person gave.
    standing: Vec<(SettlementId, [i64; PERSONS])>,
}

impl History {
    fn begin() -> Self {
        let rule = |policy| BenefitPolicy { on_cancel: OnCancel::Readjudicate, ..policy };
        let mut desk = Desk::clinic(rule);
        let cards = ["P0", "P1", "P2"].map(|passport| desk.patient(passport));
        Self { desk, cards, balances: [0; PERSONS], payers: Default::default(), standing: Vec::new() }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Credit { person, amount } => {
                let period = format!("k{}", self.desk.journal.len());
                self.desk.credit(self.cards[person], amount, &period);
                self.balances[person] += amount;
            }
            Step::Link { person, payer } => {
                let expected = person != payer && !self.payers[person].contains(&payer);
                let (of, by) = (self.desk.holder(self.cards[person]), self.desk.holder(self.cards[payer]));
                assert_eq!(self.desk.run(Command::LinkFamily { person: of, payer: by }).is_ok(), expected);
                if expected {
                    self.payers[person].push(payer);
                }
            }
            Step::Unlink { person, payer } => {
                let expected = self.payers[person].contains(&payer);
                let (of, by) = (self.desk.holder(self.cards[person]), self.desk.holder(self.cards[payer]));
                assert_eq!(self.desk.run(Command::UnlinkFamily { person: of, payer: by }).is_ok(), expected);
                self.payers[person].retain(|other| *other != payer);
            }
            Step::Visit { person, yuan, account, use_family } => self.visit(person, yuan, account, use_family),
            Step::Cancel { age } => {
                let Some(at) = self.standing.len().checked_sub(age + 1) else { return };
                let (settlement, gave) = self.standing.remove(at);
                self.desk.cancel_visit(settlement).unwrap();
                (0..PERSONS).for_each(|n| self.balances[n] += gave[n]);
            }
        }
    }

    fn visit(&mut self, person: usize, yuan: i64, account: i64, use_family: bool) {
        self.desk.serve(VisitKind::Pharmacy);
        let mut billed = bill(VisitKind::Pharmacy, ON, &medicine(ON, &yuan.to_string()), account);
        billed.use_family = use_family;
        let asked = self.desk.visit_of(self.cards[person], billed, yuan * 100);
        let mut gave = [0; PERSONS];
        let mut left = account;
        let family = self.payers[person].iter().filter(|_| use_family);
        for payer in std::iter::once(&person).chain(family) {
            gave[*payer] = left.min(self.balances[*payer]);
            left -= gave[*payer];
        }
        let settled = self.desk.settle_visit(asked);
        let Ok(settlement) = settled else { return };
        assert_eq!(left, 0, "no more is drawn than the accounts hold");
        (0..PERSONS).for_each(|n| self.balances[n] -= gave[n]);
        self.standing.push((settlement.id, gave));
    }

    fn check(&self) {
        for (card, balance) in self.cards.iter().zip(self.balances) {
            let mut running = Fen::ZERO;
            // What a recomputation gives goes to the bank, which keeps that balance itself.
            let own = self.desk.statement(*card).into_iter().filter(|entry| entry.account == AccountKind::Insurance);
            for Entry { amount, balance, .. } in own {
                running += amount;
                assert_eq!(balance, running);
            }
            assert_eq!((running, self.desk.balance(*card)), (Fen(balance), Fen(balance)));
        }
        assert_eq!(self.desk.hub.ledger.trial_balance(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_statement_adds_up_to_what_its_account_holds(steps in steps()) {
        let mut history = History::begin();
        for step in steps {
            history.take(step);
        }
        history.check();
    }
}
