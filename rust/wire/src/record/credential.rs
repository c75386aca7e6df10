//! What was shown, in the journal.

use medsettle_core::ids::{CardId, VoucherId};
use medsettle_core::settlement::CredentialShown;
use medsettle_core::token::TokenId;

use super::facts::card_sn;
use crate::convert::{Checked, Fault, array, at, credential_kind, number, voucher_id};
use crate::v1;
use crate::v1::credential::Kind;

pub(super) fn from_shown(shown: &CredentialShown) -> v1::StoredCredential {
    let mut message = v1::StoredCredential {
        kind: credential_kind(shown) as i32,
        card_id: shown.card().map_or(0, |card| card.0),
        card_sn: shown.card_sn().map(|card_sn| card_sn.to_string()).unwrap_or_default(),
        voucher_id: voucher_id(shown),
        ..Default::default()
    };
    match shown {
        CredentialShown::Chip { atc, .. } => message.atc = u32::from(*atc),
        CredentialShown::Electronic { token, expires_ms, .. } => {
            message.token_id = token.0.to_vec();
            message.token_expires_ms = *expires_ms;
        }
        CredentialShown::Stripe { .. } | CredentialShown::Voucher(_) => {}
    }
    message
}

pub(super) fn shown(message: &v1::StoredCredential) -> Checked<CredentialShown> {
    let card = CardId(message.card_id);
    Ok(match message.kind() {
        Kind::Unspecified => return Err(Fault::of("kind", "is missing")),
        Kind::Chip => {
            CredentialShown::Chip { card, card_sn: card_sn(&message.card_sn)?, atc: at("atc", number(message.atc))? }
        }
        Kind::Stripe => CredentialShown::Stripe { card, card_sn: card_sn(&message.card_sn)? },
        Kind::Electronic => CredentialShown::Electronic {
            card,
            card_sn: card_sn(&message.card_sn)?,
            token: TokenId(at("token_id", array(&message.token_id))?),
            expires_ms: message.token_expires_ms,
        },
        Kind::Voucher => CredentialShown::Voucher(VoucherId(message.voucher_id)),
    })
}
