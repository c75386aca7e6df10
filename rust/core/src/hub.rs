//! All state of a hub, and the two central matches: what is decided and what is applied.
//!
//! Invariant: `decide` reads and may refuse; it changes nothing. `apply` folds a record and cannot fail; recovery only applies.
//! Invariant: state holds persons, open stays, packages and the request window; history is in the records.
//! Leaves out: rights and clock (`wire` and `engine` have them), cryptograms (their verdict comes in with the context).

mod apply;
mod warm;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::alert::{AlertRules, Alerts};
use crate::calendar::Date;
use crate::card::{Card, Moment, Personalisation};
use crate::catalogue::Catalogue;
use crate::census::Census;
use crate::command::{Command, Reply, Request, RequestHeader, Verdict};
use crate::decide;
use crate::fact::{Fact, Record};
use crate::finder::Finder;
use crate::guess::WrongCryptograms;
use crate::ids::{CardId, CardSn, Hash32, HubNumber, InstitutionCode, Pan, PersonId, RegionCode};
use crate::institution::Institution;
use crate::ledger::Ledger;
use crate::person::{Certificate, Person};
use crate::pin::ShownPin;
use crate::policy::{BenefitPolicy, InsuranceType, VisitKind};
use crate::records::Records;
use crate::region::RegionTree;
use crate::reject::Reject;
use crate::request::Requests;
use crate::retirement::Retirements;
use crate::settlement::Settlement;
use crate::stay::Stay;
use crate::suspension::PlaceSuspension;
use crate::table::Table;
use crate::token::UsedTokens;

/// Versions of a package with their hashes, in the order of their first days.
type Versions<T> = Vec<(Hash32, Arc<T>)>;

/// Who asks: an institution with the roles of its certificate, as a bit set of the contract's role numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The institution.
    pub institution: InstitutionCode,
    /// Its roles.
    pub roles: u32,
}

/// Role bits that the rules themselves ask for; the right to a method is checked before, from the contract's table.
pub mod role {
    /// Admits, and settles stays and outpatient visits.
    pub const HOSPITAL: u32 = 1 << 1;
    /// Settles pharmacy visits.
    pub const PHARMACY: u32 = 1 << 2;
    /// Reads what belongs to any institution.
    pub const READS_ALL: u32 = 1 << 5 | 1 << 6;
    /// Acts for the institution that a forwarded request names.
    pub const HUB: u32 = 1 << 7;
    /// A service desk: reads any person.
    pub const DESK: u32 = 1 << 3;
}

/// What a decision may know beside the state.
pub struct Context<'a> {
    /// Time of the frame.
    pub stamp_ms: i64,
    /// Sequence that the record takes, should there be one.
    pub sequence: u64,
    /// Who asks.
    pub actor: Actor,
    /// Contract number of the operation.
    pub operation: u32,
    /// Digest of the request's canonical form.
    pub digest: Hash32,
    /// Verdict on the cryptogram.
    pub verdict: Verdict,
    /// The PIN.
    pub pin: &'a dyn ShownPin,
    /// The past.
    pub records: &'a dyn Records,
}

impl Context<'_> {
    /// The business day of the stamp.
    pub fn today(&self) -> Date {
        Date::business_day(self.stamp_ms)
    }
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Facts to be recorded, and the reply that may leave once they are durable.
    Commit(Box<Record>, Reply),
    /// The id is bound: the reply of that record is given again.
    Replay {
        /// Sequence of the record.
        sequence: u64,
    },
    /// An answer that changes nothing.
    Answer(Reply),
    /// Refused; nothing changes.
    Refuse(Reject),
    /// Refused for ever: the facts are what the refusal leaves behind, and it may leave once they are durable.
    RefuseWith(Box<Record>, Reject),
}

/// State of a hub.
#[derive(Clone, Debug, PartialEq)]
pub struct Hub {
    pub(crate) number: HubNumber,
    pub(crate) persons: Table<Person>,
    pub(crate) by_certificate: Finder,
    pub(crate) cards: Table<Card>,
    pub(crate) by_pan: Finder,
    pub(crate) by_sn: Finder,
    pub(crate) retirements: Retirements,
    pub(crate) census: Census,
    pub(crate) institutions: Table<Institution>,
    /// Of institutions and departments; a new registration leaves them.
    pub(crate) suspensions: BTreeMap<InstitutionCode, Vec<PlaceSuspension>>,
    pub(crate) regions: RegionTree,
    pub(crate) policies: BTreeMap<(RegionCode, InsuranceType, VisitKind), Versions<BenefitPolicy>>,
    pub(crate) catalogues: BTreeMap<RegionCode, Versions<Catalogue>>,
    pub(crate) alert_rules: BTreeMap<RegionCode, Versions<AlertRules>>,
    pub(crate) alerts: Alerts,
    /// Stays that are open or discharged. Settled and void ones are records.
    pub(crate) stays: Table<Stay>,
    pub(crate) requests: Requests,
    pub(crate) wrong_cryptograms: WrongCryptograms,
    pub(crate) used_tokens: UsedTokens,
    pub(crate) ledger: Ledger,
    /// Sequence of the last record applied.
    pub(crate) sequence: u64,
}

impl Hub {
    /// A hub without history. The seed, drawn once per data directory, keeps callers from choosing keys that collide.
    pub fn new(number: HubNumber, seed: u64) -> Self {
        Self {
            number,
            persons: Table::seeded(seed),
            by_certificate: Finder::seeded(number, seed),
            cards: Table::seeded(seed),
            by_pan: Finder::seeded(number, seed),
            by_sn: Finder::seeded(number, seed),
            retirements: Retirements::default(),
            census: Census::default(),
            suspensions: BTreeMap::new(),
            institutions: Table::seeded(seed),
            regions: RegionTree::default(),
            policies: BTreeMap::new(),
            catalogues: BTreeMap::new(),
            alert_rules: BTreeMap::new(),
            alerts: Alerts::default(),
            stays: Table::seeded(seed),
            requests: Requests::new(seed),
            wrong_cryptograms: WrongCryptograms::default(),
            used_tokens: UsedTokens::default(),
            ledger: Ledger::default(),
            sequence: 0,
        }
    }

    /// Its number in the country.
    pub fn number(&self) -> HubNumber {
        self.number
    }

    /// Sequence of the last record applied; the next record takes one more.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// How many persons it holds.
    pub fn person_count(&self) -> usize {
        self.persons.len()
    }

    /// How many stays wait for their settlement.
    pub fn open_stay_count(&self) -> usize {
        self.stays.len()
    }

    /// Regions of which this hub is home, as installed.
    pub fn home_regions(&self) -> impl Iterator<Item = RegionCode> {
        self.regions.iter().filter(|region| region.home).map(|region| region.code)
    }

    /// Decide a request: what to record and answer, or why not.
    pub fn decide(&self, request: &Request, context: &Context<'_>) -> Decision {
        match request {
            Request::Query(query) => match decide::queries::answer(self, query, context) {
                Ok(reply) => Decision::Answer(reply),
                Err(reject) => Decision::Refuse(reject),
            },
            Request::Command(header, command) => match decide::requests::known(self, header, context) {
                Err(reject) => Decision::Refuse(reject),
                Ok(Some(sequence)) => Decision::Replay { sequence },
                Ok(None) => match self.decide_command(header, command, context) {
                    Ok((facts, reply)) => Decision::Commit(Box::new(record(header, context, facts)), reply),
                    Err(reject) => {
                        let facts = decide::aftermath::of(self, header, command, &reject, context);
                        if facts.is_empty() {
                            return Decision::Refuse(reject);
                        }
                        let refused = Record { refused: true, ..record(header, context, facts) };
                        Decision::RefuseWith(Box::new(refused), reject)
                    }
                },
            },
        }
    }

    fn decide_command(
        &self,
        header: &RequestHeader,
        command: &Command,
        context: &Context<'_>,
    ) -> Result<(Vec<Fact>, Reply), Reject> {
        use decide::{
            accounts, alerts, cards, charges, family, filings, fraud, packages, payouts, persons, pins, purses,
            requests, retirements, settlements, stays, suspensions, transfers, visits, vouchers,
        };
        match command {
            Command::EnrollPerson { .. } | Command::UpdatePerson { .. } => persons::decide(self, command, context),
            Command::TransferRegion { person, spell } => transfers::decide(self, *person, spell, context),
            Command::ApplyForCard { .. }
            | Command::FailApplication { .. }
            | Command::MarkCardMade { .. }
            | Command::HandOverCard { .. }
            | Command::EnableCard { .. }
            | Command::ReportLoss { .. }
            | Command::WithdrawLoss { .. }
            | Command::ReplaceCard { .. }
            | Command::UnlockCard { .. }
            | Command::CancelCard { .. } => cards::decide(self, command, context),
            Command::SetPin { card } => pins::set(self, *card, context),
            Command::VerifyPin { card } => pins::verify(self, *card, context),
            Command::RetireGeneration { region, generation, cut_over } => {
                retirements::decide(self, *region, generation, *cut_over, context)
            }
            Command::CreditAccount { .. } | Command::OpenYear { .. } => accounts::decide(self, command, context),
            Command::TopUp { card, account, amount } => purses::top_up(self, *card, *account, *amount, context),
            Command::Purchase { .. } => purses::purchase(self, header.institution, command, context),
            Command::PayOut { person, amount, claim_number } => {
                payouts::pay_out(self, *person, *amount, claim_number, context)
            }
            Command::LinkFamily { person, payer } => family::link(self, *person, *payer),
            Command::UnlinkFamily { person, payer } => family::unlink(self, *person, *payer),
            Command::File { .. } | Command::WithdrawFiling { .. } => filings::decide(self, command, context),
            Command::InstallPolicy { .. }
            | Command::InstallCatalogue { .. }
            | Command::InstallRegions { .. }
            | Command::InstallAlertRules { .. }
            | Command::RegisterInstitution { .. } => packages::decide(self, command, context),
            Command::SuspendPerson { .. } | Command::SuspendInstitution { .. } | Command::ResumeInstitution { .. } => {
                suspensions::decide(self, command)
            }
            Command::Admit { .. }
            | Command::UpdateStay { .. }
            | Command::Discharge { .. }
            | Command::CancelDischarge { .. }
            | Command::CancelAdmission { .. } => stays::decide(self, header, command, context),
            Command::AddCharges { stay, lines } => charges::add(self, header.institution, *stay, lines, context),
            Command::RevokeCharges { stay, line_ids } => {
                charges::revoke(self, header.institution, *stay, line_ids, context)
            }
            Command::SettleStay { .. } => settlements::settle(self, header, command, context),
            Command::CancelSettlement { settlement } => {
                let of_stay = |settlement: &Settlement| settlement.stay().is_some();
                settlements::cancel(self, header.institution, *settlement, of_stay, context)
            }
            Command::AuthorizeStay { stay, account_limit, cause } => {
                vouchers::issue(self, *stay, *account_limit, cause, context)
            }
            Command::SettleVisit(asked) => visits::settle(self, header, asked, context),
            Command::CancelVisit(settlement) => {
                let of_visit = |settlement: &Settlement| settlement.visit().is_some();
                settlements::cancel(self, header.institution, *settlement, of_visit, context)
            }
            Command::AcknowledgeAlert { alert, note } => alerts::acknowledge(self, header, *alert, note, context),
            Command::Reverse { request_id } => requests::reverse(self, header, request_id, context),
            Command::Unwind(asked) => fraud::unwind(self, header, asked, context),
        }
    }

    pub(crate) fn person(&self, id: PersonId) -> Result<&Person, Reject> {
        self.persons.get(id).ok_or_else(|| Reject::PersonUnknown)
    }

    pub(crate) fn card(&self, id: CardId) -> Result<&Card, Reject> {
        self.cards.get(id).ok_or_else(|| Reject::CardUnknown)
    }

    /// The person whom a certificate names.
    pub(crate) fn person_named(&self, certificate: &Certificate) -> Option<PersonId> {
        let names = |id| {
            let person = self.persons.get(PersonId(id));
            person.is_some_and(|person| person.documents.profile().certificates.contains(certificate))
        };
        self.by_certificate.find(certificate, names).map(PersonId)
    }

    /// The card with a number.
    pub(crate) fn card_with_pan(&self, pan: &Pan) -> Option<CardId> {
        self.by_pan.find(pan, |id| self.made(id).is_some_and(|made| made.pan == *pan)).map(CardId)
    }

    /// The card with a recognition code.
    pub(crate) fn card_with_sn(&self, sn: &CardSn) -> Option<CardId> {
        self.by_sn.find(sn, |id| self.made(id).is_some_and(|made| made.card_sn == *sn)).map(CardId)
    }

    fn made(&self, card: u64) -> Option<&Personalisation> {
        self.cards.get(CardId(card))?.made.as_ref()
    }

    /// The moment of a stamp for a card: whether its generation is over then.
    pub(crate) fn moment(&self, card: &Card, now_ms: i64) -> Moment {
        let today = Date::business_day(now_ms);
        Moment { now_ms, retired: self.retirements.is_over(&self.regions, card.region, &card.generation, today) }
    }

    pub(crate) fn institution(&self, code: InstitutionCode) -> Result<&Institution, Reject> {
        self.institutions.get(code).ok_or_else(|| Reject::InstitutionUnknown(code))
    }

    /// The package in force for a day: of the most specific region above the insured one that has any; with the region it was found at.
    pub(crate) fn policy(
        &self,
        insured: RegionCode,
        insurance_type: InsuranceType,
        kind: VisitKind,
        day: Date,
    ) -> Option<(RegionCode, &(Hash32, Arc<BenefitPolicy>))> {
        let versions = |region| self.policies.get(&(region, insurance_type, kind));
        self.in_force(insured, versions, |policy| policy.in_force_on(day))
    }

    /// The alert rules in force today, of the most specific region above the insured one that has any.
    pub(crate) fn alert_rules(&self, insured: RegionCode, context: &Context<'_>) -> Option<&(Hash32, Arc<AlertRules>)> {
        if self.alert_rules.is_empty() {
            return None;
        }
        let today = context.today();
        let found = self.in_force(insured, |region| self.alert_rules.get(&region), |rules| rules.in_force_on(today));
        found.map(|(_, package)| package)
    }

    /// The catalogue in force for a day, of the most specific region above the care region that has any.
    pub(crate) fn catalogue(&self, care: RegionCode, day: Date) -> Result<(Hash32, &Arc<Catalogue>), Reject> {
        let found = self.in_force(care, |region| self.catalogues.get(&region), |items| items.in_force_on(day));
        let (_, (hash, catalogue)) = found.ok_or_else(|| Reject::CatalogueNotInForce { region: care, day })?;
        Ok((*hash, catalogue))
    }

    /// The latest version that is in force, of the first region upwards that has one; with the region it was found at.
    fn in_force<'a, T>(
        &'a self,
        from: RegionCode,
        versions: impl Fn(RegionCode) -> Option<&'a Versions<T>>,
        in_force: impl Fn(&T) -> bool,
    ) -> Option<(RegionCode, &'a (Hash32, Arc<T>))> {
        self.regions.upwards(from).find_map(|region| {
            let package = versions(region)?.iter().rev().find(|(_, package)| in_force(package))?;
            Some((region, package))
        })
    }
}

fn record(header: &RequestHeader, context: &Context<'_>, facts: Vec<Fact>) -> Record {
    Record {
        sequence: context.sequence,
        stamp_ms: context.stamp_ms,
        operation: context.operation,
        institution: header.institution,
        actor: context.actor.institution,
        request_id: header.request_id.clone(),
        digest: context.digest,
        created_ms: header.created_ms,
        operator: header.operator.clone(),
        roles: context.actor.roles,
        refused: false,
        facts,
    }
}
