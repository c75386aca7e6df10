//! What a file is told by: its length and the hash of all its bytes.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::limits::HASH_BYTES;

/// Length and BLAKE3 of a file; `progress` gets the bytes done and the bytes in all.
pub fn fingerprint(path: &Path, progress: &mut dyn FnMut(u64, u64)) -> io::Result<(u64, String)> {
    let mut file = File::open(path)?;
    let total = file.metadata()?.len();
    let mut hash = blake3::Hasher::new();
    let mut buffer = vec![0; HASH_BYTES];
    let mut done = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((done, hash.finalize().to_string())),
            Ok(read) => {
                hash.update(&buffer[..read]);
                done += read as u64;
                progress(done, total);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
