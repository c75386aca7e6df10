//! Events of the patients' cards, ready to be decided: loss reports, their withdrawals, and successors that are enabled.

use medsettle_core::card::{Channel, Loss, ZoneKind};
use medsettle_core::command::{CardKey, Command, LossSubject, Reply, Request};

use crate::{Patient, Ward};

/// Numbers of the cards that follow those of the first patients.
const SUCCESSORS: u64 = 1_000_000;

impl Ward {
    /// A temporary loss of a patient's card.
    pub fn loss_report(&mut self, patient: usize) -> Request {
        let subject = LossSubject::Card(CardKey::Id(self.patients[patient].id));
        let (channel, verified_by) = (Channel::Phone, "hotline".into());
        let loss = Loss::Temporary;
        self.request(Command::ReportLoss { subject, loss, zones: Vec::new(), channel, verified_by, holder: None })
    }

    /// The end of that loss.
    pub fn withdrawal(&mut self, patient: usize) -> Request {
        let card = self.patients[patient].id;
        self.request(Command::WithdrawLoss { card, zones: Vec::new(), verified_by: "hotline".into() })
    }

    /// Give every patient a second card that is collected and waits for being enabled in place of the first.
    pub fn issue_successors(&mut self) {
        for patient in 0..self.patients.len() {
            let Patient { card, id, person, .. } = self.patients[patient];
            let successor = Command::ApplyForCard { person, predecessor: Some(id), generation: "3".into() };
            let Reply::CardApplied(id) = self.run(successor) else { panic!("applied") };
            self.issue(id, SUCCESSORS + card);
            self.patients[patient].id = id;
        }
    }

    /// The newest card of a patient comes into use, and the one before ends.
    pub fn enabling(&mut self, patient: usize) -> Request {
        let card = self.patients[patient].id;
        self.request(Command::EnableCard { card, zone: ZoneKind::Insurance })
    }
}
