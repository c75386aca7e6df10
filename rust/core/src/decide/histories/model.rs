//! A second set of books, kept in whole fen from what was asked and what was answered, by other means than the hub's.

use std::collections::{BTreeMap, BTreeSet};

use crate::accumulator::Accumulators;
use crate::calendar::Date;
use crate::decide::fixture::region;
use crate::ids::{InstitutionCode, SettlementId, StayId};
use crate::ledger::LedgerAccount;
use crate::money::Fen;
use crate::policy::{Fund, InsuranceType, OnCancel};
use crate::records::DayTotals;
use crate::stay::StayState;

/// Of the year's first admission, and of the later ones.
pub(super) const DEDUCTIBLES: [i64; 2] = [100_000, 50_000];
/// What the pool pays of the rest, in percent.
pub(super) const RATE: i64 = 88;
/// What the pool pays in a year at most.
pub(super) const CAP: i64 = 900_000;
/// What the pool pays of a visit, in percent, without a deductible.
pub(super) const VISIT_RATE: i64 = 55;
/// What the pool pays for visits in a year at most.
pub(super) const VISIT_CAP: i64 = 550_000;

#[derive(Clone, Debug)]
pub(super) struct ModelStay {
    pub(super) person: usize,
    pub(super) at: InstitutionCode,
    pub(super) admission: Date,
    pub(super) discharge: Option<Date>,
    pub(super) state: StayState,
    pub(super) lines: BTreeMap<u64, i64>,
}

impl ModelStay {
    pub(super) fn total(&self) -> i64 {
        self.lines.values().sum()
    }
}

/// A settlement as the model sees it.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    /// `None` for a visit, which counts by itself.
    pub(super) stay: Option<StayId>,
    person: usize,
    pub(super) at: InstitutionCode,
    year: i32,
    admission: Date,
    total: i64,
    account: i64,
    /// What the funds paid when it was settled.
    paid: i64,
    /// Deductible and fund as they are now.
    pub(super) deductible: i64,
    pub(super) fund: i64,
    /// What recomputations gave, which waits for a bank zone.
    waiting: i64,
    pub(super) stands: bool,
}

impl Claim {
    /// Whether it uses up the limits of this person's year, which stays and visits have each their own of.
    fn counts_in(&self, person: usize, year: i32, is_visit: bool) -> bool {
        self.person == person && self.year == year && self.stay.is_none() == is_visit
    }
}

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) balances: Vec<i64>,
    pub(super) stays: BTreeMap<StayId, ModelStay>,
    pub(super) claims: BTreeMap<SettlementId, Claim>,
    pub(super) books: BTreeMap<LedgerAccount, i128>,
    pub(super) days: BTreeMap<(InstitutionCode, Date), DayTotals>,
    pub(super) years: BTreeSet<i32>,
}

impl Model {
    fn post(&mut self, account: LedgerAccount, amount: i64) {
        *self.books.entry(account).or_default() += i128::from(amount);
    }

    pub(super) fn credit(&mut self, person: usize, amount: i64) {
        self.balances[person] += amount;
        self.post(LedgerAccount::PersonalAccounts(home()), amount);
        self.post(LedgerAccount::Contributions(home()), -amount);
    }

    /// Whether the person lies elsewhere in a night from this day on.
    pub(super) fn is_taken(&self, person: usize, from: Date, except: Option<StayId>) -> bool {
        self.stays.iter().any(|(id, stay)| {
            let counts = stay.person == person && stay.state != StayState::Void && Some(*id) != except;
            counts && stay.discharge.is_none_or(|end| stay.admission.max(from) < end)
        })
    }

    /// Deductible and fund of a bill that is wholly eligible, after these settlements of its year.
    fn share(is_visit: bool, eligible: i64, before: &[(i64, i64)]) -> (i64, i64) {
        let (deductible, rate, cap) = if is_visit {
            (0, VISIT_RATE, VISIT_CAP)
        } else {
            (DEDUCTIBLES[usize::from(!before.is_empty())].min(eligible), RATE, CAP)
        };
        let exact_hundredths = (eligible - deductible) * rate;
        let left = cap - before.iter().map(|(_, fund)| fund).sum::<i64>();
        (deductible, ((exact_hundredths + 50) / 100).min(left))
    }

    /// Deductible and fund of the person's standing settlements of a year, but for these.
    fn shares_of(&self, person: usize, year: i32, is_visit: bool, except: &[SettlementId]) -> Vec<(i64, i64)> {
        let counts = |(id, claim): &(&SettlementId, &Claim)| {
            claim.stands && claim.counts_in(person, year, is_visit) && !except.contains(id)
        };
        self.claims.iter().filter(counts).map(|(_, claim)| (claim.deductible, claim.fund)).collect()
    }

    /// What settling the stay would give: the fund, or nothing where so much cannot be drawn from the account.
    pub(super) fn expected_fund(&self, id: StayId, account: i64) -> Option<i64> {
        let stay = &self.stays[&id];
        let year = stay.discharge?.year();
        let (_, fund) = Self::share(false, stay.total(), &self.shares_of(stay.person, year, false, &[]));
        (account <= self.balances[stay.person].min(stay.total() - fund)).then_some(fund)
    }

    pub(super) fn settle(&mut self, stay_id: StayId, settlement: SettlementId, account: i64, today: Date) {
        let stay = self.stays.get_mut(&stay_id).expect("admitted before");
        stay.state = StayState::Settled;
        let stay = stay.clone();
        let year = stay.discharge.expect("discharged before").year();
        let (deductible, fund) = Self::share(false, stay.total(), &self.shares_of(stay.person, year, false, &[]));
        let claim = Claim {
            stay: Some(stay_id),
            person: stay.person,
            at: stay.at,
            year,
            admission: stay.admission,
            total: stay.total(),
            account,
            paid: fund,
            deductible,
            fund,
            waiting: 0,
            stands: true,
        };
        self.enter(claim, settlement, today);
    }

    fn enter(&mut self, claim: Claim, settlement: SettlementId, today: Date) {
        self.move_money(&claim, claim.fund, 1);
        self.add_to_day(&claim, 1, today);
        self.years.insert(claim.year);
        self.claims.insert(settlement, claim);
    }

    /// A visit as it would be settled, or nothing where so much cannot be drawn from the account.
    pub(super) fn visit(
        &self,
        person: usize,
        at: InstitutionCode,
        on: Date,
        total: i64,
        account: i64,
    ) -> Option<Claim> {
        let (deductible, fund) = Self::share(true, total, &self.shares_of(person, on.year(), true, &[]));
        let claim = Claim {
            stay: None,
            person,
            at,
            year: on.year(),
            admission: on,
            total,
            account,
            paid: fund,
            deductible,
            fund,
            waiting: 0,
            stands: true,
        };
        (account <= self.balances[person].min(total - fund)).then_some(claim)
    }

    pub(super) fn settle_visit(&mut self, claim: Claim, settlement: SettlementId, today: Date) {
        self.enter(claim, settlement, today);
    }

    /// Take a settlement back, and give by how much each recomputed one changes.
    pub(super) fn cancel(&mut self, id: SettlementId, rule: OnCancel, today: Date) -> Vec<(SettlementId, i64)> {
        let later = self.later_than(id);
        let claim = self.claims.get_mut(&id).expect("settled before");
        claim.stands = false;
        let claim = claim.clone();
        if let Some(stay) = claim.stay {
            self.stays.get_mut(&stay).expect("admitted before").state = StayState::Discharged;
        }
        self.move_money(&claim, claim.paid, -1);
        self.post_difference(claim.paid - claim.fund);
        self.pay_out(-claim.waiting);
        self.add_to_day(&claim, -1, today);
        if rule == OnCancel::Readjudicate { self.recompute(&claim, &later) } else { Vec::new() }
    }

    /// Standing settlements of the same person and year that were committed later, in the order of admission.
    pub(super) fn later_than(&self, id: SettlementId) -> Vec<SettlementId> {
        let claim = &self.claims[&id];
        let is_later = |(other, later): &(&SettlementId, &Claim)| {
            **other > id && later.stands && later.counts_in(claim.person, claim.year, claim.stay.is_none())
        };
        let mut later: Vec<_> = self.claims.iter().filter(is_later).map(|(id, claim)| (claim.admission, *id)).collect();
        later.sort_unstable();
        later.into_iter().map(|(_, id)| id).collect()
    }

    fn recompute(&mut self, gone: &Claim, later: &[SettlementId]) -> Vec<(SettlementId, i64)> {
        let is_visit = gone.stay.is_none();
        let mut before = self.shares_of(gone.person, gone.year, is_visit, later);
        let mut changed = Vec::new();
        for id in later {
            let claim = self.claims.get_mut(id).expect("settled before");
            let now = Self::share(is_visit, claim.total, &before);
            before.push(now);
            if now != (claim.deductible, claim.fund) {
                let difference = now.1 - claim.fund;
                (claim.deductible, claim.fund) = now;
                claim.waiting += difference.max(0);
                changed.push((*id, difference));
                self.post_difference(difference);
                self.pay_out(difference.max(0));
            }
        }
        changed
    }

    /// Funds pay so much more, or less, and persons receive or owe it.
    fn post_difference(&mut self, amount: i64) {
        self.post(pool(), -amount);
        self.post(LedgerAccount::PersonSettlement(home()), amount);
    }

    /// What persons receive waits for a bank zone, which nobody here has.
    fn pay_out(&mut self, amount: i64) {
        self.post(LedgerAccount::PersonSettlement(home()), -amount);
        self.post(LedgerAccount::PayoutsWaiting(home()), amount);
    }

    fn move_money(&mut self, claim: &Claim, fund: i64, sign: i64) {
        let (total, account) = (sign * claim.total, sign * claim.account);
        self.balances[claim.person] -= account;
        self.post(LedgerAccount::Institution(claim.at), total);
        self.post(pool(), -sign * fund);
        self.post(LedgerAccount::PersonalAccounts(home()), -account);
        self.post(LedgerAccount::Cash(claim.at), sign * fund + account - total);
    }

    fn add_to_day(&mut self, claim: &Claim, sign: i64, today: Date) {
        let totals = self.days.entry((claim.at, today)).or_default();
        totals.count += 1;
        totals.total += Fen(sign * claim.total);
        totals.fund_total += Fen(sign * claim.paid);
        totals.account += Fen(sign * claim.account);
        totals.cash += Fen(sign * (claim.total - claim.paid - claim.account));
    }

    pub(super) fn used(&self, person: usize, year: i32, is_visit: bool) -> Accumulators {
        let mut used = Accumulators::default();
        for claim in self.claims.values().filter(|c| c.stands && c.counts_in(person, year, is_visit)) {
            used.admissions += i64::from(!is_visit);
            used.eligible += Fen(claim.total);
            used.deductible += Fen(claim.deductible);
            used.funds[Fund::Pool] += Fen(claim.fund);
            used.own_burden += Fen(claim.total - claim.fund);
            used.account += Fen(claim.account);
        }
        used
    }
}

fn home() -> crate::ids::RegionCode {
    region("110100")
}

fn pool() -> LedgerAccount {
    LedgerAccount::Fund { region: home(), insurance_type: InsuranceType::Employee, fund: Fund::Pool }
}
