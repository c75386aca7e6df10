//! A card before the hub: is it right, is it alive, is it the patient's, and did it sign this?
//!
//! Invariant: the order is cryptogram, card, person, amounts, date, counter; a wrong cryptogram learns nothing about the card.

use super::purses;
use crate::card::Card;
use crate::command::{ChipPresentation, Credential, HolderCheck, Presentation, Verdict};
use crate::hub::{Context, Hub};
use crate::money::Fen;
use crate::person::Person;
use crate::reject::Reject;
use crate::settlement::Presented;

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
    /// The card.
    pub(crate) card: &'a Card,
    /// It comes into use with this.
    pub(crate) first_use: bool,
    /// For the settlement's record.
    pub(crate) presented: Presented,
    /// For the chip.
    pub(crate) arpc: [u8; 8],
}

impl Accepted<'_> {
    /// What the holder's own account holds once the card is in use: a first use brings along what older cards hold.
    pub(crate) fn own_balance(&self, hub: &Hub, person: &Person) -> Fen {
        let balance = person.account.balance;
        if self.first_use { balance + purses::incoming(hub, self.card) } else { balance }
    }
}

/// Find the card of a presentation whose cryptogram is right, and see whether it may settle now.
pub(crate) fn card_of<'a>(
    hub: &'a Hub,
    presentation: &Presentation,
    holder_check: HolderCheck,
    context: &Context<'_>,
) -> Result<Accepted<'a>, Reject> {
    let chip = chip(presentation)?;
    let arpc = match context.verdict {
        Verdict::Valid { arpc } => arpc,
        Verdict::SchemeNotAllowed => return Err(Reject::SchemeNotAllowed),
        Verdict::Invalid | Verdict::NotPresented => return Err(Reject::CryptogramInvalid),
    };
    let id = hub.by_pan.get(&chip.pan).ok_or_else(|| Reject::CardUnknown)?;
    let card = hub.card(*id)?;
    let made = card.made.as_ref().ok_or_else(|| Reject::CardUnknown)?;
    if made.card_sn != chip.card_sn {
        return Err(Reject::CardUnknown);
    }
    // The card was made with one scheme and key; another one that also verifies is not this card.
    if made.chip != chip.chip {
        return Err(Reject::SchemeNotAllowed);
    }
    let verified = holder_check != HolderCheck::None || chip.cvr.is_some_and(pin_was_verified);
    let first_use = card.may_settle(context.stamp_ms, verified)?;
    let presented =
        Presented { card: card.id, card_sn: made.card_sn, terminal: presentation.terminal.clone(), atc: chip.atc };
    Ok(Accepted { card, first_use, presented, arpc })
}

/// Compare what the chip signed with what is asked; then its date and its counter.
pub(crate) fn check_signed(
    card: &Card,
    presentation: &Presentation,
    expected: Expected,
    context: &Context<'_>,
) -> Result<(), Reject> {
    let chip = chip(presentation)?;
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
    card.counter.accept(chip.atc).map(|_| ())
}

fn chip(presentation: &Presentation) -> Result<&ChipPresentation, Reject> {
    match &presentation.credential {
        Credential::Chip(chip) => Ok(chip),
        Credential::NotYetAccepted => Err(Reject::CredentialNotAccepted),
    }
}

/// The second byte of the card verification results says whether a PIN was checked by the card, and whether it failed (JR/T 0025.5, annex on CVR).
fn pin_was_verified(cvr: [u8; 4]) -> bool {
    const PERFORMED: u8 = 0b100;
    const FAILED: u8 = 0b10;
    cvr[1] & PERFORMED != 0 && cvr[1] & FAILED == 0
}

#[cfg(test)]
mod tests;
