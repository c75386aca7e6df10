//! The clients of a simulated hub: an agency, a hospital and a pharmacy with their people, who ask for everything that counts.
//!
//! Invariant: what they know they know from replies; what they ask follows from that and from the seed.
//! Leaves out: whether a reply is right (`auditor`).

use std::collections::BTreeSet;

use fastrand::Rng;
use medsettle_wire::{Operation, Reason, v1};
use prost::Message;

use super::world::{Place, World, named};
use crate::request::{self, Patient};
use crate::support::{HOSPITAL, OFFICE};
use crate::visits;

/// A request on its way, and what comes of it if it is accepted.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) place: Place,
    pub(super) operation: Operation,
    /// None for a read.
    pub(super) id: Option<String>,
    pub(super) request: Vec<u8>,
    pub(super) plan: Plan,
    pub(super) expect: Expect,
}

/// What its sender knows of the answer to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    Accepted,
    Refused(Reason),
    /// Accepted, or this if the other request that races it is first.
    Unless(Reason),
    /// It depends on what a crash left; the journal is the judge.
    Open,
}

/// What an accepted request means. The number is the person's place in the town.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    Read,
    /// A snapshot or a digest, which the keeper answers.
    Order,
    Enroll {
        number: u64,
    },
    Apply {
        who: usize,
    },
    Make {
        who: usize,
    },
    HandOver {
        who: usize,
    },
    Credit {
        who: usize,
        fen: i64,
    },
    Admit {
        who: usize,
    },
    Charge {
        who: usize,
        fen: i64,
    },
    Discharge {
        who: usize,
    },
    Settle {
        who: usize,
        total_fen: i64,
        account_fen: i64,
    },
    CancelSettlement {
        who: usize,
    },
    Visit {
        who: usize,
        total_fen: i64,
        account_fen: i64,
    },
    CancelVisit {
        who: usize,
        settlement: u64,
    },
    Lose {
        who: usize,
        formal: bool,
    },
    Find {
        who: usize,
    },
    Reverse {
        who: Option<usize>,
    },
}

impl Plan {
    pub(super) fn who(self) -> Option<usize> {
        match self {
            Self::Read | Self::Order | Self::Enroll { .. } => None,
            Self::Apply { who }
            | Self::Make { who }
            | Self::HandOver { who }
            | Self::Credit { who, .. }
            | Self::Admit { who }
            | Self::Charge { who, .. }
            | Self::Discharge { who }
            | Self::Settle { who, .. }
            | Self::CancelSettlement { who }
            | Self::Visit { who, .. }
            | Self::CancelVisit { who, .. }
            | Self::Lose { who, .. }
            | Self::Find { who } => Some(who),
            Self::Reverse { who } => who,
        }
    }
}

/// Where a person's stay stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ward {
    Home,
    Admitted { stay: u64 },
    Charged { stay: u64, fen: i64 },
    Discharged { stay: u64, fen: i64 },
    Settled { stay: u64, settlement: u64, fen: i64 },
}

/// How far a newcomer is on the way to a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paper {
    None,
    Applied,
    Made,
    Holder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    None,
    Temporary { card: u64 },
    Formal,
}

/// A settled visit that stands.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) settlement: u64,
    pub(super) place: Place,
    pub(super) id: String,
}

#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) patient: Patient,
    pub(super) paper: Paper,
    pub(super) card: u64,
    pub(super) ward: Ward,
    /// The id of the admission that lies open.
    pub(super) admission: Option<String>,
    pub(super) loss: Loss,
    pub(super) visits: Vec<Standing>,
    atc: u32,
    wrong: u32,
    credits: u32,
}

/// Everybody, and the ids that were given out.
pub(super) struct Town {
    pub(super) people: Vec<Person>,
    ids: u64,
    newcomers: u64,
}

/// Requests of one round: nobody's affairs are touched twice unless a race is meant.
pub(super) struct Round<'a> {
    pub(super) rng: &'a mut Rng,
    pub(super) busy: BTreeSet<usize>,
    /// What the auditor knows of a person's own account.
    pub(super) balance_fen: &'a dyn Fn(usize) -> i64,
}

impl Person {
    pub(super) fn of(patient: Patient, paper: Paper) -> Self {
        Self {
            patient,
            paper,
            card: 0,
            ward: Ward::Home,
            admission: None,
            loss: Loss::None,
            visits: Vec::new(),
            atc: 0,
            wrong: 0,
            credits: 0,
        }
    }

    fn next_atc(&mut self) -> u32 {
        self.atc += 1;
        self.atc
    }

    fn with_card(&self) -> Expect {
        if self.loss == Loss::None { Expect::Accepted } else { Expect::Refused(Reason::CardLost) }
    }
}

impl Town {
    pub(super) fn of(world: &World) -> Self {
        let people = world.patients.iter().map(|patient| Person::of(*patient, Paper::Holder)).collect();
        Self { people, ids: 0, newcomers: 100 }
    }

    pub(super) fn next_id(&mut self, place: Place) -> String {
        self.ids += 1;
        format!("{}-{}", place.code(), self.ids)
    }

    /// A command with a new id.
    pub(super) fn command(
        &mut self,
        place: Place,
        operation: Operation,
        request: &impl Message,
        plan: Plan,
        expect: Expect,
    ) -> Ask {
        let id = self.next_id(place);
        let request = named(&request.encode_to_vec(), &id);
        Ask { place, operation, id: Some(id), request, plan, expect }
    }

    /// What somebody asks next; two requests where they race.
    pub(super) fn next(&mut self, round: &mut Round<'_>) -> Vec<Ask> {
        match round.rng.u32(..100) {
            0..8 => vec![self.newcomer(round)],
            8..45 => self.someone(round),
            45..62 => self.visit(round),
            62..72 => self.credit(round).into_iter().collect(),
            72..80 => self.cancel_visit(round).into_iter().collect(),
            80..86 => self.loss(round),
            86..92 => self.reverse(round).into_iter().collect(),
            _ => vec![self.read(round)],
        }
    }

    fn free(&self, round: &mut Round<'_>, wanted: impl Fn(&Person) -> bool) -> Option<usize> {
        let free: Vec<usize> =
            (0..self.people.len()).filter(|who| !round.busy.contains(who) && wanted(&self.people[*who])).collect();
        let who = (!free.is_empty()).then(|| free[round.rng.usize(..free.len())])?;
        round.busy.insert(who);
        Some(who)
    }

    /// Enrolment of somebody new, or the next step on the way to a card.
    fn newcomer(&mut self, round: &mut Round<'_>) -> Ask {
        let Some(who) = self.free(round, |person| person.paper != Paper::Holder) else {
            self.newcomers += 1;
            let number = self.newcomers;
            let request = request::enrolment(number);
            let plan = Plan::Enroll { number };
            return self.command(Place::Office, Operation::PersonsEnroll, &request, plan, Expect::Accepted);
        };
        let Person { patient, paper, card, .. } = self.people[who];
        match paper {
            Paper::None => {
                let request = request::apply_for_card(patient, 0);
                self.command(Place::Office, Operation::CardsApply, &request, Plan::Apply { who }, Expect::Accepted)
            }
            Paper::Applied => {
                let request = request::mark_made(patient, card);
                self.command(Place::Office, Operation::CardsMarkMade, &request, Plan::Make { who }, Expect::Accepted)
            }
            Paper::Made | Paper::Holder => {
                let request = request::hand_over(card);
                let plan = Plan::HandOver { who };
                self.command(Place::Office, Operation::CardsHandOver, &request, plan, Expect::Accepted)
            }
        }
    }

    /// The next thing in somebody's stay.
    fn someone(&mut self, round: &mut Round<'_>) -> Vec<Ask> {
        let Some(who) = self.free(round, |person| person.paper == Paper::Holder) else { return Vec::new() };
        let person = &mut self.people[who];
        let (patient, with_card) = (person.patient, person.with_card());
        let hospital = Place::Hospital;
        let ask = match person.ward {
            Ward::Home => {
                let request = request::admit(patient, person.next_atc());
                self.command(hospital, Operation::InpatientAdmit, &request, Plan::Admit { who }, with_card)
            }
            Ward::Admitted { stay } => {
                let lines = round.rng.u64(1..=3);
                let request = request::add_charges(stay, 1, lines);
                let plan = Plan::Charge { who, fen: request::cost_fen(lines) };
                self.command(hospital, Operation::InpatientAddCharges, &request, plan, Expect::Accepted)
            }
            Ward::Charged { stay, .. } => {
                let request = request::discharge(stay);
                let plan = Plan::Discharge { who };
                self.command(hospital, Operation::InpatientDischarge, &request, plan, Expect::Accepted)
            }
            Ward::Discharged { stay, fen } => {
                let account_fen = ((round.balance_fen)(who) / 8).min(fen / 20);
                let request = request::settle(patient, stay, person.next_atc(), fen, account_fen);
                let plan = Plan::Settle { who, total_fen: fen, account_fen };
                self.command(hospital, Operation::InpatientSettle, &request, plan, with_card)
            }
            Ward::Settled { settlement, .. } => {
                let request = request::cancel_settlement(settlement);
                let plan = Plan::CancelSettlement { who };
                self.command(hospital, Operation::InpatientCancelSettlement, &request, plan, Expect::Accepted)
            }
        };
        vec![ask]
    }

    /// A visit; now and then two at once, with a wrong cryptogram, or in a race with the report that the card is lost.
    fn visit(&mut self, round: &mut Round<'_>) -> Vec<Ask> {
        let Some(who) = self.free(round, |person| person.paper == Paper::Holder) else { return Vec::new() };
        let expect = self.people[who].with_card();
        let kind = round.rng.u32(..10);
        if kind == 0 && expect == Expect::Accepted && self.people[who].wrong < 2 {
            self.people[who].wrong += 1;
            let mut ask = self.claim(round, who, Expect::Refused(Reason::CryptogramInvalid));
            spoil_cryptogram(&mut ask.request);
            return vec![ask];
        }
        let mut asks = vec![self.claim(round, who, expect)];
        if kind == 1 && expect == Expect::Accepted {
            let report = self.report(who, false);
            asks.insert(0, report);
            asks[1].expect = Expect::Unless(Reason::CardLost);
            if round.rng.bool() {
                asks.swap(0, 1);
            }
        } else if kind < 4 {
            asks.push(self.claim(round, who, expect));
        }
        asks
    }

    fn claim(&mut self, round: &mut Round<'_>, who: usize, expect: Expect) -> Ask {
        let at_pharmacy = round.rng.bool();
        let place = if at_pharmacy { Place::Pharmacy } else { Place::Hospital };
        let total_fen = 2_000 * round.rng.i64(1..=150);
        let account_fen = ((round.balance_fen)(who) / 8).min(total_fen / 5);
        let person = &mut self.people[who];
        let atc = person.next_atc();
        let mut request = visits::claim(person.patient, atc, at_pharmacy);
        request.lines[0].unit_price = (total_fen / 100).to_string();
        request.total_fen = total_fen;
        request.account_request_fen = account_fen;
        request.presentation = Some(request::shown(person.patient, atc, total_fen, account_fen, 0x00));
        let plan = Plan::Visit { who, total_fen, account_fen };
        self.command(place, Operation::VisitsSettle, &request, plan, expect)
    }

    fn credit(&mut self, round: &mut Round<'_>) -> Option<Ask> {
        let who = self.free(round, |_| true)?;
        let person = &mut self.people[who];
        person.credits += 1;
        let (fen, period) = (round.rng.i64(1..5_000), format!("k{}", person.credits));
        let request = request::credit(person.patient.person, fen, &period);
        let plan = Plan::Credit { who, fen };
        Some(self.command(Place::Office, Operation::AccountsCredit, &request, plan, Expect::Accepted))
    }

    fn cancel_visit(&mut self, round: &mut Round<'_>) -> Option<Ask> {
        let who = self.free(round, |person| !person.visits.is_empty())?;
        let visits = &self.people[who].visits;
        let Standing { settlement, place, .. } = visits[round.rng.usize(..visits.len())];
        let header = Some(request::header(place.code()));
        let request = v1::VisitsCancelRequest { header, settlement_id: settlement };
        let plan = Plan::CancelVisit { who, settlement };
        Some(self.command(place, Operation::VisitsCancel, &request, plan, Expect::Accepted))
    }

    fn loss(&mut self, round: &mut Round<'_>) -> Vec<Ask> {
        let holder = |person: &Person| person.paper == Paper::Holder && person.loss != Loss::Formal;
        let Some(who) = self.free(round, holder) else { return Vec::new() };
        match self.people[who].loss {
            Loss::Temporary { card } => {
                let request = request::withdraw_loss(card);
                let plan = Plan::Find { who };
                vec![self.command(Place::Office, Operation::CardsWithdrawLoss, &request, plan, Expect::Accepted)]
            }
            Loss::None | Loss::Formal => {
                let formal = round.rng.u32(..4) == 0;
                vec![self.report(who, formal)]
            }
        }
    }

    fn report(&mut self, who: usize, formal: bool) -> Ask {
        let kind = if formal { v1::loss::Kind::Formal } else { v1::loss::Kind::Temporary };
        let request = request::report_loss(self.people[who].patient, kind);
        let plan = Plan::Lose { who, formal };
        self.command(Place::Office, Operation::CardsReportLoss, &request, plan, Expect::Accepted)
    }

    /// A reversal of a visit, of an admission, or of a request that never came.
    fn reverse(&mut self, round: &mut Round<'_>) -> Option<Ask> {
        let reversible = |person: &Person| !person.visits.is_empty() || matches!(person.ward, Ward::Admitted { .. });
        let (who, place, reversed) = match self.free(round, reversible) {
            Some(who) if !self.people[who].visits.is_empty() => {
                let visits = &self.people[who].visits;
                let Standing { place, id, .. } = &visits[round.rng.usize(..visits.len())];
                (Some(who), *place, id.clone())
            }
            Some(who) => (Some(who), Place::Hospital, self.people[who].admission.clone()?),
            None => {
                self.ids += 1;
                (None, Place::Hospital, format!("{HOSPITAL}-never-{}", self.ids))
            }
        };
        let header = Some(request::header(place.code()));
        let request = v1::MessagesReverseRequest { header, reversed_request_id: reversed };
        Some(self.command(place, Operation::MessagesReverse, &request, Plan::Reverse { who }, Expect::Accepted))
    }

    fn read(&mut self, round: &mut Round<'_>) -> Ask {
        let person_id = self.people[round.rng.usize(..self.people.len())].patient.person;
        match round.rng.u32(..7) {
            0 => read(Place::Office, Operation::AccountsGet, &v1::AccountsGetRequest { person_id }),
            1 => statement(person_id),
            2 => trial_balance(),
            3 => read(Place::Hospital, Operation::InpatientListSettlements, &request::day()),
            4 => accumulators(person_id),
            5 => read(Place::Office, Operation::CardsList, &v1::CardsListRequest { person_id, page: None }),
            _ => read(Place::Office, Operation::OperationsStatus, &v1::OperationsStatusRequest::default()),
        }
    }
}

pub(super) fn read(place: Place, operation: Operation, request: &impl Message) -> Ask {
    let request = request.encode_to_vec();
    Ask { place, operation, id: None, request, plan: Plan::Read, expect: Expect::Accepted }
}

pub(super) fn statement(person_id: u64) -> Ask {
    let request = v1::AccountsStatementRequest { person_id, ..v1::AccountsStatementRequest::default() };
    read(Place::Office, Operation::AccountsStatement, &request)
}

pub(super) fn accumulators(person_id: u64) -> Ask {
    let request = v1::AccountsGetAccumulatorsRequest { person_id, benefit_year: 0 };
    read(Place::Office, Operation::AccountsGetAccumulators, &request)
}

pub(super) fn trial_balance() -> Ask {
    read(Place::Office, Operation::OperationsTrialBalance, &v1::OperationsTrialBalanceRequest {})
}

/// A snapshot has a header like any command, and leaves nothing in the journal.
pub(super) fn snapshot(town: &mut Town) -> Ask {
    let header = Some(request::named_header(OFFICE, &town.next_id(Place::Office)));
    let request = v1::OperationsSnapshotRequest { header };
    Ask { plan: Plan::Order, ..read(Place::Office, Operation::OperationsSnapshot, &request) }
}

pub(super) fn digest() -> Ask {
    Ask { plan: Plan::Order, ..read(Place::Office, Operation::OperationsDigest, &v1::OperationsDigestRequest {}) }
}

pub(super) fn outcome(place: Place, request_id: &str) -> Ask {
    let request = v1::MessagesGetOutcomeRequest { request_id: request_id.into() };
    read(place, Operation::MessagesGetOutcome, &request)
}

/// A request that bears an id which stands for something else already.
pub(super) fn reuse(id: &str, place: Place, person: u64) -> Ask {
    let expect = Expect::Refused(Reason::RequestIdReused);
    let (operation, request) = if place == Place::Office {
        (Operation::AccountsCredit, request::credit(person, 77, "reused").encode_to_vec())
    } else {
        (Operation::InpatientDischarge, request::discharge(person).encode_to_vec())
    };
    // The pharmacy may not discharge: its role is refused first.
    let expect = if place == Place::Pharmacy { Expect::Refused(Reason::RoleForbidden) } else { expect };
    Ask { place, operation, id: Some(id.to_owned()), request: named(&request, id), plan: Plan::Read, expect }
}

fn spoil_cryptogram(request: &mut Vec<u8>) {
    let mut visit = v1::VisitsSettleRequest::decode(&**request).expect("a visit");
    let shown = visit.presentation.as_mut().and_then(|presentation| presentation.credential.as_mut());
    let Some(v1::presentation::Credential::Chip(chip)) = shown else { panic!("a chip is shown") };
    chip.cryptogram[0] ^= 1;
    *request = visit.encode_to_vec();
}
