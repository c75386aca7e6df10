//! What is shown to the hub: is it right, is its card alive, is it the patient's, and did it sign this?
//!
//! Invariant: the order is cryptogram or signature, card, person, amounts, date, counter; a wrong cryptogram learns nothing about the card.
//! Leaves out: what a refusal leaves behind (`aftermath`), and issuing vouchers (`vouchers`).

use super::{cards, purses};
use crate::card::Card;
use crate::command::{CardKey, CheckMethod, ChipPresentation, Credential, HolderCheck, Presentation, Token, Verdict};
use crate::hub::{Context, Hub};
use crate::ids::{CardSn, InstitutionCode};
use crate::money::Fen;
use crate::person::Person;
use crate::reject::Reject;
use crate::settlement::{CredentialShown, Presented};
use crate::stay::{Stay, Voucher};
use crate::token::{MAX_TOKEN_AHEAD_MS, MAX_TOKEN_LIFE_MS};

/// Transaction type that a chip signs at admission (9C).
const TYPE_ADMISSION: u8 = 0x31;

/// ISO 3166 and ISO 4217 both number China 156.
const CHINA: u16 = 156;

/// What a chip must have signed.
#[derive(Clone, Copy)]
pub(crate) enum Expected {
    /// No money, of the type of an admission.
    Admission,
    /// The bill's total and what is drawn from accounts.
    Settlement { total: Fen, account: Fen },
}

/// An accepted presentation.
pub(crate) struct Accepted<'a> {
    /// The card; a voucher stands in for one.
    pub(crate) card: Option<&'a Card>,
    /// Whom the institution saw.
    pub(crate) holder: HolderCheck,
    /// It comes into use with this.
    pub(crate) first_use: bool,
    /// For the settlement's record.
    pub(crate) presented: Presented,
    /// For the chip, where one was shown.
    pub(crate) arpc: Option<[u8; 8]>,
}

impl<'a> Accepted<'a> {
    /// The card, for what no voucher is issued for.
    pub(crate) fn card(&self) -> Result<&'a Card, Reject> {
        self.card.ok_or_else(|| Reject::CredentialNotAccepted)
    }

    /// Whether it settles this stay: a card of its patient, or the voucher that a desk issued for it.
    pub(crate) fn check_stay(&self, stay: &Stay, requested: Fen) -> Result<(), Reject> {
        match (self.card, self.presented.credential) {
            (Some(card), _) if card.person == stay.person => Ok(()),
            (_, CredentialShown::Voucher(id)) => match stay.voucher {
                Some(Voucher { id: issued, account_limit: limit }) if issued == id => {
                    if requested > limit {
                        return Err(Reject::VoucherLimitExceeded { limit, requested });
                    }
                    Ok(())
                }
                _ => Err(Reject::VoucherUnknown(id)),
            },
            _ => Err(Reject::CardNotOfPerson),
        }
    }

    /// What the holder's own account holds once the card is in use: a first use brings along what older cards hold.
    pub(crate) fn own_balance(&self, hub: &Hub, person: &Person) -> Fen {
        let brought = self.card.filter(|_| self.first_use).map(|card| purses::incoming(hub, card));
        person.account.balance + brought.unwrap_or(Fen::ZERO)
    }

    /// A card that proves nothing settles at home only.
    pub(crate) fn check_home(&self, is_local: impl FnOnce() -> bool) -> Result<(), Reject> {
        match self.presented.credential {
            CredentialShown::Stripe { .. } if !is_local() => Err(Reject::CardHomeRegionOnly),
            _ => Ok(()),
        }
    }
}

/// See whether what is shown is right, and whether the card that it shows may settle now.
///
/// | shown | right when | holder |
/// | --- | --- | --- |
/// | chip | the cryptogram is, under the scheme and key that the card was made with, and the card is not blocked here | at first use |
/// | stripe | the card was made without a chip | always |
/// | electronic | an issuer signed the token for this institution, and it is not over | at first use |
/// | voucher | it is the stay's ([`Accepted::check_stay`]) | - |
pub(crate) fn accept<'a>(
    hub: &'a Hub,
    institution: InstitutionCode,
    presentation: &Presentation,
    holder_check: HolderCheck,
    context: &Context<'_>,
) -> Result<Accepted<'a>, Reject> {
    let checked = holder_check.method != CheckMethod::None;
    let (card, credential, verified, arpc) = match &presentation.credential {
        Credential::Chip(chip) => {
            let (card, card_sn, arpc) = card_of_chip(hub, institution, chip, context)?;
            let verified = checked || chip.cvr.is_some_and(pin_was_verified);
            (card, CredentialShown::Chip { card: card.id, card_sn, atc: chip.atc }, verified, Some(arpc))
        }
        Credential::Stripe(card_sn) => {
            let card = cards::find(hub, CardKey::Sn(*card_sn))?;
            if card.has_chip() {
                return Err(Reject::CredentialNotAccepted);
            }
            if !checked {
                return Err(Reject::HolderNotVerified);
            }
            (card, CredentialShown::Stripe { card: card.id, card_sn: *card_sn }, true, None)
        }
        Credential::Electronic(token) => {
            check_token(institution, token, context)?;
            let card = cards::find(hub, CardKey::Sn(token.card_sn))?;
            let Token { id, card_sn, expires_ms, .. } = *token;
            (card, CredentialShown::Electronic { card: card.id, card_sn, token: id, expires_ms }, checked, None)
        }
        Credential::Voucher(voucher) => {
            let credential = CredentialShown::Voucher(*voucher);
            let presented = Presented { credential, terminal: presentation.terminal.clone() };
            return Ok(Accepted { card: None, holder: holder_check, first_use: false, presented, arpc: None });
        }
    };
    let first_use = card.may_settle(hub.moment(card, context.stamp_ms), verified)?;
    let presented = Presented { credential, terminal: presentation.terminal.clone() };
    Ok(Accepted { card: Some(card), holder: holder_check, first_use, presented, arpc })
}

/// The card of a chip whose cryptogram is right.
fn card_of_chip<'a>(
    hub: &'a Hub,
    institution: InstitutionCode,
    chip: &ChipPresentation,
    context: &Context<'_>,
) -> Result<(&'a Card, CardSn, [u8; 8]), Reject> {
    let named = hub.card_with_pan(&chip.pan);
    if let Some(id) = named
        && let Some(until_ms) = hub.wrong_cryptograms.blocked_until(institution, id, context.stamp_ms)
    {
        return Err(Reject::CardBlockedHere { until_ms });
    }
    let arpc = match context.verdict {
        Verdict::Valid { arpc } => arpc,
        Verdict::SchemeNotAllowed => return Err(Reject::SchemeNotAllowed { key_index: chip.chip.key_index }),
        Verdict::Invalid | Verdict::NotPresented | Verdict::Signed => return Err(Reject::CryptogramInvalid),
    };
    let card = hub.card(named.ok_or_else(|| Reject::CardUnknown)?)?;
    let made = card.made.as_ref().ok_or_else(|| Reject::CardUnknown)?;
    if made.card_sn != chip.card_sn {
        return Err(Reject::CardUnknown);
    }
    // The card was made with one scheme and key; another one that also verifies is not this card.
    if made.chip != Some(chip.chip) {
        return Err(Reject::SchemeNotAllowed { key_index: chip.chip.key_index });
    }
    Ok((card, made.card_sn, arpc))
}

fn check_token(institution: InstitutionCode, token: &Token, context: &Context<'_>) -> Result<(), Reject> {
    let lives_ms = token.expires_ms - token.issued_ms;
    if context.verdict != Verdict::Signed
        || token.audience != institution
        || !(1..=MAX_TOKEN_LIFE_MS).contains(&lives_ms)
    {
        return Err(Reject::TokenInvalid);
    }
    let now_ms = context.stamp_ms;
    if now_ms >= token.expires_ms || token.issued_ms > now_ms + MAX_TOKEN_AHEAD_MS {
        return Err(Reject::TokenExpired { expires_ms: token.expires_ms });
    }
    Ok(())
}

/// Compare what was signed with what is asked, then whether it was shown before: a chip's date and counter, a token's name.
pub(crate) fn check_signed(
    hub: &Hub,
    accepted: &Accepted<'_>,
    presentation: &Presentation,
    expected: Expected,
    context: &Context<'_>,
) -> Result<(), Reject> {
    match (&presentation.credential, accepted.card) {
        (Credential::Chip(chip), Some(card)) => check_chip(card, chip, expected, context),
        (Credential::Electronic(token), _) if hub.used_tokens.contains(token.id, token.expires_ms) => {
            Err(Reject::TokenUsed)
        }
        _ => Ok(()),
    }
}

fn check_chip(card: &Card, chip: &ChipPresentation, expected: Expected, context: &Context<'_>) -> Result<(), Reject> {
    check_fields(chip, expected, context)?;
    card.counter.accept(chip.atc).map(|_| ())
}

/// The counter of a card that is shown at a desk, where its chip signs what it would sign at an admission: no money, today.
pub(crate) fn signed_at_desk(
    hub: &Hub,
    card: &Card,
    presentation: &Presentation,
    context: &Context<'_>,
) -> Result<u16, Reject> {
    let Credential::Chip(chip) = &presentation.credential else { return Err(Reject::CredentialNotAccepted) };
    let (shown, ..) = card_of_chip(hub, context.actor.institution, chip, context)?;
    if shown.id != card.id {
        return Err(Reject::malformed("presentation.chip", "is another card"));
    }
    check_fields(chip, Expected::Admission, context)?;
    Ok(chip.atc)
}

fn check_fields(chip: &ChipPresentation, expected: Expected, context: &Context<'_>) -> Result<(), Reject> {
    let (total, account) = match expected {
        Expected::Admission => (Fen::ZERO, Fen::ZERO),
        Expected::Settlement { total, account } => (total, account),
    };
    for (field, signed, expected) in
        [("amount_fen", chip.amount, total), ("other_amount_fen", chip.other_amount, account)]
    {
        if signed != expected {
            return Err(Reject::AmountMismatch { field, signed, expected });
        }
    }
    if chip.terminal_country != CHINA || chip.currency != CHINA {
        return Err(Reject::malformed("presentation.chip.currency", "country and currency must be 156"));
    }
    let is_admission = chip.transaction_type == TYPE_ADMISSION;
    if is_admission != matches!(expected, Expected::Admission) {
        return Err(Reject::malformed("presentation.chip.transaction_type", "is 0x31 at admission and only there"));
    }
    if context.today().nights_until(chip.transaction_date).abs() > 1 {
        return Err(Reject::PresentationStale { transaction_date: chip.transaction_date });
    }
    Ok(())
}

/// The second byte of the card verification results says whether a PIN was checked by the card, and whether it failed (JR/T 0025.5, annex on CVR).
fn pin_was_verified(cvr: [u8; 4]) -> bool {
    const PERFORMED: u8 = 0b100;
    const FAILED: u8 = 0b10;
    cvr[1] & PERFORMED != 0 && cvr[1] & FAILED == 0
}

#[cfg(test)]
mod credentials;
#[cfg(test)]
mod tests;
