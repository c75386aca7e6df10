//! Generations that end, and counts against a walk over all cards and persons.

use proptest::prelude::*;

use super::*;
use crate::card::{Channel, Loss, Shown, ZoneKind};
use crate::command::{CardKey, Command, LossSubject, Query};
use crate::decide::fixture::{Desk, certificate, day, personalisation, region, spell};
use crate::ids::{CardId, PersonId};
use crate::money::Fen;
use crate::person::{Spell, SpellStatus};

const DAY_MS: i64 = 24 * 3_600_000;

fn retire(code: &str, generation: &str, cut_over: &str) -> Command {
    Command::RetireGeneration { region: region(code), generation: generation.into(), cut_over: day(cut_over) }
}

fn shown(desk: &Desk, card: CardId) -> Shown {
    let card = &desk.hub.cards[card];
    card.insurance.shown(desk.hub.moment(card, desk.now_ms))
}

fn enable(card: CardId) -> Command {
    Command::EnableCard { card, zone: ZoneKind::Insurance }
}

#[test]
fn a_generation_works_until_the_day_before_its_cut_over_and_never_after() {
    let mut desk = Desk::open();
    let person = desk.enrol("P1");
    let card = desk.issue(person, None);
    desk.run(enable(card)).unwrap();
    desk.run(retire("110000", "3", "2026-03-08")).unwrap();
    // 2026-03-01 08:00 in China.
    desk.now_ms += 6 * DAY_MS + 16 * 3_600_000 - 1;
    assert_eq!(shown(&desk, card), Shown::Plain(crate::card::ZoneState::Enabled));
    desk.now_ms += 1;
    assert_eq!(shown(&desk, card), Shown::Retired);
    let now = desk.hub.moment(&desk.hub.cards[card], desk.now_ms);
    assert_eq!(desk.hub.cards[card].may_settle(now, true), Err(Reject::CardRetired));
    assert_eq!(desk.apply_for(person, Some(card)), Err(Reject::GenerationRetired { cut_over: day("2026-03-08") }));
    let other =
        |generation: &str| Command::ApplyForCard { person, predecessor: Some(card), generation: generation.into() };
    let Ok(Reply::CardApplied(new)) = desk.run(other("4")) else { panic!("another generation") };
    desk.run(Command::MarkCardMade { card: new, made: personalisation(new.0), purse: Fen::ZERO }).unwrap();
    desk.run(Command::HandOverCard { card: new, collected_by: "the holder".into() }).unwrap();
    assert_eq!(desk.run(enable(new)), Ok(Reply::CardEnabled { cancelled: Some(card) }));
}

#[test]
fn a_card_that_nobody_collected_before_the_cut_over_stands_in_nobody_s_way() {
    let mut desk = Desk::open();
    let person = desk.enrol("P1");
    let never_collected = desk.apply_for(person, None).unwrap();
    desk.run(Command::MarkCardMade { card: never_collected, made: personalisation(1), purse: Fen::ZERO }).unwrap();
    desk.run(retire("110100", "3", "2026-03-01")).unwrap();
    let forbidden = Reject::CardStateForbids { state: CardState::Retired, event: "HAND_OVER" };
    let hand_over = Command::HandOverCard { card: never_collected, collected_by: "the holder".into() };
    assert_eq!(desk.run(hand_over), Err(forbidden));
    let applied = Command::ApplyForCard { person, predecessor: None, generation: "4".into() };
    let Ok(Reply::CardApplied(new)) = desk.run(applied) else { panic!("applied for") };
    desk.run(Command::MarkCardMade { card: new, made: personalisation(2), purse: Fen::ZERO }).unwrap();
    desk.run(Command::HandOverCard { card: new, collected_by: "the holder".into() }).unwrap();
    assert_eq!(desk.run(enable(new)), Ok(Reply::CardEnabled { cancelled: Some(never_collected) }));
}

#[test]
fn a_cut_over_lies_ahead_and_is_moved_until_it_has_come() {
    let mut desk = Desk::open();
    desk.enrol("P1");
    let past = Reject::malformed("cut_over_date", "is in the past");
    assert_eq!(desk.run(retire("110100", "3", "2026-02-28")), Err(past));
    assert_eq!(desk.run(retire("990000", "3", "2026-04-01")), Err(Reject::RegionUnknown(region("990000"))));
    assert_eq!(desk.run(retire("310100", "3", "2026-04-01")), Err(Reject::NotHomeOfRegion(region("310100"))));
    desk.run(retire("110100", "3", "2026-04-01")).unwrap();
    desk.run(retire("110100", "3", "2026-03-05")).expect("it has not come");
    desk.now_ms += 4 * DAY_MS;
    let refused = Reject::GenerationRetired { cut_over: day("2026-03-05") };
    assert_eq!(desk.run(retire("110100", "3", "2026-12-01")), Err(refused));
    desk.run(retire("110100", "2", "2026-12-01")).expect("another generation");
}

#[test]
fn the_earliest_date_of_the_regions_above_a_card_counts() {
    let mut desk = Desk::open();
    let person = desk.enrol("P1");
    let card = desk.issue(person, None);
    desk.run(retire("110000", "3", "2026-03-03")).unwrap();
    desk.run(retire("110100", "3", "2026-06-01")).unwrap();
    desk.run(retire("110101", "3", "2026-03-01")).expect("a district of it");
    assert!(matches!(shown(&desk, card), Shown::Plain(_)));
    desk.now_ms += 2 * DAY_MS;
    assert_eq!(shown(&desk, card), Shown::Retired);
}

fn count(desk: &Desk, code: Option<&str>, generation: Option<&str>) -> (Vec<(CardState, u64)>, u64) {
    let query = Query::CountCards { region: code.map(region), generation: generation.map(Into::into) };
    let Ok(Reply::CardCounts { counts, insured }) = desk.ask(query) else { panic!("counted") };
    (counts, insured)
}

/// The same by looking at everything.
fn walk(desk: &Desk, code: Option<&str>, generation: Option<&str>) -> (Vec<(CardState, u64)>, u64) {
    let hub = &desk.hub;
    let wanted = |of| code.is_none_or(|code| hub.regions.within(of, region(code)));
    let count = |state: CardState| {
        let cards = hub.cards.values().filter(|card| wanted(card.region));
        let cards = cards.filter(|card| generation.is_none_or(|generation| **card.generation == *generation));
        cards.filter(|card| shown(desk, card.id).name() == state).count() as u64
    };
    let insured = hub.persons.values().filter(|person| {
        person.documents.spell_on(Date::business_day(desk.now_ms)).is_some_and(|spell| wanted(spell.region))
    });
    (CardState::ALL.map(|state| (state, count(state))).to_vec(), insured.count() as u64)
}

#[test]
fn counts_of_a_region_that_is_not_known_are_refused() {
    let query = Query::CountCards { region: Some(region("990000")), generation: None };
    assert_eq!(Desk::open().ask(query), Err(Reject::RegionUnknown(region("990000"))));
}

#[derive(Clone, Debug)]
enum Step {
    Enrol,
    Apply(usize, &'static str),
    Issue(usize),
    Enable(usize),
    Lose(usize, Loss),
    Retire(&'static str, i32),
    Insure(usize, Vec<(i32, i32, bool)>),
    Transfer(usize),
    Wait(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = || 0..4_usize;
    let generation = || prop::sample::select(vec!["2", "3"]);
    let loss = prop::sample::select(vec![Loss::Temporary, Loss::Formal]);
    let spells = prop::collection::vec((0..60_i32, 0..30_i32, any::<bool>()), 1..4);
    let step = prop_oneof![
        2 => Just(Step::Enrol),
        4 => (who(), generation()).prop_map(|(who, generation)| Step::Apply(who, generation)),
        4 => who().prop_map(Step::Issue),
        4 => who().prop_map(Step::Enable),
        4 => (who(), loss).prop_map(|(who, loss)| Step::Lose(who, loss)),
        1 => (generation(), 0..20_i32).prop_map(|(generation, days)| Step::Retire(generation, days)),
        2 => (who(), spells).prop_map(|(who, spells)| Step::Insure(who, spells)),
        1 => who().prop_map(Step::Transfer),
        4 => (1..200_i64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..80)
}

fn take(desk: &mut Desk, persons: &mut Vec<PersonId>, step: Step) {
    let today = Date::business_day(desk.now_ms);
    let in_days = |days: i32| Date::from_days(today.days() + days).unwrap();
    let person = |who: usize| persons.get(who).copied().unwrap_or(PersonId(1));
    let last = |desk: &Desk, who: usize| {
        desk.hub.persons.get(person(who)).and_then(|person| person.cards.last().copied()).unwrap_or(CardId(1))
    };
    let command = match step {
        Step::Enrol => {
            let passport = format!("P{}", persons.len());
            persons.push(desk.enrol(&passport));
            return;
        }
        Step::Apply(who, generation) => {
            Command::ApplyForCard { person: person(who), predecessor: None, generation: generation.into() }
        }
        Step::Issue(who) => {
            let card = last(desk, who);
            let _ = desk.run(Command::MarkCardMade { card, made: personalisation(card.0), purse: Fen::ZERO });
            Command::HandOverCard { card, collected_by: "the holder".into() }
        }
        Step::Enable(who) => enable(last(desk, who)),
        Step::Lose(who, loss) => Command::ReportLoss {
            subject: LossSubject::Card(CardKey::Id(last(desk, who))),
            loss,
            zones: Vec::new(),
            channel: Channel::Desk,
            verified_by: "clerk 7".into(),
            holder: Some(certificate(&format!("P{who}"))),
        },
        Step::Retire(generation, days) => Command::RetireGeneration {
            region: region("110100"),
            generation: generation.into(),
            cut_over: in_days(days),
        },
        Step::Insure(who, spells) => {
            let mut from = -20;
            let spells = spells.into_iter().map(|(gap, nights, normal)| {
                let first = from + gap;
                from = first + nights + 1;
                let status = if normal { SpellStatus::Normal } else { SpellStatus::Suspended };
                let code = if gap % 2 == 0 { "110100" } else { "110101" };
                Spell { from: in_days(first), to: Some(in_days(from - 1)), status, ..spell(code, "2010-01-01") }
            });
            Command::UpdatePerson {
                person: person(who),
                name: None,
                certificates: Vec::new(),
                spells: spells.collect(),
                entitlements: None,
            }
        }
        Step::Transfer(who) => Command::TransferRegion {
            person: person(who),
            spell: Spell { from: today, ..spell("110101", "2010-01-01") },
        },
        Step::Wait(hours) => {
            desk.now_ms += hours * 3_600_000;
            return;
        }
    };
    // Refused or not: the counts must be right.
    let _ = desk.run(command);
}

proptest! {
    /// What is kept while records go by is what a walk over everything finds, also between two records.
    #[test]
    fn counts_are_those_of_a_walk_over_all_cards_and_persons(steps in steps()) {
        let mut desk = Desk::open();
        let mut persons = Vec::new();
        for step in steps {
            take(&mut desk, &mut persons, step);
            for code in [None, Some("110000"), Some("110100"), Some("110101"), Some("310000")] {
                for generation in [None, Some("3"), Some("9")] {
                    prop_assert_eq!(count(&desk, code, generation), walk(&desk, code, generation));
                }
            }
        }
    }
}
