//! Contributions to personal accounts, and the import of a running year.
//!
//! Invariant: a period key is credited once, a year is opened once and before anything was settled in it.

use super::cards;
use crate::account::AccountKind;
use crate::accumulator::{AccumulatorKey, Accumulators};
use crate::calendar::Date;
use crate::command::{Command, Reply};
use crate::fact::Fact;
use crate::hub::{Context, Hub};
use crate::ids::PersonId;
use crate::ledger::{LedgerAccount, Leg};
use crate::money::{Fen, MAX_AMOUNT};
use crate::person::Person;
use crate::reject::Reject;

pub(crate) fn decide(hub: &Hub, command: &Command, _context: &Context<'_>) -> Result<(Vec<Fact>, Reply), Reject> {
    match command {
        Command::CreditAccount { person, amount, period_key } => credit(hub, *person, *amount, period_key),
        Command::OpenYear { person, key, accumulators } => open_year(hub, *person, *key, *accumulators),
        _ => unreachable!("the hub sends commands about accounts only"),
    }
}

/// What a person holds, and whose accounts may pay beside it. A purse is shown while there is something in it.
pub(crate) fn of_person(hub: &Hub, person: &Person) -> Reply {
    let mut accounts =
        vec![(AccountKind::Insurance, None, person.account.balance), (AccountKind::Online, None, person.seldom.online)];
    for card in cards::of_person(hub, person) {
        let purses = [(AccountKind::Offline, card.seldom.offline), (AccountKind::Purse, card.seldom.purse)];
        let held = purses.into_iter().filter(|(_, balance)| *balance != Fen::ZERO);
        accounts.extend(held.map(|(account, balance)| (account, Some(card.id), balance)));
    }
    Reply::Accounts { accounts, payers: person.seldom.payers.clone() }
}

/// An amount that may be moved.
pub(crate) fn check_amount(amount: Fen) -> Result<(), Reject> {
    if amount <= Fen::ZERO {
        return Err(Reject::malformed("amount_fen", "must be positive"));
    }
    if amount > MAX_AMOUNT {
        return Err(Reject::AmountTooLarge { field: "amount_fen".into() });
    }
    Ok(())
}

fn credit(hub: &Hub, person: PersonId, amount: Fen, period_key: &str) -> Result<(Vec<Fact>, Reply), Reject> {
    let too_large = || Reject::AmountTooLarge { field: "amount_fen".into() };
    let holder = hub.person(person)?;
    check_amount(amount)?;
    if holder.years.is_credited(period_key) {
        return Err(Reject::PeriodCredited);
    }
    let balance = holder.account.balance.checked_add(amount).ok_or_else(too_large)?;
    let legs = vec![
        Leg { account: LedgerAccount::Contributions(holder.home), amount: -amount },
        Leg { account: LedgerAccount::PersonalAccounts(holder.home), amount },
    ];
    let fact = Fact::AccountCredited { person, amount, period_key: period_key.into(), legs };
    Ok((vec![fact], Reply::Balance(balance)))
}

fn open_year(
    hub: &Hub,
    person: PersonId,
    key: AccumulatorKey,
    accumulators: Accumulators,
) -> Result<(Vec<Fact>, Reply), Reject> {
    let holder = hub.person(person)?;
    if Date::new_year(key.year).is_none() {
        return Err(Reject::malformed("benefit_year", "is not a year of the calendar"));
    }
    if !accumulators.is_believable() {
        return Err(Reject::malformed("accumulators", "a sum is negative or beyond any year's"));
    }
    if holder.years.get(key).is_some() {
        return Err(Reject::YearOpened { year: key.year });
    }
    Ok((vec![Fact::YearOpened { person, key, accumulators }], Reply::Done))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::fixture::Desk;
    use crate::policy::{Counter, InsuranceType};

    fn credit_of(person: PersonId, amount: i64, period_key: &str) -> Command {
        Command::CreditAccount { person, amount: Fen(amount), period_key: period_key.into() }
    }

    #[test]
    fn a_period_is_credited_once_and_the_books_stay_balanced() {
        let mut desk = Desk::open();
        let person = desk.enrol("P1");
        assert_eq!(desk.run(credit_of(person, 250_000, "2026-03")), Ok(Reply::Balance(Fen(250_000))));
        assert_eq!(desk.run(credit_of(person, 250_000, "2026-03")), Err(Reject::PeriodCredited));
        assert_eq!(desk.run(credit_of(person, 1, "2026-02")), Ok(Reply::Balance(Fen(250_001))));
        assert_eq!(desk.hub.persons[person].account.balance, Fen(250_001));
        assert_eq!(desk.hub.ledger.trial_balance(), 0);
    }

    #[test]
    fn a_credit_is_positive_bounded_and_never_overflows_a_balance() {
        let mut desk = Desk::open();
        let person = desk.enrol("P1");
        for amount in [0, -1] {
            assert!(matches!(desk.run(credit_of(person, amount, "k")), Err(Reject::Malformed { .. })), "{amount}");
        }
        let too_large = Err(Reject::AmountTooLarge { field: "amount_fen".into() });
        assert_eq!(desk.run(credit_of(person, MAX_AMOUNT.0 + 1, "k")), too_large);
        desk.hub.persons.get_mut(person).unwrap().account.balance = Fen(i64::MAX);
        assert_eq!(desk.run(credit_of(person, 1, "k")), too_large);
    }

    #[test]
    fn a_year_is_opened_once_per_key_with_believable_sums() {
        let mut desk = Desk::open();
        let person = desk.enrol("P1");
        let key = AccumulatorKey { insurance_type: InsuranceType::Employee, year: 2026, counter: Counter::Inpatient };
        let used = Accumulators { admissions: 1, eligible: Fen(545_000), ..Accumulators::default() };
        let open = |key, accumulators| Command::OpenYear { person, key, accumulators };
        let negative = Accumulators { deductible: Fen(-1), ..used };
        assert!(matches!(desk.run(open(key, negative)), Err(Reject::Malformed { .. })));
        let no_year = AccumulatorKey { year: 0, ..key };
        assert!(matches!(desk.run(open(no_year, used)), Err(Reject::Malformed { .. })));
        assert_eq!(desk.run(open(key, used)), Ok(Reply::Done));
        assert_eq!(desk.run(open(key, used)), Err(Reject::YearOpened { year: 2026 }));
        assert_eq!(desk.run(open(AccumulatorKey { counter: Counter::Outpatient, ..key }, used)), Ok(Reply::Done));
        assert_eq!(desk.hub.persons[person].used(key), used);
    }
}
