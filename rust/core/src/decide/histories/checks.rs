//! What must hold after every step of a history.

use std::collections::BTreeMap;

use super::model::{CAP, ModelStay, VISIT_CAP};
use super::{History, is_waiting};
use crate::command::{Query, Reply};
use crate::hub::Hub;
use crate::ids::{HubNumber, StayId};
use crate::ledger::LedgerAccount;
use crate::money::Fen;
use crate::policy::Fund;
use crate::records::{MemoryRecords, Records};
use crate::rows::tests::restored;

impl History {
    /// Everything that must hold after any step.
    pub(super) fn check(&self) {
        let hub = &self.desk.hub;
        let without_zeros = |books: &BTreeMap<_, i128>| {
            books.iter().filter(|(_, balance)| **balance != 0).map(|(account, balance)| (*account, *balance)).collect()
        };
        let books: BTreeMap<_, _> = without_zeros(&self.model.books);
        assert_eq!(self.desk.books(), books);
        let Ok(Reply::TrialBalance { balances, sum: 0, personal }) = self.desk.ask(Query::TrialBalance) else {
            panic!("the trial balance is not zero")
        };
        let is_personal = |(account, _): &&(_, i128)| matches!(account, LedgerAccount::PersonalAccounts(_));
        assert_eq!(balances.iter().filter(is_personal).map(|(_, balance)| balance).sum::<i128>(), personal);
        for (n, card) in self.cards.iter().enumerate() {
            let person = &hub.persons[self.desk.holder(*card)];
            assert_eq!(person.account.balance, Fen(self.model.balances[n]));
            assert!(person.account.balance >= Fen::ZERO);
            for year in &self.model.years {
                assert_eq!(self.desk.used(*card, *year), self.model.used(n, *year, false));
                assert_eq!(self.desk.used_by_visits(*card, *year), self.model.used(n, *year, true));
                assert!(self.desk.used_by_visits(*card, *year).funds[Fund::Pool] <= Fen(VISIT_CAP));
                assert!(self.desk.used(*card, *year).funds[Fund::Pool] <= Fen(CAP));
            }
            assert_eq!(person.seldom.open_stays.len(), self.waiting().filter(|(_, stay)| stay.person == n).count());
        }
        assert_eq!(hub.stays.len(), self.waiting().count());
        for (id, expected) in self.waiting() {
            let stay = &hub.stays[*id];
            assert_eq!((stay.state, stay.discharge), (expected.state, expected.discharge));
            assert_eq!(stay.sum.total, Fen(expected.total()));
            stay.sum.check_lines(stay.lines.values().map(|line| &line.split)).unwrap();
        }
        self.check_claims();
        self.check_days();
        self.check_replay();
    }

    fn waiting(&self) -> impl Iterator<Item = (&StayId, &ModelStay)> {
        self.model.stays.iter().filter(|(_, stay)| is_waiting(stay.state))
    }

    fn check_claims(&self) {
        for (id, claim) in &self.model.claims {
            let standing = self.desk.records.settlement(*id).unwrap();
            standing.settlement.split.check().unwrap();
            let split = standing.split();
            assert_eq!(standing.stands(), claim.stands);
            assert_eq!((split.deductible.0, split.fund_total().0), (claim.deductible, claim.fund));
            assert_eq!(split.person_part, split.bill.total - split.fund_total());
        }
    }

    fn check_days(&self) {
        for ((hospital, day), expected) in &self.model.days {
            let (rows, totals) = self.desk.records.day(*hospital, *day, None, usize::MAX);
            assert_eq!((totals, u64::try_from(rows.len()).unwrap()), (*expected, expected.count));
            assert_eq!(rows.iter().map(|row| row.total).sum::<Fen>(), totals.total);
            assert_eq!(rows.iter().map(|row| row.fund_total).sum::<Fen>(), totals.fund_total);
        }
    }

    /// The records alone give the same state and the same past.
    fn check_replay(&self) {
        let mut hub = Hub::new(HubNumber::new(11).unwrap(), 7);
        let mut records = MemoryRecords::default();
        for record in &self.desk.journal {
            records.observe(record, &hub);
            hub.apply(record);
        }
        assert_eq!(hub, self.desk.hub);
        let mut in_runs = Hub::new(HubNumber::new(11).unwrap(), 8);
        in_runs.apply_all(self.desk.journal.iter());
        assert_eq!(in_runs, hub, "whatever was brought into the cache before");
        assert_eq!(hub.digest(), self.desk.hub.digest());
        assert_eq!(restored(&hub, 11), hub);
        assert_eq!(records, self.desk.records);
    }
}
