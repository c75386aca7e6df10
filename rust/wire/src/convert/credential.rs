//! What was shown, as the contract and the journal name it.

use medsettle_core::settlement::CredentialShown;

use crate::v1::credential::Kind;

pub(crate) fn credential_kind(shown: &CredentialShown) -> Kind {
    match shown {
        CredentialShown::Chip { .. } => Kind::Chip,
        CredentialShown::Stripe { .. } => Kind::Stripe,
        CredentialShown::Electronic { .. } => Kind::Electronic,
        CredentialShown::Voucher(_) => Kind::Voucher,
    }
}

/// 0 where no voucher was shown.
pub(crate) fn voucher_id(shown: &CredentialShown) -> u64 {
    match shown {
        CredentialShown::Voucher(voucher) => voucher.0,
        _ => 0,
    }
}
