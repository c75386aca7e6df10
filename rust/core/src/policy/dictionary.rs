//! The closed lists in which policies, catalogues and bills speak, under their names in the contract.
//!
//! Invariant: each list can enumerate itself, so that the contract's mapping can prove it knows every value.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

macro_rules! dictionary {
    ($($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $text:literal,)+ })+) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$value_doc])* $value,)+ }

        impl $name {
            /// Every value, in order.
            pub const ALL: &[Self] = &[$(Self::$value,)+];

            /// The name in the contract.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$value => $text,)+ }
            }

            /// The value of that name in the contract.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$value),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl From<$name> for u8 {
            fn from(value: $name) -> u8 {
                value as u8
            }
        }
    )+ };
}

dictionary! {
    /// Under which scheme a person is insured.
    InsuranceType {
        /// 310, employees.
        Employee = "EMPLOYEE",
        /// 390, residents.
        Resident = "RESIDENT",
    }

    /// The kind of visit a package is for.
    VisitKind {
        /// A stay.
        Inpatient = "INPATIENT",
        /// An outpatient visit, settled in one step.
        Outpatient = "OUTPATIENT",
        /// A pharmacy purchase, settled in one step.
        Pharmacy = "PHARMACY",
    }

    /// Which of a year's accumulators a package uses, so that a stay does not use up the outpatient limit.
    Counter {
        /// Stays.
        Inpatient = "INPATIENT",
        /// Outpatient and pharmacy visits together.
        Outpatient = "OUTPATIENT",
    }

    /// Level of an institution.
    Level {
        /// Level three.
        Three = "THREE",
        /// Level two.
        Two = "TWO",
        /// Level one.
        One = "ONE",
        /// Without level, such as community institutions.
        None = "NONE",
    }

    /// Category of a person.
    Category {
        /// Employee at work.
        Active = "ACTIVE",
        /// Employee in retirement.
        Retired = "RETIRED",
        /// Resident.
        Resident = "RESIDENT",
    }

    /// Who pays beside the person.
    Fund {
        /// Basic pool, `hifp_pay`.
        Pool = "POOL",
        /// Large-sum subsidy of employees, `hifob_pay`.
        LargeSum = "LARGE_SUM",
        /// Catastrophic insurance of residents, `hifmi_pay`.
        Catastrophic = "CATASTROPHIC",
        /// Civil-servant subsidy, `cvlserv_pay`.
        CivilServant = "CIVIL_SERVANT",
        /// Enterprise supplement, `hifes_pay`.
        Supplement = "SUPPLEMENT",
        /// Medical aid, `maf_pay`.
        MedicalAid = "MEDICAL_AID",
        /// Everything else, `oth_pay`.
        Other = "OTHER",
    }

    /// The filing under which care away from home is given.
    FilingKind {
        /// Care in the insured region.
        Local = "LOCAL",
        /// Living or working elsewhere.
        LongTerm = "LONG_TERM",
        /// A person filed elsewhere, treated in the insured region.
        LongTermAtHome = "LONG_TERM_AT_HOME",
        /// Referred.
        Transfer = "TRANSFER",
        /// Emergency, deemed filed.
        Emergency = "EMERGENCY",
        /// Filed for another temporary reason.
        OtherTemporary = "OTHER_TEMPORARY",
        /// Nothing filed.
        Unfiled = "UNFILED",
    }

    /// How far from home care away from home was given.
    Scope {
        /// In the insured region's province.
        InProvince = "IN_PROVINCE",
        /// In another province.
        CrossProvince = "CROSS_PROVINCE",
    }

    /// What the bands of the first layer measure.
    BandMeasure {
        /// Eligible cost with the deductible, which fills the lowest band first.
        Eligible = "ELIGIBLE",
        /// Eligible cost after the deductible.
        AfterDeductible = "AFTER_DEDUCTIBLE",
    }

    /// Where the bands of the first layer begin.
    BandBasis {
        /// At zero with each stay.
        Stay = "STAY",
        /// Where the year's earlier stays ended.
        Year = "YEAR",
    }

    /// What a layer pays on.
    LayerBase {
        /// Eligible cost after the deductible.
        EligibleAfterDeductible = "ELIGIBLE_AFTER_DEDUCTIBLE",
        /// What the limit of an earlier layer left over, exactly.
        Overflow = "OVERFLOW",
        /// Eligible cost that no earlier layer paid, continued over the year.
        OwnEligibleBurdenOfYear = "OWN_ELIGIBLE_BURDEN_OF_YEAR",
        /// Eligible cost that no earlier layer paid, of this settlement.
        RemainingEligibleBurden = "REMAINING_ELIGIBLE_BURDEN",
    }

    /// What an annual limit counts.
    CapMeasure {
        /// What the fund paid.
        Fund = "FUND",
        /// The eligible cost that the layer covered.
        Eligible = "ELIGIBLE",
    }

    /// How an adjustment works.
    Mode {
        /// Points off the ratio, not below zero.
        Points = "POINTS",
        /// The ratio times a factor.
        Factor = "FACTOR",
    }

    /// What happens to care for which nothing is filed.
    Unfiled {
        /// Paid at the unfiled adjustment.
        Reduced = "REDUCED",
        /// Refused.
        Refused = "REFUSED",
    }

    /// How a stay across the new year is settled.
    CrossYear {
        /// Whole, in the year of discharge.
        Whole = "WHOLE",
        /// By nights, each part in its year.
        Split = "SPLIT",
    }

    /// What a cancellation does to later settlements of the year.
    OnCancel {
        /// They stay as they are.
        Keep = "KEEP",
        /// They are computed again and the differences recorded.
        Readjudicate = "READJUDICATE",
        /// It is refused while one stands.
        LastFirst = "LAST_FIRST",
    }

    /// What becomes of what was used elsewhere, when a person's insured region changes during the year.
    OnTransfer {
        /// It counts here too.
        Carry = "CARRY",
        /// The year begins anew.
        StartAnew = "START_ANEW",
    }

    /// Whether account money may pay the person's part.
    AccountUse {
        /// It may.
        Allowed = "ALLOWED",
        /// It may not.
        Forbidden = "FORBIDDEN",
    }
}

/// A choice among at most eight values; naming none means any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnyOf<T> {
    bits: u8,
    values: PhantomData<T>,
}

impl<T: Copy + Into<u8>> AnyOf<T> {
    /// Every value: what naming none means.
    pub const ANY: Self = Self { bits: 0, values: PhantomData };

    /// These values.
    pub fn of(named: &[T]) -> Self {
        Self { bits: named.iter().fold(0, |bits, value| bits | 1 << (*value).into()), values: PhantomData }
    }

    /// Whether the value is chosen.
    pub fn includes(self, value: T) -> bool {
        self.bits == 0 || self.bits & (1 << value.into()) != 0
    }
}
