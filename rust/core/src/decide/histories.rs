//! Random histories of a few persons and hospitals, against books kept apart.
//!
//! Invariant: what is accepted and refused, every balance, accumulator, book and day, and the state itself follow from the commands alone.

mod checks;
mod model;

use std::collections::BTreeMap;

use proptest::prelude::*;

use self::model::{CAP, Claim, Model, ModelStay, RATE};
use super::fixture::clinic::{PHARMACY, bill, medicine};
use super::fixture::ward::{NEIGHBOUR, charges, code, line, ward_policy};
use super::fixture::{Desk, day};
use super::requests::reversible;
use crate::calendar::Date;
use crate::command::{Command, Reply, ReversalEffect};
use crate::hub::Decision;
use crate::ids::{CardId, RequestId, SettlementId, StayId};
use crate::money::Fen;
use crate::policy::{BenefitPolicy, OnCancel, VisitKind};
use crate::stay::StayState;

const HOSPITALS: [&str; 2] = ["H11010000001", "H11010000002"];
const PLACES: [&str; 3] = [HOSPITALS[0], HOSPITALS[1], PHARMACY];
const PERSONS: usize = 2;

/// Whether an event is likely to be accepted.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Aim {
    /// At what is ready for it, where there is something.
    Ready,
    /// At anything.
    Any,
    /// At another hospital's.
    Foreign,
}

/// One event. Stays, settlements and requests are named by their age: 0 is the newest.
#[derive(Clone, Copy, Debug)]
enum Step {
    Credit { person: usize, amount: i64 },
    Admit { aim: Aim, at: usize, person: usize, gap: i32 },
    Charge { aim: Aim, stay: usize, amount: i64 },
    Revoke { aim: Aim, stay: usize },
    Discharge { aim: Aim, stay: usize, nights: i32 },
    CancelDischarge { aim: Aim, stay: usize },
    CancelAdmission { aim: Aim, stay: usize },
    Settle { aim: Aim, stay: usize, account: i64 },
    Visit { at: usize, person: usize, days: i32, amount: i64, account: i64 },
    Cancel { aim: Aim, settlement: usize },
    Reverse { request: usize },
    ReverseFirst { person: usize },
    Replay { request: usize },
    Wait { hours: i64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let age = || 0..4_usize;
    let person = || 0..PERSONS;
    let aim = || prop_oneof![8 => Just(Aim::Ready), 1 => Just(Aim::Any), 1 => Just(Aim::Foreign)];
    let step = prop_oneof![
        2 => (person(), 1..200_000_i64).prop_map(|(person, amount)| Step::Credit { person, amount }),
        6 => (aim(), 0..2_usize, person(), 0..4_i32)
            .prop_map(|(aim, at, person, gap)| Step::Admit { aim, at, person, gap }),
        9 => (aim(), age(), 1..600_000_i64).prop_map(|(aim, stay, amount)| Step::Charge { aim, stay, amount }),
        1 => (aim(), age()).prop_map(|(aim, stay)| Step::Revoke { aim, stay }),
        9 => (aim(), age(), 0..5_i32).prop_map(|(aim, stay, nights)| Step::Discharge { aim, stay, nights }),
        1 => (aim(), age()).prop_map(|(aim, stay)| Step::CancelDischarge { aim, stay }),
        1 => (aim(), age()).prop_map(|(aim, stay)| Step::CancelAdmission { aim, stay }),
        14 => (aim(), age(), prop_oneof![3 => Just(0), 1 => 1..80_000_i64])
            .prop_map(|(aim, stay, account)| Step::Settle { aim, stay, account }),
        6 => (0..3_usize, person(), 0..60_i32, 1..500_000_i64, prop_oneof![3 => Just(0), 1 => 1..80_000_i64])
            .prop_map(|(at, person, days, amount, account)| Step::Visit { at, person, days, amount, account }),
        3 => (aim(), age()).prop_map(|(aim, settlement)| Step::Cancel { aim, settlement }),
        2 => (0..12_usize).prop_map(|request| Step::Reverse { request }),
        1 => person().prop_map(|person| Step::ReverseFirst { person }),
        2 => (0..12_usize).prop_map(|request| Step::Replay { request }),
        1 => (1..50_i64).prop_map(|hours| Step::Wait { hours }),
    ];
    prop::collection::vec(step, 1..200)
}

/// A request as it was sent.
#[derive(Clone)]
struct Sent {
    id: String,
    at: &'static str,
    made_ms: i64,
    command: Command,
    /// What became of it: its sequence and the operation that a reversal would find.
    bound: Option<(u64, u32)>,
    reversed: bool,
}

struct History {
    desk: Desk,
    cards: Vec<CardId>,
    model: Model,
    rule: OnCancel,
    sent: Vec<Sent>,
}

impl History {
    fn begin(rule: OnCancel) -> Self {
        let mut policy = BenefitPolicy { on_cancel: rule, ..ward_policy() };
        policy.layers[0].annual_cap = Some(Fen(CAP));
        assert_eq!(i64::from(policy.layers[0].bands[0].rate_bp), RATE * 100);
        let mut desk = Desk::ward(policy);
        desk.register(HOSPITALS[1], "110100");
        desk.take_visits(|policy| BenefitPolicy { on_cancel: rule, ..policy });
        let cards = (0..PERSONS).map(|n| desk.patient(&format!("P{n}"))).collect();
        let model = Model { balances: vec![0; PERSONS], ..Model::default() };
        Self { desk, cards, model, rule, sent: Vec::new() }
    }

    fn today(&self) -> Date {
        Date::business_day(self.desk.now_ms)
    }

    /// Send a new request of a hospital; it must be accepted or refused as expected, and a refusal changes nothing.
    fn send(&mut self, at: &'static str, command: Command, expected: bool) -> Option<Reply> {
        self.act_as(at);
        let before = self.desk.hub.clone();
        let id = format!("q-{}", self.sent.len());
        let operation = match command {
            Command::Admit { .. } => reversible::ADMIT,
            Command::SettleStay { .. } => reversible::SETTLE,
            Command::SettleVisit(_) => reversible::SETTLE_VISIT,
            _ => 1,
        };
        let decision = self.desk.send(&id, command.clone());
        let (bound, reply) = match decision {
            Decision::Commit(record, reply) => (Some((record.sequence, operation)), Some(reply)),
            Decision::Refuse(reject) => {
                assert_eq!(self.desk.hub, before, "{reject} changed something");
                assert!(!expected, "{command:?} was refused: {reject}");
                (None, None)
            }
            other => panic!("{command:?} was answered with {other:?}"),
        };
        assert_eq!(reply.is_some(), expected, "{command:?}");
        self.sent.push(Sent { id, at, made_ms: self.desk.now_ms, command, bound, reversed: false });
        reply
    }

    /// A stay that an event is aimed at, the hospital that acts on it, and whether that is its own.
    fn stay(&self, aim: Aim, age: usize, ready: &[StayState]) -> Option<(StayId, ModelStay, &'static str)> {
        let aimed = |(_, stay): &(&StayId, &ModelStay)| aim != Aim::Ready || ready.contains(&stay.state);
        let stays: Vec<_> = self.model.stays.iter().rev().filter(aimed).collect();
        let (id, stay) = stays.get(age.checked_rem(stays.len())?)?;
        Some((**id, (*stay).clone(), actor_on(stay.at.as_str(), aim)))
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Credit { person, amount } => {
                let period_key = format!("k-{}", self.sent.len()).into();
                let command = Command::CreditAccount {
                    person: self.desk.holder(self.cards[person]),
                    amount: Fen(amount),
                    period_key,
                };
                self.send(HOSPITALS[0], command, true);
                self.model.credit(person, amount);
            }
            Step::Admit { aim, at, person, gap } => self.admit(aim, HOSPITALS[at], person, gap),
            Step::Charge { aim, stay, amount } => {
                let Some((id, stay, at)) = self.stay(aim, stay, &[StayState::Open]) else { return };
                let line_id = 1_000 + u64::try_from(self.sent.len()).unwrap();
                let mut line = line(line_id, "A1", "1", &format!("{}.{:02}", amount / 100, amount % 100), "2026-01-01");
                line.date = stay.admission;
                let expected = stay.may(aim, StayState::Open);
                if self.send(at, charges(id, &[line]), expected).is_some() {
                    self.model.stays.get_mut(&id).unwrap().lines.insert(line_id, amount);
                }
            }
            Step::Revoke { aim, stay } => {
                let Some((stay, before, at)) = self.stay(aim, stay, &[StayState::Open]) else { return };
                let command = Command::RevokeCharges { stay, line_ids: Vec::new() };
                if self.send(at, command, before.may(aim, StayState::Open)).is_some() {
                    self.model.stays.get_mut(&stay).unwrap().lines.clear();
                }
            }
            Step::Discharge { aim, stay, nights } => {
                let Some((stay, before, at)) = self.stay(aim, stay, &[StayState::Open]) else { return };
                let discharge = Date::from_days(before.admission.days() + nights).unwrap();
                let command = Command::Discharge { stay, discharge };
                let expected = before.may(aim, StayState::Open) && discharge <= self.today();
                if self.send(at, command, expected).is_some() {
                    let stay = self.model.stays.get_mut(&stay).unwrap();
                    (stay.state, stay.discharge) = (StayState::Discharged, Some(discharge));
                }
            }
            Step::CancelDischarge { aim, stay } => {
                let Some((stay, before, at)) = self.stay(aim, stay, &[StayState::Discharged]) else { return };
                let free = !self.model.is_taken(before.person, before.admission, Some(stay));
                let expected = before.may(aim, StayState::Discharged) && free;
                if self.send(at, Command::CancelDischarge { stay }, expected).is_some() {
                    let stay = self.model.stays.get_mut(&stay).unwrap();
                    (stay.state, stay.discharge) = (StayState::Open, None);
                }
            }
            Step::CancelAdmission { aim, stay } => {
                let waiting = [StayState::Open, StayState::Discharged];
                let Some((stay, before, at)) = self.stay(aim, stay, &waiting) else { return };
                let expected = waiting.iter().any(|state| before.may(aim, *state));
                if self.send(at, Command::CancelAdmission { stay }, expected).is_some() {
                    self.model.stays.get_mut(&stay).unwrap().state = StayState::Void;
                }
            }
            Step::Settle { aim, stay, account } => self.settle(aim, stay, account),
            Step::Visit { at, person, days, amount, account } => self.visit(PLACES[at], person, days, amount, account),
            Step::Cancel { aim, settlement } => self.cancel(aim, settlement),
            Step::Reverse { request } => self.reverse(request),
            Step::ReverseFirst { person } => {
                let lost = RequestId::parse(&format!("q-{}", self.sent.len() + 1)).unwrap();
                let reply = self.send(HOSPITALS[0], Command::Reverse { request_id: lost }, true);
                assert_eq!(reply, Some(Reply::Reversed(ReversalEffect::Remembered)));
                let (person, period_key) = (self.desk.holder(self.cards[person]), "lost".into());
                self.send(HOSPITALS[0], Command::CreditAccount { person, amount: Fen(1), period_key }, false);
            }
            Step::Replay { request } => {
                let Some(sent) = self.sent.iter().rev().nth(request).cloned() else { return };
                let Some((sequence, _)) = sent.bound else { return };
                self.act_as(sent.at);
                let before = self.desk.hub.clone();
                let decision = self.desk.send_made(&sent.id, sent.made_ms, sent.command);
                assert_eq!((decision, &self.desk.hub), (Decision::Replay { sequence }, &before));
            }
            Step::Wait { hours } => self.desk.now_ms += hours * 3_600_000,
        }
    }

    /// Some days after the person was last discharged, or after a day before the new year.
    fn admit(&mut self, aim: Aim, at: &'static str, person: usize, gap: i32) {
        let ends = self.model.stays.values().filter(|stay| stay.person == person).filter_map(|stay| stay.discharge);
        let free = ends.max().filter(|_| aim == Aim::Ready).unwrap_or(day("2025-12-20"));
        let admission = Date::from_days(free.days() + gap).unwrap();
        let mut command = self.desk.admission(self.cards[person], "2026-01-01");
        if let Command::Admit { admission: on, .. } = &mut command {
            *on = admission;
        }
        let expected = admission <= self.today() && !self.model.is_taken(person, admission, None);
        let Some(reply) = self.send(at, command, expected) else { return };
        let Reply::Admitted(admitted) = reply else { panic!("{reply:?}") };
        let (at, state, lines) = (code(at), StayState::Open, BTreeMap::new());
        let stay = ModelStay { person, at, admission, discharge: None, state, lines };
        self.model.stays.insert(admitted.stay, stay);
    }

    fn settle(&mut self, aim: Aim, stay: usize, account: i64) {
        let Some((id, stay, at)) = self.stay(aim, stay, &[StayState::Discharged]) else { return };
        self.desk.act_as(stay.at.as_str());
        let command = self.desk.settlement(id, self.cards[stay.person], account);
        let may = stay.may(aim, StayState::Discharged) && !stay.lines.is_empty();
        let fund = self.model.expected_fund(id, account).filter(|_| may);
        let Some(reply) = self.send(at, command, fund.is_some()) else { return };
        let Reply::Settled { settlement, .. } = reply else { panic!("{reply:?}") };
        assert_eq!(Some(settlement.split.fund_total().0), fund);
        self.model.settle(id, settlement.id, account, self.today());
    }

    /// A visit within some days after one before the new year, at a hospital or at the pharmacy.
    fn visit(&mut self, at: &'static str, person: usize, days: i32, amount: i64, account: i64) {
        self.act_as(at);
        let on = Date::from_days(day("2025-12-20").days() + days).unwrap();
        let kind = if at == PHARMACY { VisitKind::Pharmacy } else { VisitKind::Outpatient };
        let yuan = format!("{}.{:02}", amount / 100, amount % 100);
        let asked = bill(kind, &on.to_string(), &medicine(&on.to_string(), &yuan), account);
        let command = Command::SettleVisit(self.desk.visit_of(self.cards[person], asked, amount));
        let claim = self.model.visit(person, code(at), on, amount, account);
        let Some(reply) = self.send(at, command, claim.is_some()) else { return };
        let Reply::Settled { settlement, .. } = reply else { panic!("{reply:?}") };
        let claim = claim.expect("expected to be accepted");
        assert_eq!(settlement.split.fund_total().0, claim.fund);
        self.model.settle_visit(claim, settlement.id, self.today());
    }

    fn act_as(&mut self, at: &str) {
        if at == PHARMACY { self.desk.serve(VisitKind::Pharmacy) } else { self.desk.act_as(at) }
    }

    fn cancel(&mut self, aim: Aim, age: usize) {
        let aimed = |(_, claim): &(&SettlementId, &Claim)| aim != Aim::Ready || claim.stands;
        let Some((id, claim)) = self.model.claims.iter().rev().filter(aimed).nth(age) else { return };
        let (id, claim) = (*id, claim.clone());
        let expected = aim != Aim::Foreign && claim.stands && self.may_cancel(id);
        let command = match claim.stay {
            Some(_) => Command::CancelSettlement { settlement: id },
            None => Command::CancelVisit(id),
        };
        let Some(reply) = self.send(actor_on(claim.at.as_str(), aim), command, expected) else { return };
        let Reply::Cancelled { cancellation, .. } = reply else { panic!("{reply:?}") };
        let adjusted: Vec<_> = cancellation.adjustments.iter().map(|one| (one.settlement, one.fund_delta.0)).collect();
        assert_eq!(adjusted, self.model.cancel(id, self.rule, self.today()));
    }

    fn may_cancel(&self, id: SettlementId) -> bool {
        self.rule != OnCancel::LastFirst || self.model.later_than(id).is_empty()
    }

    fn reverse(&mut self, age: usize) {
        let Some(i) = self.sent.len().checked_sub(age + 1) else { return };
        let original = self.sent[i].clone();
        // Whether it is accepted, and what it does: undo, find undone, or remember.
        let created = original.bound.map(|(sequence, operation)| (operation, self.desk.hub.number().id(sequence)));
        let (expected, undoes) = match created {
            Some(_) if original.reversed => (true, None),
            Some((reversible::ADMIT, id)) => match self.model.stays[&StayId(id)].state {
                StayState::Settled => (false, None),
                StayState::Void => (true, None),
                StayState::Open | StayState::Discharged => (true, created),
            },
            Some((reversible::SETTLE | reversible::SETTLE_VISIT, id))
                if self.model.claims[&SettlementId(id)].stands =>
            {
                (self.may_cancel(SettlementId(id)), created)
            }
            None | Some((reversible::SETTLE | reversible::SETTLE_VISIT, _)) => (true, None),
            Some(_) => (false, None),
        };
        let request_id = RequestId::parse(&original.id).unwrap();
        let Some(reply) = self.send(original.at, Command::Reverse { request_id }, expected) else { return };
        let effect = match undoes {
            Some((reversible::ADMIT, id)) => {
                self.model.stays.get_mut(&StayId(id)).unwrap().state = StayState::Void;
                ReversalEffect::Undone { cancellation: None }
            }
            Some((_, id)) => {
                self.model.cancel(SettlementId(id), self.rule, self.today());
                let cancellation = SettlementId(self.desk.hub.number().id(self.desk.hub.sequence()));
                ReversalEffect::Undone { cancellation: Some(cancellation) }
            }
            None if original.bound.is_some() => ReversalEffect::AlreadyUndone,
            None => ReversalEffect::Remembered,
        };
        assert_eq!(reply, Reply::Reversed(effect));
        self.sent[i].reversed = original.bound.is_some();
    }
}

fn is_waiting(state: StayState) -> bool {
    matches!(state, StayState::Open | StayState::Discharged)
}

impl ModelStay {
    /// Whether a command that needs this state is accepted of it.
    fn may(&self, aim: Aim, needed: StayState) -> bool {
        aim != Aim::Foreign && self.state == needed
    }
}

/// The hospital itself, or another one.
fn actor_on(hospital: &str, aim: Aim) -> &'static str {
    let own = PLACES.into_iter().find(|known| *known == hospital).expect("one of the three");
    if aim == Aim::Foreign { NEIGHBOUR } else { own }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn in_any_history_the_hub_agrees_with_books_kept_apart_and_with_its_own_records(
        rule in prop::sample::select(vec![OnCancel::Keep, OnCancel::LastFirst, OnCancel::Readjudicate]),
        steps in steps(),
    ) {
        let mut history = History::begin(rule);
        for step in steps {
            history.take(step);
            history.check();
        }
    }
}
