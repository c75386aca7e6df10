//! What each event does to a zone of a card, as one table.
//!
//! Invariant: a dead zone (failed, formally lost, cancelled, retired) never comes into use again.
//! Leaves out: what must hold between the cards of a person (`decide::cards`).

use super::{Card, FailureCause, Loss, Shown, TEMPORARY_LOSS_MS, Zone, ZoneKind, ZoneState};
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
    /// The zone comes into use.
    Enable,
    /// The zone is reported lost.
    ReportLoss(Loss),
    /// A temporary loss is withdrawn.
    WithdrawLoss,
    /// The card ends at a desk.
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
            Self::Cancel => "CANCEL",
        }
    }
}

impl Zone {
    /// The zone after an event, or the refusal: `-` is `CARD_STATE_FORBIDS`, "lost" is `CARD_LOST`.
    ///
    /// | state | FailApplication | MarkMade | HandOver | Enable | TemporaryLoss | FormalLoss | WithdrawLoss | Cancel |
    /// | --- | --- | --- | --- | --- | --- | --- | --- | --- |
    /// | Applied | Failed | Made | - | - | - | - | - | Cancelled |
    /// | Failed | - | - | - | - | - | - | - | - |
    /// | Made | - | - | Issued | - | - | - | - | Cancelled |
    /// | Issued | - | - | - | Enabled | TempLost | FormalLost | - | Cancelled |
    /// | Enabled | - | - | - | - | TempLost | FormalLost | - | Cancelled |
    /// | Locked | - | - | - | - | TempLost | FormalLost | - | Cancelled |
    /// | TempLost | - | - | - | lost | lost | FormalLost | before | Cancelled |
    /// | FormalLost | - | - | - | - | - | - | - | Cancelled |
    /// | Cancelled | - | - | - | - | - | - | - | - |
    /// | Retired | - | - | - | - | - | - | - | - |
    pub fn after(self, event: Event, now_ms: i64) -> Result<Self, Reject> {
        use ZoneState::{Applied, Cancelled, Enabled, Failed, FormalLost, Issued, Locked, Made};
        let now = |state| Ok(Self { state, ..self });
        match (self.shown(now_ms), event) {
            (Shown::Plain(Applied), Event::FailApplication(cause)) => now(Failed(cause)),
            (Shown::Plain(Applied), Event::MarkMade) => now(Made),
            (Shown::Plain(Made), Event::HandOver) => now(Issued),
            (Shown::Plain(Issued), Event::Enable) => now(Enabled),
            (Shown::Plain(Issued | Enabled | Locked), Event::ReportLoss(Loss::Temporary)) => {
                Ok(Self { lost_until_ms: Some(now_ms + TEMPORARY_LOSS_MS), ..self })
            }
            (Shown::TempLost(until), Event::Enable | Event::ReportLoss(Loss::Temporary)) => {
                Err(Reject::CardLost { until_ms: Some(until) })
            }
            (Shown::Plain(Issued | Enabled | Locked) | Shown::TempLost(_), Event::ReportLoss(Loss::Formal)) => {
                now(FormalLost)
            }
            (Shown::TempLost(_), Event::WithdrawLoss) => Ok(Self { lost_until_ms: None, ..self }),
            (
                Shown::Plain(Applied | Made | Issued | Enabled | Locked | FormalLost) | Shown::TempLost(_),
                Event::Cancel,
            ) => now(Cancelled),
            _ => Err(Reject::CardStateForbids { state: self.state, event: event.name() }),
        }
    }
}

impl Card {
    /// The card after an event that concerns both zones alike.
    pub(crate) fn after(&self, event: Event, now_ms: i64) -> Result<Self, Reject> {
        let insurance = self.insurance.after(event, now_ms)?;
        let bank = self.bank.after(event, now_ms)?;
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
        now_ms: i64,
    ) -> Result<(Vec<ZoneKind>, Self), Reject> {
        let mut card = self.clone();
        let mut changed = Vec::new();
        let mut refusal = None;
        for kind in ZoneKind::ALL.into_iter().filter(|kind| named.is_empty() || named.contains(kind)) {
            match self.zone(kind).after(event, now_ms) {
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
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000;
    const CAUSE: FailureCause = FailureCause::NoValidPhoto;

    fn events(name: &str) -> Event {
        match name {
            "FailApplication" => Event::FailApplication(CAUSE),
            "MarkMade" => Event::MarkMade,
            "HandOver" => Event::HandOver,
            "Enable" => Event::Enable,
            "TemporaryLoss" => Event::ReportLoss(Loss::Temporary),
            "FormalLoss" => Event::ReportLoss(Loss::Formal),
            "WithdrawLoss" => Event::WithdrawLoss,
            "Cancel" => Event::Cancel,
            other => panic!("the table names an event {other}"),
        }
    }

    fn state(name: &str) -> ZoneState {
        match name {
            "Applied" => ZoneState::Applied,
            "Failed" => ZoneState::Failed(CAUSE),
            "Made" => ZoneState::Made,
            "Issued" => ZoneState::Issued,
            "Enabled" => ZoneState::Enabled,
            "FormalLost" => ZoneState::FormalLost,
            "Locked" => ZoneState::Locked,
            "Cancelled" => ZoneState::Cancelled,
            "Retired" => ZoneState::Retired,
            other => panic!("the table names a state {other}"),
        }
    }

    /// Zones that show a state of the table: each state that a temporary loss can hide, with the loss and after its end.
    fn zones(name: &str) -> Vec<Zone> {
        let hidden = [ZoneState::Issued, ZoneState::Enabled, ZoneState::Locked];
        let lost = |until| hidden.map(|state| Zone { state, lost_until_ms: Some(until) });
        match name {
            "TempLost" => lost(NOW + 1).to_vec(),
            plain => [None, Some(NOW)].map(|lost_until_ms| Zone { state: state(plain), lost_until_ms }).to_vec(),
        }
    }

    fn expected(zone: Zone, event: Event, cell: &str) -> Result<Zone, Reject> {
        match cell {
            "-" => Err(Reject::CardStateForbids { state: zone.state, event: event.name() }),
            "lost" => Err(Reject::CardLost { until_ms: Some(NOW + 1) }),
            "TempLost" => Ok(Zone { lost_until_ms: Some(NOW + TEMPORARY_LOSS_MS), ..zone }),
            "before" => Ok(Zone { lost_until_ms: None, ..zone }),
            plain => Ok(Zone { state: state(plain), ..zone }),
        }
    }

    #[test]
    fn every_event_in_every_state_does_what_the_table_says() {
        let mut rows = include_str!("transition.rs").lines().filter_map(|line| line.trim().strip_prefix("/// |"));
        let cells = |row: &'static str| row.trim_end_matches('|').split('|').map(str::trim).collect::<Vec<_>>();
        let header = cells(rows.next().unwrap());
        let mut walked = 0;
        for row in rows.skip(1).map(cells) {
            assert_eq!(row.len(), header.len(), "{row:?}");
            for zone in zones(row[0]) {
                for (event, cell) in header[1..].iter().map(|name| events(name)).zip(&row[1..]) {
                    assert_eq!(zone.after(event, NOW), expected(zone, event, cell), "{} {event:?}", row[0]);
                    walked += 1;
                }
            }
        }
        // Nine plain states twice and three hidden ones, times eight events.
        assert_eq!(walked, (9 * 2 + 3) * 8);
    }

    #[test]
    fn a_loss_report_kills_the_zone_that_it_can_and_leaves_the_other() {
        let person = crate::ids::PersonId(1);
        let region = crate::ids::RegionCode::parse("110000").unwrap();
        let mut card = Card::applied(crate::ids::CardId(2), person, region, "3".into(), None);
        card.insurance.state = ZoneState::Enabled;
        card.bank = Zone { state: ZoneState::Enabled, lost_until_ms: Some(NOW + 1) };
        let temporary = Event::ReportLoss(Loss::Temporary);
        let (changed, after) = card.after_in(&[], temporary, NOW).unwrap();
        assert_eq!(changed, [ZoneKind::Insurance]);
        assert_eq!(after.bank, card.bank, "a second report extends nothing");
        assert_eq!(card.after_in(&[ZoneKind::Bank], temporary, NOW), Err(Reject::CardLost { until_ms: Some(NOW + 1) }));
    }
}
