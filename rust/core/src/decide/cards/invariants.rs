//! F1, F2, F4 and F5 under random events of the cards of a few persons.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::calendar::Date;
use crate::card::{CancelCause, Channel, FailureCause, Loss, Shown, TEMPORARY_LOSS_MS};
use crate::command::LossSubject;
use crate::decide::fixture::{Desk, certificate, personalisation, region, spell};
use crate::fact::Record;
use crate::ids::HubNumber;
use crate::money::Fen;
use crate::person::Spell;
use crate::rows::tests::restored;

const HOUR_MS: i64 = 3_600_000;
const PERSONS: [&str; 2] = ["P1", "P2"];
const HOMES: [&str; 2] = ["110100", "110101"];

/// One event. Cards are named by their age: 0 is the newest of its person.
#[derive(Clone, Debug)]
enum Step {
    Apply { generation: &'static str, predecessor: Option<usize> },
    Issue(usize),
    Fail(usize),
    Enable(usize, ZoneKind),
    Lose(Option<usize>, Loss, Vec<ZoneKind>),
    Withdraw(usize),
    Replace { lost: usize, generation: &'static str, enable: bool },
    Cancel(usize),
    Retire { generation: &'static str, days: i32 },
    Transfer { to: usize },
    Wait(i64),
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    // Mostly the newest card: a history of many lives, not of many refusals.
    let age = || prop_oneof![5 => Just(0_usize), 2 => 1..3_usize];
    let generation = || prop::sample::select(vec!["2", "3", "4"]);
    let zone = prop_oneof![3 => Just(ZoneKind::Insurance), 1 => Just(ZoneKind::Bank)];
    let zones = prop::sample::subsequence(ZoneKind::ALL.to_vec(), 0..=2);
    let loss = prop::sample::select(vec![Loss::Temporary, Loss::Formal]);
    let step = prop_oneof![
        14 => (generation(), prop::option::of(age()))
            .prop_map(|(generation, predecessor)| Step::Apply { generation, predecessor }),
        18 => age().prop_map(Step::Issue),
        1 => age().prop_map(Step::Fail),
        20 => (age(), zone).prop_map(|(card, zone)| Step::Enable(card, zone)),
        6 => (prop::option::of(age()), loss, zones).prop_map(|(card, loss, zones)| Step::Lose(card, loss, zones)),
        2 => age().prop_map(Step::Withdraw),
        6 => (age(), generation(), any::<bool>())
            .prop_map(|(lost, generation, enable)| Step::Replace { lost, generation, enable }),
        2 => age().prop_map(Step::Cancel),
        1 => (generation(), 0..60_i32).prop_map(|(generation, days)| Step::Retire { generation, days }),
        1 => (0..HOMES.len()).prop_map(|to| Step::Transfer { to }),
        4 => (1..200_i64).prop_map(Step::Wait),
    ];
    prop::collection::vec((0..PERSONS.len(), step), 1..200)
}

/// A hub whose persons own something.
fn begin() -> Desk {
    let mut desk = Desk::open();
    for passport in PERSONS {
        let person = desk.enrol(passport);
        let amount = Fen(250_000);
        desk.run(Command::CreditAccount { person, amount, period_key: "2026-03".into() }).unwrap();
    }
    desk
}

fn take(desk: &mut Desk, who: usize, step: Step) -> Result<Reply, Reject> {
    let person = desk.hub.person_named(&certificate(PERSONS[who])).unwrap();
    let cards = desk.hub.persons[person].cards.clone();
    let card = |age: usize| cards.iter().rev().nth(age).copied().unwrap_or(CardId(1));
    let today = Date::business_day(desk.now_ms);
    let verified_by = Box::from("clerk 7");
    let command = match step {
        Step::Apply { generation, predecessor } => {
            Command::ApplyForCard { person, predecessor: predecessor.map(card), generation: generation.into() }
        }
        Step::Issue(age) => {
            let card = card(age);
            desk.run(Command::MarkCardMade { card, made: personalisation(card.0), purse: Fen::ZERO })?;
            Command::HandOverCard { card, collected_by: "the holder".into() }
        }
        Step::Fail(age) => Command::FailApplication { card: card(age), cause: FailureCause::NoValidPhoto },
        Step::Enable(age, zone) => Command::EnableCard { card: card(age), zone },
        Step::Lose(age, loss, zones) => Command::ReportLoss {
            subject: match age {
                Some(age) => LossSubject::Card(CardKey::Id(card(age))),
                None => LossSubject::Certificate(certificate(PERSONS[who])),
            },
            loss,
            zones,
            channel: Channel::Desk,
            verified_by,
            holder: None,
        },
        Step::Withdraw(age) => Command::WithdrawLoss { card: card(age), zones: Vec::new(), verified_by },
        Step::Replace { lost, generation, enable } => {
            let made = personalisation(desk.hub.sequence() + 1_000);
            Command::ReplaceCard { lost: card(lost), made, generation: generation.into(), enable }
        }
        Step::Cancel(age) => Command::CancelCard { card: card(age), cause: CancelCause::Returned },
        Step::Retire { generation, days } => {
            let cut_over = Date::from_days(today.days() + days).unwrap();
            Command::RetireGeneration { region: region(HOMES[0]), generation: generation.into(), cut_over }
        }
        Step::Transfer { to } => {
            Command::TransferRegion { person, spell: Spell { from: today, ..spell(HOMES[to], "2010-01-01") } }
        }
        Step::Wait(hours) => {
            desk.now_ms += hours * HOUR_MS;
            return Ok(Reply::Done);
        }
    };
    desk.run(command)
}

/// Take the steps, then fold the journal record by record into a new hub, and look at it at every position with the one before.
fn at_every_position(steps: Vec<(usize, Step)>, look: impl Fn(&Hub, &Hub, &Record)) {
    let mut desk = begin();
    for (who, step) in steps {
        let before = desk.hub.clone();
        if let Err(reject) = take(&mut desk, who, step.clone()) {
            // Making a card and handing it over are two commands.
            assert!(desk.hub == before || matches!(step, Step::Issue(_)), "{reject} changed something");
        }
    }
    let mut hub = Hub::new(HubNumber::new(11).unwrap(), 7);
    for record in &desk.journal {
        let before = hub.clone();
        hub.apply(record);
        look(&before, &hub, record);
    }
    assert_eq!(hub, desk.hub);
    let mut in_runs = Hub::new(HubNumber::new(11).unwrap(), 8);
    in_runs.apply_all(desk.journal.iter());
    assert_eq!(in_runs, hub);
    assert_eq!(hub.digest(), desk.hub.digest());
    assert_eq!(restored(&hub, 11), hub);
}

fn in_use(hub: &Hub, person: &Person, zone: ZoneKind) -> Vec<CardId> {
    of_person(hub, person).filter(|card| card.zone(zone).state == ZoneState::Enabled).map(|card| card.id).collect()
}

fn shown(hub: &Hub, card: &Card, zone: ZoneKind, now_ms: i64) -> Shown {
    card.zone(zone).shown(hub.moment(card, now_ms))
}

/// Every fen that belongs to a person.
fn balances(hub: &Hub) -> i64 {
    hub.persons.values().map(|person| person.account.balance.0).sum()
}

proptest! {
    #[test]
    fn f1_at_most_one_card_per_person_and_zone_is_enabled(steps in steps()) {
        at_every_position(steps, |_, hub, _| {
            for person in hub.persons.values() {
                for zone in ZoneKind::ALL {
                    let cards = in_use(hub, person, zone);
                    assert!(cards.len() <= 1, "{zone:?}: {cards:?}");
                }
            }
        });
    }

    #[test]
    fn f1_a_person_waits_for_one_card_at_most_and_the_dead_never_come_back(steps in steps()) {
        let dead = std::cell::RefCell::new(BTreeSet::new());
        at_every_position(steps, |_, hub, record| {
            for person in hub.persons.values() {
                let applications = of_person(hub, person)
                    .filter(|card| card.is_application(hub.moment(card, record.stamp_ms)));
                assert!(applications.count() <= 1);
            }
            for card in hub.cards.values() {
                for zone in ZoneKind::ALL {
                    let is_dead = card.zone(zone).state.is_dead();
                    assert!(is_dead || !dead.borrow().contains(&(card.id, zone)), "{:?} came back", card.id);
                    if is_dead {
                        dead.borrow_mut().insert((card.id, zone));
                    }
                }
            }
        });
    }

    #[test]
    fn f2_enabling_a_successor_and_ending_the_card_before_it_are_one_fact(steps in steps()) {
        at_every_position(steps, |before, after, record| {
            for person in before.persons.values() {
                let (old, new) = (in_use(before, person, ZoneKind::Insurance), in_use(after, person, ZoneKind::Insurance));
                let comes = new.iter().find(|card| !old.contains(card));
                let Some(comes) = comes else { continue };
                let enabling: Vec<&Fact> =
                    record.facts.iter().filter(|fact| matches!(fact, Fact::CardEnabled { .. })).collect();
                let [Fact::CardEnabled { card, zone: ZoneKind::Insurance, cancelled, .. }] = enabling[..] else {
                    panic!("{comes:?} came into use by {:?}", record.facts);
                };
                assert_eq!(card, comes);
                if let Some(old) = old.first() {
                    assert_eq!(cancelled.as_ref(), Some(old), "the card in use before ends in this fact");
                }
                if let Some(cancelled) = cancelled {
                    for zone in ZoneKind::ALL {
                        assert_eq!(after.cards[*cancelled].zone(zone).state, ZoneState::Cancelled);
                    }
                }
                assert_eq!(balances(after), balances(before));
            }
        });
    }

    #[test]
    fn f4_a_temporary_loss_is_never_moved_and_ends_at_its_moment(steps in steps()) {
        at_every_position(steps, |before, after, record| {
            for card in after.cards.values() {
                for zone in ZoneKind::ALL {
                    let Shown::TempLost(until) = shown(after, card, zone, record.stamp_ms) else { continue };
                    let earlier = before.cards.get(card.id).map(|card| shown(before, card, zone, record.stamp_ms));
                    match earlier {
                        Some(Shown::TempLost(was)) => assert_eq!(was, until),
                        _ => assert_eq!(until, record.stamp_ms + TEMPORARY_LOSS_MS),
                    }
                    let retired = |at| after.moment(card, at).retired;
                    if !retired(until) {
                        assert_eq!(shown(after, card, zone, until - 1), Shown::TempLost(until));
                        assert_eq!(shown(after, card, zone, until), Shown::Plain(card.zone(zone).state));
                    }
                }
            }
        });
    }

    #[test]
    fn f5_no_card_event_makes_or_destroys_money(steps in steps()) {
        at_every_position(steps, |before, after, record| {
            let credited = matches!(record.facts[..], [Fact::AccountCredited { .. }]);
            assert!(credited || balances(after) == balances(before), "{:?}", record.facts);
            assert_eq!(after.ledger.trial_balance(), 0);
            for home in HOMES {
                let account = crate::ledger::LedgerAccount::PersonalAccounts(region(home));
                let in_books = after.ledger.balances().find(|(of, _)| *of == account).map_or(0, |(_, sum)| sum);
                let at_home = after.persons.values().filter(|person| person.home == region(home));
                assert_eq!(in_books, at_home.map(|person| i128::from(person.account.balance.0)).sum::<i128>());
            }
        });
    }
}

#[test]
fn f4_a_loss_of_seven_days_ends_to_the_second_in_the_state_before_and_a_formal_one_never() {
    let report = |card, loss| Command::ReportLoss {
        subject: LossSubject::Card(CardKey::Id(card)),
        loss,
        zones: vec![ZoneKind::Insurance],
        channel: Channel::Desk,
        verified_by: "clerk 7".into(),
        holder: None,
    };
    let at = |desk: &Desk, card: CardId| {
        let card = &desk.hub.cards[card];
        shown(&desk.hub, card, ZoneKind::Insurance, desk.now_ms)
    };
    let mut desk = begin();
    let person = desk.hub.person_named(&certificate("P1")).unwrap();
    let card = desk.issue(person, None);
    for state in [ZoneState::Issued, ZoneState::Enabled] {
        if state == ZoneState::Enabled {
            desk.run(Command::EnableCard { card, zone: ZoneKind::Insurance }).unwrap();
        }
        desk.run(report(card, Loss::Temporary)).unwrap();
        let until = desk.now_ms + TEMPORARY_LOSS_MS;
        desk.now_ms = until - 1_000;
        let now = desk.hub.moment(&desk.hub.cards[card], desk.now_ms);
        let refused = desk.hub.cards[card].may_settle(now, true);
        assert_eq!(refused, Err(Reject::CardLost { until_ms: Some(until) }));
        desk.now_ms = until;
        assert_eq!(at(&desk, card), Shown::Plain(state));
    }
    desk.run(report(card, Loss::Formal)).unwrap();
    desk.now_ms += 100 * 365 * 24 * HOUR_MS;
    assert_eq!(at(&desk, card), Shown::Plain(ZoneState::FormalLost));
}
