//! The closed lists of the core and the enums of the contract: the same values under the same names.
//!
//! Invariant: both directions are exhaustive, so a value that one side adds does not compile until the other knows it.

use medsettle_core::account::AccountKind;
use medsettle_core::alert::{AlertKind, Apart};
use medsettle_core::card::{CancelCause, CardState, Channel, FailureCause, LockCause, Loss, ZoneKind};
use medsettle_core::catalogue::{CeilingOrder, ItemClass};
use medsettle_core::command::CheckMethod;
use medsettle_core::institution::InstitutionKind;
use medsettle_core::person::{CertificateKind, Sex, SpellStatus};
use medsettle_core::policy::{
    AccountUse, BandBasis, BandMeasure, CapMeasure, Category, Counter, CrossYear, FilingKind, Fund, InsuranceType,
    LayerBase, Level, Mode, OnCancel, OnTransfer, Scope, Unfiled, VisitKind,
};
use medsettle_core::stay::{AdmissionKind, StayState};
use medsettle_cryptogram::Scheme;

use super::check::{Checked, Fault};
use crate::v1;

/// A value of a closed list, with its number in the contract.
pub(crate) trait Coded: Copy {
    /// The value of a number; none for `UNSPECIFIED`.
    fn from_number(number: i32) -> Option<Self>;
    /// Its number.
    fn number(self) -> i32;
    /// Its name in the contract.
    fn contract_name(self) -> &'static str;
}

/// The value of a field that must be given.
pub(crate) fn coded<T: Coded>(number: i32) -> Checked<T> {
    T::from_number(number).ok_or_else(|| Fault::here("is missing"))
}

macro_rules! coded {
    ($($core:ty => $contract:ty { $($value:ident)+ })+) => { $(
        impl Coded for $core {
            fn from_number(number: i32) -> Option<Self> {
                match <$contract>::try_from(number).ok()? {
                    <$contract>::Unspecified => None,
                    $(<$contract>::$value => Some(Self::$value),)+
                }
            }

            fn number(self) -> i32 {
                match self { $(Self::$value => <$contract>::$value as i32,)+ }
            }

            fn contract_name(self) -> &'static str {
                match self { $(Self::$value => <$contract>::$value.as_str_name(),)+ }
            }
        }
    )+ };
}

coded! {
    AccountKind => v1::account::Kind { Insurance Online Offline Purse Bank }
    AccountUse => v1::account_use::Kind { Allowed Forbidden }
    AdmissionKind => v1::admission_kind::Kind { Planned Emergency Transfer }
    AlertKind => v1::alert_rule::Kind {
        TwoPlaces OverlapWithStay ManyInstitutions NearCap SexConflict AgeConflict Readmission WrongCryptograms CounterJump ManyPurchases WrongPins
    }
    Apart => v1::apart::Kind { Region City Province }
    BandBasis => v1::band_basis::Kind { Stay Year }
    BandMeasure => v1::band_measure::Kind { Eligible AfterDeductible }
    CancelCause => v1::cards_cancel_request::Cause { Returned HolderDead IssuedInError RegionChanged }
    CapMeasure => v1::cap_measure::Kind { Fund Eligible }
    CardState => v1::card::State { Applied Failed Made Issued Enabled TempLost FormalLost Locked Cancelled Retired }
    Category => v1::category::Kind { Active Retired Resident }
    CeilingOrder => v1::catalogue::SplitOrder { CeilingFirst FirstPayFirst }
    CertificateKind => v1::certificate::Kind { IdentityCard Passport ResidencePermit Military }
    Channel => v1::channel::Kind { Phone SelfService Desk Bank }
    CheckMethod => v1::holder_check::Method { Photo Pin Face None }
    Counter => v1::counter::Kind { Inpatient Outpatient }
    CrossYear => v1::cross_year::Kind { Whole Split }
    FailureCause => v1::cards_fail_application_request::Cause {
        BankAccountRefused IssuedElsewhere IssuedAsResident LeftEmployer NoValidPhoto NameOrNumberChanged
    }
    FilingKind => v1::filing::Kind { Local LongTerm LongTermAtHome Transfer Emergency OtherTemporary Unfiled }
    Fund => v1::fund::Kind { Pool LargeSum Catastrophic CivilServant Supplement MedicalAid Other }
    InstitutionKind => v1::institution::Kind { Hospital Clinic Pharmacy }
    InsuranceType => v1::insurance_type::Kind { Employee Resident }
    ItemClass => v1::catalogue_item::Class { A B C }
    LayerBase => v1::layer_base::Kind {
        EligibleAfterDeductible Overflow OwnEligibleBurdenOfYear RemainingEligibleBurden
    }
    Level => v1::level::Kind { Three Two One None }
    LockCause => v1::card_locked::Cause { CounterJumped CounterExhausted WrongPins }
    Loss => v1::loss::Kind { Temporary Formal }
    Mode => v1::adjustment::Mode { Points Factor }
    OnCancel => v1::on_cancel::Kind { Keep Readjudicate LastFirst }
    OnTransfer => v1::on_transfer::Kind { Carry StartAnew }
    Scheme => v1::chip::Scheme { PbocSm4 PbocTdes EmvCskTdes EmvAes }
    Scope => v1::scope::Kind { InProvince CrossProvince }
    Sex => v1::sex::Kind { Male Female }
    SpellStatus => v1::insurance_spell::Status { Normal Suspended Ended }
    StayState => v1::stay::State { Open Discharged Settled Void }
    Unfiled => v1::unfiled::Kind { Reduced Refused }
    VisitKind => v1::visit_kind::Kind { Inpatient Outpatient Pharmacy }
    ZoneKind => v1::zone::Kind { Insurance Bank }
}
