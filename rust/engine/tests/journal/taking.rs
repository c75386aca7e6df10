//! Reading on behind the writer: whoever takes the journal sees each durable frame once, in order, and no other.

use medsettle_engine::journal::{Appended, FrameReader};
use medsettle_engine::storage::simulated::SimulatedDisk;

use crate::support::{body, open};

#[test]
fn a_reader_goes_on_where_it_ended_over_frames_and_segments_written_since() {
    let disk = SimulatedDisk::new();
    let mut session = open(&disk).expect("opens");
    let reader: Box<dyn FrameReader> = Box::new(session.journal.durable());
    let mut frames = reader.read(1).expect("reads");
    let mut next = 1;
    for round in 0..40 {
        let bodies: Vec<_> = (0..3).map(|seed| body(seed + round, [10, 700, 5_000][seed % 3])).collect();
        for body in &bodies {
            assert_eq!(session.append(body), Appended::Durable);
        }
        assert!(frames.next().expect("reads").is_none(), "what became durable since is not taken in by itself");
        frames.go_on();
        for body in &bodies {
            let frame = frames.next().expect("reads").expect("a frame is left");
            assert_eq!((frame.header.number, frame.body), (next, body.as_slice()));
            let content = frame.content();
            assert_eq!(content[content.len() - body.len()..], body[..]);
            next += 1;
        }
        assert_eq!(reader.tail().number, next - 1);
    }
    assert!(session.journal.durable().tail().number > 100);
}
