//! The native extension `medsettle._core`, and the only crate that knows Python. `_core.pyi` says what it promises.
//!
//! Invariant: messages cross as bytes; nothing here reads or makes a field of a settlement.
//! Invariant: no engine thread attaches to the interpreter. Whoever waits for the engine, a disk or a key derivation is
//! detached meanwhile.
//! Invariant: exceptions are the classes of `medsettle.errors`.
//! Leaves out: who may do what (the engine), futures and the life of a hub object (`hub.py`).

#![expect(clippy::needless_pass_by_value, reason = "arguments come from Python as values")]

mod backup;
mod benefit;
mod clock;
mod cryptogram;
mod engine;
mod errors;
mod import;
mod journal;
mod keys;
mod mailbox;
mod past;

/// A request is allocated by the thread of a caller and freed by one of the engine's, all day long; glibc's arenas make that dear.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The module as Python imports it.
#[pyo3::pymodule]
mod _core {
    #[pymodule_export]
    use crate::backup::{Backup, is_backup, restore, verify_backup};
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    #[pymodule_export]
    use crate::benefit::{alert_rules_problems, benefit_quote, catalogue_problems, policy_problems};
    #[pymodule_export]
    use crate::clock::ManualClock;
    #[pymodule_export]
    use crate::cryptogram::cryptogram_answer;
    #[pymodule_export]
    use crate::engine::{Engine, Port};
    #[pymodule_export]
    use crate::import::{FileCheck, FileImport, import_columns, import_fingerprint};
    #[pymodule_export]
    use crate::journal::{Frames, explain, inspect, reindex, verify};
    #[pymodule_export]
    use crate::keys::{
        forbid_core_dumps, keyring_create, keyring_generate, keyring_generate_pin_key, keyring_import_components,
        keyring_import_token_key, keyring_list, keyring_pin_key, keyring_rotate, keyring_token_keys,
    };
    #[pymodule_export]
    use crate::past::Past;
}
