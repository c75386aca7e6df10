//! What an operator may set, read from one JSON text.
//!
//! Invariant: an unknown name or a value out of its bounds is an error, never a default.

use std::path::PathBuf;

use medsettle_core::ids::{HubNumber, MAX_HUB_NUMBER};
use serde::Deserialize;

use crate::index::IndexHome;
use crate::keyring::Kek;
use crate::limits::{DEFAULT_SEGMENT_LEN, MAX_QUEUE_LEN, MIN_SEGMENT_LEN, QUEUE_LEN, SEAL_AFTER_MS, SNAPSHOT_SEGMENTS};

/// Threads that may be bound to cores.
const BOUND_THREADS: usize = 4;

/// Settings of an engine.
pub struct Config {
    /// Data directory.
    pub data: PathBuf,
    /// Number of this hub in the country.
    pub hub: HubNumber,
    /// Key-ring file with the key that unwraps it; without one every chip presentation is refused.
    pub keys: Option<(PathBuf, Kek)>,
    /// Length of journal segments made from now on.
    pub segment_len: u64,
    /// Commands that may wait.
    pub queue_len: usize,
    /// Idle time after which the journal is sealed.
    pub seal_after_ms: u64,
    /// Where segments are archived that no start needs; the data directory itself unless told.
    pub archive: Option<PathBuf>,
    /// Segments that are begun between two snapshots; 0 for snapshots only when they are asked for.
    pub snapshot_segments: u64,
    /// Where the records index lies.
    pub index: IndexHome,
    /// Cores to which the preparing, the deciding, the encoding and the writing thread are bound, in this order; those without one are not.
    pub cores: Vec<usize>,
}

/// The JSON text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default = "default_hub")]
    hub_number: u32,
    #[serde(default = "default_segment")]
    segment_bytes: u64,
    #[serde(default = "default_queue")]
    queue_commands: usize,
    #[serde(default = "default_seal")]
    seal_after_ms: u64,
    #[serde(default)]
    archive: Option<PathBuf>,
    #[serde(default = "default_snapshot")]
    snapshot_segments: u64,
    #[serde(default)]
    cores: Vec<usize>,
}

fn default_hub() -> u32 {
    1
}

fn default_segment() -> u64 {
    DEFAULT_SEGMENT_LEN
}

fn default_queue() -> usize {
    QUEUE_LEN
}

fn default_seal() -> u64 {
    SEAL_AFTER_MS
}

fn default_snapshot() -> u64 {
    SNAPSHOT_SEGMENTS
}

/// Settings that cannot be used, in words that name the setting.
#[derive(Debug, thiserror::Error)]
#[error("settings: {0}")]
pub struct ConfigError(String);

impl Config {
    /// Read the settings of a data directory.
    pub fn from_json(data: PathBuf, keys: Option<(PathBuf, Kek)>, json: &str) -> Result<Self, ConfigError> {
        let settings: Settings = serde_json::from_str(json).map_err(|error| ConfigError(error.to_string()))?;
        let Settings { hub_number, segment_bytes, queue_commands, seal_after_ms, archive, snapshot_segments, cores } =
            settings;
        let hub = HubNumber::new(hub_number)
            .ok_or_else(|| ConfigError(format!("hub_number must lie between 1 and {MAX_HUB_NUMBER}")))?;
        if segment_bytes < MIN_SEGMENT_LEN || !segment_bytes.is_multiple_of(4_096) {
            return Err(ConfigError(format!("segment_bytes must be a multiple of 4096, at least {MIN_SEGMENT_LEN}")));
        }
        if queue_commands == 0 || queue_commands > MAX_QUEUE_LEN {
            return Err(ConfigError(format!("queue_commands must lie between 1 and {MAX_QUEUE_LEN}")));
        }
        if seal_after_ms == 0 {
            return Err(ConfigError("seal_after_ms must be at least 1".into()));
        }
        if cores.len() > BOUND_THREADS {
            return Err(ConfigError(format!(
                "cores must name at most {BOUND_THREADS}: to prepare, to decide, to encode, to write"
            )));
        }
        let index = IndexHome::within(&data);
        Ok(Self {
            data,
            hub,
            keys,
            segment_len: segment_bytes,
            queue_len: queue_commands,
            seal_after_ms,
            archive,
            snapshot_segments,
            index,
            cores,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_or_impossible_setting_is_named() {
        for (json, named) in [
            (r#"{"hub_numbr": 1}"#, "hub_numbr"),
            (r#"{"hub_number": 0}"#, "hub_number"),
            (r#"{"segment_bytes": 5000}"#, "segment_bytes"),
            (r#"{"queue_commands": 0}"#, "queue_commands"),
            (r#"{"seal_after_ms": 0}"#, "seal_after_ms"),
            (r#"{"snapshot_segments": -1}"#, "-1"),
            (r#"{"archive": 7}"#, "7"),
            (r#"{"cores": [0, 1, 2, 3, 4]}"#, "cores"),
        ] {
            let error = Config::from_json("data".into(), None, json).err().expect(json);
            assert!(error.to_string().contains(named), "{error}");
        }
        assert!(Config::from_json("data".into(), None, "{}").is_ok());
    }
}
