//! The caller's side of a batch: commands put together for a hub, and what it answered.
//!
//! Invariant: what is appended is exactly what `protos/` declares; whether a request may be asked is for whoever decodes it.
//! Leaves out: how a message travels, and what becomes of a refusal.

use prost::Message;

use crate::append::append_field;
use crate::v1;

/// Field of `BatchSubmitRequest` and `BatchStreamRequest`.
const COMMANDS: u32 = 1;

/// Appends one more command to an encoded `BatchSubmitRequest` or `BatchStreamRequest`, whose shapes are the same.
pub fn append_command(command: v1::command::Command, out: &mut Vec<u8>) {
    append_field(COMMANDS, &v1::Command { command: Some(command) }, 0, out);
}

/// What a hub answered to a batch; none where the bytes are no answer.
pub fn batch_answer(bytes: &[u8]) -> Option<v1::BatchSubmitResponse> {
    v1::BatchSubmitResponse::decode(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Operation;
    use crate::decode::split_batch;

    #[test]
    fn appended_commands_are_split_again_in_their_order() {
        let get = |person_id| {
            let key = Some(v1::persons_get_request::Key::PersonId(person_id));
            v1::command::Command::PersonsGet(v1::PersonsGetRequest { key })
        };
        let list = v1::command::Command::FilingsList(v1::FilingsListRequest { person_id: 7, page: None });
        let mut bytes = Vec::new();
        append_command(get(3), &mut bytes);
        append_command(list, &mut bytes);
        append_command(get(4), &mut bytes);
        let told = split_batch(&bytes).expect("it is a batch");
        let operations: Vec<_> = told.iter().map(|item| item.as_ref().expect("well formed").0).collect();
        assert_eq!(operations, [Operation::PersonsGet, Operation::FilingsList, Operation::PersonsGet]);
        assert_eq!(told[2].as_ref().unwrap().1, [8, 4]);
    }

    #[test]
    fn what_is_no_answer_is_none() {
        assert_eq!(batch_answer(&[0x0A, 0x05, 0x01]), None);
        assert_eq!(batch_answer(&[]), Some(v1::BatchSubmitResponse::default()));
    }
}
