//! Money and limits by the auditor's own arithmetic: what each reply must say, and what the hub must show at any time.
//!
//! Invariant: amounts follow from the rules of the region as a clerk would work them out, never from what the hub calculated.

use medsettle_engine::Answer;
use medsettle_wire::{Operation, v1};
use prost::Message;

use super::town::{Ask, Loss, Paper, Person, Plan, Standing, Town, Ward, accumulators, read, statement, trial_balance};
use super::world::{CREDITED_FEN, Place, World};
use crate::request::{self, Patient};
use crate::visits::LIMIT_FEN;

/// A stay: the patient bears this, and 12 % of the rest.
const DEDUCTIBLE_FEN: i64 = 100_000;

#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_field_names, reason = "amounts name their unit")]
struct Money {
    total_fen: i64,
    fund_fen: i64,
    account_fen: i64,
}

#[derive(Clone, Debug, Default)]
struct Purse {
    balance_fen: i64,
    /// What visits used of the year's limit.
    used_fen: i64,
    stays_fen: i64,
    settled: Vec<(u64, Money)>,
}

/// Totals of a day at an institution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Day {
    rows: u64,
    total_fen: i64,
    fund_fen: i64,
    account_fen: i64,
}

/// The books.
pub(super) struct Books {
    purses: Vec<Purse>,
    hospital: Day,
    pharmacy: Day,
}

/// A question to the hub whose answer is known.
#[derive(Clone, Copy, Debug)]
pub(super) enum Check {
    Account(usize),
    Limits(usize),
    Statement(usize),
    Trial,
    Day,
}

impl Books {
    pub(super) fn of(world: &World) -> Self {
        let purse = Purse { balance_fen: CREDITED_FEN, ..Purse::default() };
        Self { purses: vec![purse; world.patients.len()], hospital: Day::default(), pharmacy: Day::default() }
    }

    pub(super) fn balance_fen(&self, who: usize) -> i64 {
        self.purses[who].balance_fen
    }

    /// Enter an accepted request with its response, which must be what the books make of it. Of a reversal, what it reversed.
    pub(super) fn learn(&mut self, town: &mut Town, ask: &Ask, response: &[u8]) -> Option<String> {
        match ask.plan {
            Plan::Enroll { number } => {
                let enrolled = v1::PersonsEnrollResponse::decode(response).expect("enrolled");
                town.people.push(Person::of(Patient { number, person: enrolled.person_id }, Paper::None));
                self.purses.push(Purse::default());
            }
            Plan::Apply { who } => {
                let applied = v1::CardsApplyResponse::decode(response).expect("applied");
                (town.people[who].paper, town.people[who].card) = (Paper::Applied, applied.card_id);
            }
            Plan::Make { who } => town.people[who].paper = Paper::Made,
            Plan::HandOver { who } => town.people[who].paper = Paper::Holder,
            Plan::Credit { who, fen } => {
                let credited = v1::AccountsCreditResponse::decode(response).expect("credited");
                self.purses[who].balance_fen += fen;
                assert_eq!(credited.balance_fen, self.purses[who].balance_fen);
            }
            Plan::Lose { who, formal } => {
                let reported = v1::CardsReportLossResponse::decode(response).expect("reported");
                let [card] = &reported.cards[..] else { panic!("{} cards of one", reported.cards.len()) };
                let person = &mut town.people[who];
                person.loss = match person.loss {
                    Loss::None | Loss::Temporary { .. } if !formal => Loss::Temporary { card: card.card_id },
                    _ => Loss::Formal,
                };
            }
            Plan::Find { who } => town.people[who].loss = Loss::None,
            Plan::Reverse { who } => return Some(self.reverse(town, who, ask, response)),
            Plan::Admit { .. } | Plan::Charge { .. } | Plan::Discharge { .. } => stay_goes_on(town, ask, response),
            Plan::Settle { .. } | Plan::CancelSettlement { .. } => self.settle_stay(town, ask, response),
            Plan::Visit { .. } | Plan::CancelVisit { .. } => self.settle_visit(town, ask, response),
            Plan::Read | Plan::Order => {}
        }
        None
    }

    fn settle_stay(&mut self, town: &mut Town, ask: &Ask, response: &[u8]) {
        match ask.plan {
            Plan::Settle { who, total_fen, account_fen } => {
                let settled = v1::InpatientSettleResponse::decode(response).expect("settled");
                let fund_fen = (total_fen - DEDUCTIBLE_FEN) * 88 / 100;
                let money = Money { total_fen, fund_fen, account_fen };
                check_split(settled.split.as_ref(), money);
                self.enter(who, Place::Hospital, settled.settlement_id, money, true);
                assert_eq!(settled.balance_after_fen, self.purses[who].balance_fen);
                let person = &mut town.people[who];
                if let Ward::Discharged { stay, fen } = person.ward {
                    person.ward = Ward::Settled { stay, settlement: settled.settlement_id, fen };
                }
            }
            Plan::CancelSettlement { who } => {
                let cancelled = v1::InpatientCancelSettlementResponse::decode(response).expect("cancelled");
                let Ward::Settled { stay, settlement, fen } = town.people[who].ward else {
                    panic!("cancelled what was not settled")
                };
                let money = self.negate(who, Place::Hospital, settlement, true);
                check_split(cancelled.split.as_ref(), money);
                town.people[who].ward = Ward::Discharged { stay, fen };
            }
            _ => {}
        }
    }

    fn settle_visit(&mut self, town: &mut Town, ask: &Ask, response: &[u8]) {
        match ask.plan {
            Plan::Visit { who, total_fen, account_fen } => {
                let settled = v1::VisitsSettleResponse::decode(response).expect("settled");
                let left_fen = LIMIT_FEN - self.purses[who].used_fen;
                let money = Money { total_fen, fund_fen: (total_fen * 55 / 100).min(left_fen), account_fen };
                check_split(settled.split.as_ref(), money);
                self.enter(who, ask.place, settled.settlement_id, money, false);
                assert_eq!(settled.balance_after_fen, self.purses[who].balance_fen);
                let id = ask.id.clone().expect("a command has an id");
                let visit = Standing { settlement: settled.settlement_id, place: ask.place, id };
                town.people[who].visits.push(visit);
            }
            Plan::CancelVisit { who, settlement } => {
                let cancelled = v1::VisitsCancelResponse::decode(response).expect("cancelled");
                let money = self.negate(who, ask.place, settlement, false);
                check_split(cancelled.split.as_ref(), money);
                assert_eq!(cancelled.balance_after_fen, self.purses[who].balance_fen);
                town.people[who].visits.retain(|visit| visit.settlement != settlement);
            }
            _ => {}
        }
    }

    fn reverse(&mut self, town: &mut Town, who: Option<usize>, ask: &Ask, response: &[u8]) -> String {
        use v1::messages_reverse_response::Effect;
        let reversed = v1::MessagesReverseRequest::decode(&*ask.request).expect("a reversal").reversed_request_id;
        let response = v1::MessagesReverseResponse::decode(response).expect("reversed");
        let Some(who) = who else {
            assert_eq!(response.effect(), Effect::Remembered);
            return reversed;
        };
        let person = &mut town.people[who];
        if let Some(place) = person.visits.iter().position(|visit| visit.id == reversed) {
            assert_eq!(response.effect(), Effect::Undone);
            let visit = person.visits.remove(place);
            self.negate(who, visit.place, visit.settlement, false);
        } else if person.admission.as_ref() == Some(&reversed) && response.effect() == Effect::Undone {
            person.ward = Ward::Home;
        } else {
            assert_eq!(response.effect(), Effect::AlreadyUndone);
        }
        reversed
    }

    fn enter(&mut self, who: usize, place: Place, settlement: u64, money: Money, is_stay: bool) {
        self.post(who, place, money, is_stay, 1);
        self.purses[who].settled.push((settlement, money));
    }

    /// Take back what was settled; gives the negative amounts.
    fn negate(&mut self, who: usize, place: Place, settlement: u64, is_stay: bool) -> Money {
        let settled = &mut self.purses[who].settled;
        let index = settled.iter().position(|(id, _)| *id == settlement).expect("what is taken back was settled");
        let (_, money) = settled.remove(index);
        self.post(who, place, money, is_stay, -1);
        let Money { total_fen, fund_fen, account_fen } = money;
        Money { total_fen: -total_fen, fund_fen: -fund_fen, account_fen: -account_fen }
    }

    fn post(&mut self, who: usize, place: Place, money: Money, is_stay: bool, sign: i64) {
        let purse = &mut self.purses[who];
        purse.balance_fen -= sign * money.account_fen;
        let used = if is_stay { &mut purse.stays_fen } else { &mut purse.used_fen };
        *used += sign * money.fund_fen;
        assert!(purse.used_fen <= LIMIT_FEN, "more than the year's limit");
        let day = if place == Place::Pharmacy { &mut self.pharmacy } else { &mut self.hospital };
        day.rows += 1;
        day.total_fen += sign * money.total_fen;
        day.fund_fen += sign * money.fund_fen;
        day.account_fen += sign * money.account_fen;
    }

    /// Everything that the books know the answer to.
    pub(super) fn checks(town: &Town) -> Vec<(Check, Ask)> {
        let mut checks = vec![(Check::Trial, trial_balance())];
        checks.push((Check::Day, read(Place::Hospital, Operation::InpatientListSettlements, &request::day())));
        for (who, person) in town.people.iter().enumerate() {
            let person_id = person.patient.person;
            let account = read(Place::Office, Operation::AccountsGet, &v1::AccountsGetRequest { person_id });
            checks.push((Check::Account(who), account));
            checks.push((Check::Limits(who), accumulators(person_id)));
            checks.push((Check::Statement(who), statement(person_id)));
        }
        checks
    }

    pub(super) fn check(&self, check: Check, answer: &Answer) {
        let bytes = &*answer.bytes;
        match check {
            Check::Account(who) => {
                let found = v1::AccountsGetResponse::decode(bytes).expect("accounts");
                let sum: i64 = found.accounts.iter().map(|account| account.balance_fen).sum();
                assert_eq!(sum, self.purses[who].balance_fen, "the account of person {who}");
            }
            Check::Limits(who) => {
                let found = v1::AccountsGetAccumulatorsResponse::decode(bytes).expect("years");
                let used = found.years.iter().filter_map(|year| year.accumulators.as_ref());
                let used: i64 = used.map(|used| used.pool_fen + used.large_sum_fen).sum();
                let Purse { used_fen, stays_fen, .. } = self.purses[who];
                assert_eq!(used, used_fen + stays_fen, "limits of person {who}");
            }
            Check::Statement(who) => {
                let found = v1::AccountsStatementResponse::decode(bytes).expect("a statement");
                let sum: i64 = found.entries.iter().map(|entry| entry.amount_fen).sum();
                assert_eq!(sum, self.purses[who].balance_fen, "the statement of person {who}");
                let last = found.entries.last().map_or(0, |entry| entry.balance_fen);
                assert_eq!(last, sum, "the running balance of person {who}");
            }
            Check::Trial => {
                let found = v1::OperationsTrialBalanceResponse::decode(bytes).expect("books");
                let personal_fen: i64 = self.purses.iter().map(|purse| purse.balance_fen).sum();
                assert_eq!((found.sum_fen, found.personal_balances_fen), (0, personal_fen), "the trial balance");
            }
            Check::Day => {
                let found = v1::InpatientListSettlementsResponse::decode(bytes).expect("a day");
                let Day { rows, total_fen, fund_fen, account_fen } = self.hospital;
                let day = (found.count, found.total_fen, found.fund_total_fen, found.account_fen);
                assert_eq!(day, (rows, total_fen, fund_fen, account_fen), "the day of the hospital");
                assert_eq!(found.rows.len() as u64, rows);
            }
        }
    }
}

fn stay_goes_on(town: &mut Town, ask: &Ask, response: &[u8]) {
    match ask.plan {
        Plan::Admit { who } => {
            let admitted = v1::InpatientAdmitResponse::decode(response).expect("admitted");
            town.people[who].ward = Ward::Admitted { stay: admitted.stay_id };
            town.people[who].admission.clone_from(&ask.id);
        }
        Plan::Charge { who, fen } => {
            if let Ward::Admitted { stay } = town.people[who].ward {
                town.people[who].ward = Ward::Charged { stay, fen };
            }
        }
        Plan::Discharge { who } => {
            if let Ward::Charged { stay, fen } = town.people[who].ward {
                town.people[who].ward = Ward::Discharged { stay, fen };
            }
        }
        _ => {}
    }
}

fn check_split(split: Option<&v1::Split>, money: Money) {
    let split = split.expect("a split");
    let found = (split.total_fen, split.fund_total_fen, split.account_fen, split.cash_fen);
    let Money { total_fen, fund_fen, account_fen } = money;
    assert_eq!(found, (total_fen, fund_fen, account_fen, total_fen - fund_fen - account_fen), "who pays what");
}
