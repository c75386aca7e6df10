//! What each event does to a zone of a card, as one table from application to cancellation.
//!
//! Invariant: a zone that is dead (failed, formally lost, cancelled) or whose generation is over never comes into use again.
//! Leaves out: what must hold between the cards of a person (`decide::cards`).

use super::{Card, FailureCause, Loss, Moment, Shown, Zone, ZoneKind, ZoneState};
use crate::reject::Reject;

/// Something that happens to a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The application fails.
    FailApplication(FailureCause),
    /// The card is made.
    MarkMade,
    /// The holder collects the card.
    HandOver,
    /// The zone comes into use, at a desk or by its first use.
    Enable,
    /// The zone is reported lost.
    ReportLoss(Loss),
    /// A temporary loss is withdrawn.
    WithdrawLoss,
    /// Too many wrong PINs, or a counter that jumped or ran out.
    Lock,
    /// A desk gives the zone back to its holder.
    Unlock,
    /// Another card of the person comes into use in its place.
    Supersede,
    /// The card ends at a desk, or with the insured region.
    Cancel,
}

impl Event {
    /// Its name in a refusal.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FailApplication(_) => "FAIL_APPLICATION",
            Self::MarkMade => "MARK_MADE",
            Self::HandOver => "HAND_OVER",
            Self::Enable => "ENABLE",
            Self::ReportLoss(_) => "REPORT_LOSS",
            Self::WithdrawLoss => "WITHDRAW_LOSS",
            Self::Lock => "LOCK",
            Self::Unlock => "UNLOCK",
            Self::Supersede => "SUPERSEDE",
            Self::Cancel => "CANCEL",
        }
    }
}

impl Zone {
    /// The zone after an event, or the refusal: `-` is `CARD_STATE_FORBIDS`, "lost" is `CARD_LOST`.
    ///
    /// The last two columns are no commands: they come with time. A zone that they leave as it is shows what it showed.
    ///
    /// | state | FailApplication | MarkMade | HandOver | Enable | TemporaryLoss | FormalLoss | WithdrawLoss | Lock | Unlock | Supersede | Cancel | LossEnds | Retire |
    /// | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
    /// | Applied | Failed | Made | - | - | - | - | - | - | - | - | Cancelled | same | Retired |
    /// | Failed | - | - | - | - | - | - | - | - | - | - | - | same | same |
    /// | Made | - | - | Issued | - | - | - | - | - | - | Cancelled | Cancelled | same | Retired |
    /// | Issued | - | - | - | Enabled | TempLost | FormalLost | - | Locked | - | Cancelled | Cancelled | same | Retired |
    /// | Enabled | - | - | - | - | TempLost | FormalLost | - | Locked | - | Cancelled | Cancelled | same | Retired |
    /// | Locked | - | - | - | - | TempLost | FormalLost | - | - | before | Cancelled | Cancelled | same | Retired |
    /// | TempLost | - | - | - | lost | lost | FormalLost | before | - | lost | Cancelled | Cancelled | before | Retired |
    /// | FormalLost | - | - | - | - | - | - | - | - | - | Cancelled | - | same | same |
    /// | Cancelled | - | - | - | - | - | - | - | - | - | - | - | same | same |
    /// | Retired | - | - | - | - | - | - | - | - | - | Cancelled | Cancelled | same | same |
    pub fn after(self, event: Event, at: Moment) -> Result<Self, Reject> {
        use ZoneState::{Applied, Cancelled, Enabled, Failed, FormalLost, Issued, Made};
        let now = |state| Ok(Self { state, ..self });
        let shown = self.shown(at);
        match (shown, event) {
            (Shown::Plain(Applied), Event::FailApplication(cause)) => now(Failed(cause)),
            (Shown::Plain(Applied), Event::MarkMade) => now(Made),
            (Shown::Plain(Made), Event::HandOver) => now(Issued),
            (Shown::Plain(Issued), Event::Enable) => now(Enabled),
            (Shown::Plain(Issued | Enabled) | Shown::Locked, Event::ReportLoss(Loss::Temporary)) => {
                Ok(self.lost_from(at.now_ms))
            }
            (Shown::TempLost(until), Event::Enable | Event::ReportLoss(Loss::Temporary) | Event::Unlock) => {
                Err(Reject::CardLost { until_ms: Some(until) })
            }
            (Shown::Plain(Issued | Enabled) | Shown::Locked | Shown::TempLost(_), Event::ReportLoss(Loss::Formal)) => {
                now(FormalLost)
            }
            (Shown::TempLost(_), Event::WithdrawLoss) => Ok(Self { lost_until_ms: None, ..self }),
            (Shown::Plain(Issued | Enabled), Event::Lock) => Ok(Self { locked: true, ..self }),
            (Shown::Locked, Event::Unlock) => Ok(Self { locked: false, ..self }),
            (
                Shown::Plain(Made | Issued | Enabled | FormalLost)
                | Shown::Locked
                | Shown::TempLost(_)
                | Shown::Retired,
                Event::Supersede,
            )
            | (
                Shown::Plain(Applied | Made | Issued | Enabled) | Shown::Locked | Shown::TempLost(_) | Shown::Retired,
                Event::Cancel,
            ) => now(Cancelled),
            _ => Err(Reject::CardStateForbids { state: shown.name(), event: event.name() }),
        }
    }
}

impl Card {
    /// The card after an event that concerns both zones alike.
    pub(crate) fn after(&self, event: Event, at: Moment) -> Result<Self, Reject> {
        let insurance = self.insurance.after(event, at)?;
        let bank = self.bank.after(event, at)?;
        Ok(Self { insurance, bank, ..self.clone() })
    }

    /// The zones that an event changes among those named (none names both), and the card after it.
    ///
    /// A zone that refuses stays as it is: whoever reports a card lost wants dead what can still be killed. The event is
    /// refused where it changes no zone.
    pub(crate) fn after_in(
        &self,
        named: &[ZoneKind],
        event: Event,
        at: Moment,
    ) -> Result<(Vec<ZoneKind>, Self), Reject> {
        let mut card = self.clone();
        let mut changed = Vec::new();
        let mut refusal = None;
        for kind in ZoneKind::ALL.into_iter().filter(|kind| named.is_empty() || named.contains(kind)) {
            match self.zone(kind).after(event, at) {
                Ok(zone) => {
                    *card.zone_mut(kind) = zone;
                    changed.push(kind);
                }
                Err(reject) => refusal = refusal.or(Some(reject)),
            }
        }
        match refusal {
            Some(reject) if changed.is_empty() => Err(reject),
            _ => Ok((changed, card)),
        }
    }
}

#[cfg(test)]
mod tests;
