//! The kinds of files and their columns: the one table that reader, help and README show.
//!
//! Names are those of the contract's fields. Enumerations are written by their names there, amounts are whole fen, days are YYYY-MM-DD,
//! text is UTF-8.

use std::fmt;

/// What a file holds, row by row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `Persons.Enroll`.
    Persons,
    /// `Cards.Apply`, `MarkMade`, `HandOver` and `Enable`, as far as the card's state asks for.
    Cards,
    /// `Accounts.Credit`.
    Accounts,
    /// `Accounts.OpenYear`.
    Accumulators,
    /// `Filings.File`.
    Filings,
}

/// One column of a kind of file.
#[derive(Debug)]
pub struct Column {
    /// As the header names it.
    pub name: &'static str,
    /// The header must name it.
    pub required: bool,
    /// What it is a column of, where a person may have several: it may stand again with `_2`, `_3` and `_4` behind its name.
    pub part: Option<Part>,
    /// Fen that count in the control totals.
    pub money: bool,
    /// What stands in it.
    pub about: &'static str,
}

/// A part of which a person may have several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub name: &'static str,
    /// A file that has any column of such a part has this one.
    pub needed: bool,
}

const fn column(name: &'static str, about: &'static str) -> Column {
    Column { name, required: true, part: None, money: false, about }
}

impl Column {
    const fn optional(self) -> Self {
        Self { required: false, ..self }
    }

    const fn of(self, name: &'static str) -> Self {
        Self { part: Some(Part { name, needed: true }), ..self }
    }

    const fn may_lack(self) -> Self {
        match self.part {
            Some(part) => Self { required: false, part: Some(Part { needed: false, ..part }), ..self },
            None => self,
        }
    }

    const fn money(self) -> Self {
        Self { money: true, ..self }
    }
}

const PERSONS: &[Column] = &[
    column("name", "full name, at most 200 characters"),
    column("sex", "MALE, FEMALE"),
    column("birth_date", "day"),
    column("certificate_kind", "IDENTITY_CARD, PASSPORT, RESIDENCE_PERMIT, MILITARY").of("certificate"),
    column("certificate_number", "upper-case letters and digits, at most 32; names the row").of("certificate"),
    column("insurance_type", "EMPLOYEE, RESIDENT").of("insurance"),
    column("region", "six digits").of("insurance"),
    column("category", "ACTIVE, RETIRED, RESIDENT").of("insurance"),
    column("status", "NORMAL, SUSPENDED, ENDED; empty means NORMAL").of("insurance").may_lack(),
    column("from_date", "first day of the insurance").of("insurance"),
    column("to_date", "last day of the insurance; empty means no end").of("insurance").may_lack(),
    column("entitlement_name", "such as civil_servant, at most 32 characters").of("entitlement").optional(),
    column("entitlement_from_date", "first day").of("entitlement").optional(),
    column("entitlement_to_date", "last day; empty means no end").of("entitlement").may_lack(),
];

const PERSON_ID: Column =
    column("person_id", "number that the hub gave; where it is empty the certificate names the person").optional();
const CERTIFICATE_KIND: Column =
    column("certificate_kind", "IDENTITY_CARD, PASSPORT, RESIDENCE_PERMIT, MILITARY").optional();
const CERTIFICATE_NUMBER: Column = column("certificate_number", "the person's, if the row has no person_id").optional();

const CARDS: &[Column] = &[
    PERSON_ID,
    CERTIFICATE_KIND,
    CERTIFICATE_NUMBER,
    column("generation", "name of the card generation, at most 32 characters"),
    column("pan", "12 to 19 digits"),
    column("sequence_number", "0 to 99; empty means 0").optional(),
    column("card_sn", "32 upper-case hexadecimal digits; names the row"),
    column("scheme", "PBOC_SM4, PBOC_TDES, EMV_CSK_TDES, EMV_AES; empty for a card without a chip").optional(),
    column("key_index", "of the issuer's key; empty means 0").optional(),
    column("purse_fen", "what the hub keeps under a card without a chip; empty means 0").optional().money(),
    column("insurance_state", "MADE, ISSUED, ENABLED"),
    column("bank_state", "ENABLED; empty means not enabled").optional(),
    column("collected_by", "who took the card, at most 64 characters; empty means holder").optional(),
];

const ACCOUNTS: &[Column] = &[
    PERSON_ID,
    CERTIFICATE_KIND,
    CERTIFICATE_NUMBER,
    column("amount_fen", "what is credited, more than 0").money(),
    column(
        "period_key",
        "names what is credited, such as 2026-03 or opening, at most 32 characters; with the person names the row",
    ),
];

const ACCUMULATORS: &[Column] = &[
    PERSON_ID,
    CERTIFICATE_KIND,
    CERTIFICATE_NUMBER,
    column("insurance_type", "EMPLOYEE, RESIDENT; with person, year and counter names the row"),
    column("benefit_year", "such as 2026"),
    column("counter", "INPATIENT, OUTPATIENT"),
    column("admissions", "how many").optional(),
    column("eligible_fen", "eligible cost").optional().money(),
    column("deductible_fen", "of the deductible").optional().money(),
    column("pool_fen", "paid by the pool").optional().money(),
    column("large_sum_fen", "paid by the large-sum fund").optional().money(),
    column("catastrophic_fen", "paid by the catastrophic fund").optional().money(),
    column("civil_servant_fen", "paid by the civil-servant fund").optional().money(),
    column("supplement_fen", "paid by the supplement").optional().money(),
    column("medical_aid_fen", "paid by medical aid").optional().money(),
    column("other_fund_fen", "paid by another fund").optional().money(),
    column("own_burden_fen", "own eligible burden").optional().money(),
    column("account_fen", "drawn from the own account").optional().money(),
];

const FILINGS: &[Column] = &[
    PERSON_ID,
    CERTIFICATE_KIND,
    CERTIFICATE_NUMBER,
    column("kind", "LONG_TERM, TRANSFER, EMERGENCY, OTHER_TEMPORARY"),
    column("destination", "six digits; covers everything below it"),
    column("valid_from", "first day; with person, kind, destination and last day names the row"),
    column("valid_to", "last day; empty means until withdrawn").optional(),
];

impl Kind {
    /// Every kind, in the order in which files of a new hub are imported.
    pub const ALL: [Self; 5] = [Self::Persons, Self::Cards, Self::Accounts, Self::Accumulators, Self::Filings];

    /// Its name in commands and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Persons => "persons",
            Self::Cards => "cards",
            Self::Accounts => "accounts",
            Self::Accumulators => "accumulators",
            Self::Filings => "filings",
        }
    }

    /// The kind with a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The columns of such a file.
    pub const fn columns(self) -> &'static [Column] {
        match self {
            Self::Persons => PERSONS,
            Self::Cards => CARDS,
            Self::Accounts => ACCOUNTS,
            Self::Accumulators => ACCUMULATORS,
            Self::Filings => FILINGS,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
