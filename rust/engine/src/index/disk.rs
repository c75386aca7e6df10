//! The store on disk: one database of the crate `fjall` in a directory of its own.
//!
//! Each table with large rows and the one that is asked in vain has a log-structured merge tree of its own, so that rows that come in order
//! are never merged with others; the small ones share a tree of lists, in no order, and one of the rest. A key begins with its table.
//! Invariant: it never writes into the last of the disk, so that the journal, not the index, decides when the disk is full.
//! Invariant: whoever opens it holds the lock of the data directory; a lock file of its own says nothing more.
//! Its memory is bounded by `limits`: one block cache, a write buffer for each tree, one table of open files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use fjall::config::{BlockSizePolicy, BloomConstructionPolicy, CompressionPolicy, FilterPolicy, FilterPolicyEntry};
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode, Slice};
use nix::sys::signal::SigSet;

use super::key::Table;
use super::store::{Change, Pairs, Store, StoreError};
use crate::limits::{
    INDEX_CACHE_LEN, INDEX_LARGE_BLOCK_LEN, INDEX_LARGE_BUFFER_LEN, INDEX_LOG_LEN, INDEX_OPEN_FILES, INDEX_PATIENCE,
    INDEX_RESERVE, INDEX_SMALL_BUFFER_LEN, INDEX_THREADS, INDEX_WAITING_BUFFERS, INDEX_WAITING_FILES,
};
use crate::storage::{close_directory, free_bytes, make_directory};

/// A file beside the tables that says: throw me away.
const CONDEMNED: &str = "condemned";

/// Pause before looking again whether the threads of the database have caught up.
const CATCH_UP: Duration = Duration::from_millis(1);

pub(super) struct Disk {
    path: PathBuf,
    database: Database,
    /// In the order of [`Tree::ALL`].
    trees: Vec<Keyspace>,
}

/// A tree of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tree {
    Settlements,
    Stays,
    Answers,
    Requests,
    Lists,
    Rest,
}

impl Tree {
    const ALL: [Self; 6] = [Self::Settlements, Self::Stays, Self::Answers, Self::Requests, Self::Lists, Self::Rest];

    fn of(table: Table) -> Self {
        match table {
            Table::Settlements => Self::Settlements,
            Table::Stays => Self::Stays,
            Table::Answers => Self::Answers,
            Table::Requests => Self::Requests,
            Table::SettlementsOfYear
            | Table::SettlementsOfCard
            | Table::StaysOf
            | Table::DayRows
            | Table::Statements => Self::Lists,
            Table::Mark
            | Table::Cancellations
            | Table::DayTotals
            | Table::Frames
            | Table::Alerts
            | Table::AlertsOf
            | Table::Unwinds
            | Table::Claims
            | Table::ClaimsOf => Self::Rest,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Settlements => "settlements",
            Self::Stays => "stays",
            Self::Answers => "answers",
            Self::Requests => "requests",
            Self::Lists => "lists",
            Self::Rest => "rest",
        }
    }

    fn options(self) -> KeyspaceCreateOptions {
        let options = KeyspaceCreateOptions::default()
            .data_block_compression_policy(CompressionPolicy::all(CompressionType::Lz4));
        match self {
            Self::Settlements | Self::Stays | Self::Answers => options
                .max_memtable_size(INDEX_LARGE_BUFFER_LEN)
                .data_block_size_policy(BlockSizePolicy::all(INDEX_LARGE_BLOCK_LEN))
                .filter_policy(FilterPolicy::disabled()),
            // Every new request asks for an id that is not there: only here a filter helps.
            Self::Requests => {
                let bloom = FilterPolicyEntry::Bloom(BloomConstructionPolicy::BitsPerKey(10.0));
                options.max_memtable_size(INDEX_SMALL_BUFFER_LEN).filter_policy(FilterPolicy::all(bloom))
            }
            Self::Lists | Self::Rest => {
                options.max_memtable_size(INDEX_SMALL_BUFFER_LEN).filter_policy(FilterPolicy::disabled())
            }
        }
    }
}

impl Disk {
    /// Open or make the database in a directory.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        if path.join(CONDEMNED).exists() {
            return Err(StoreError::Damaged("it was found damaged".into()));
        }
        make_directory(path).and_then(|()| close_directory(path)).map_err(|error| failed(&error))?;
        // A child that outlived a fork may still hold the lock of the file that was; nobody holds that of a new one.
        match fs::remove_file(path.join("lock")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&error)),
            _ => fs::write(path.join("lock"), []).map_err(|error| failed(&error))?,
        }
        // The threads that a database starts inherit that signals are blocked.
        let open = || {
            let _ = SigSet::all().thread_block();
            open_trees(path)
        };
        let opened = thread::scope(|scope| scope.spawn(open).join());
        let (database, trees) = opened.map_err(|_| StoreError::Failed("opening it panicked".into()))??;
        Ok(Self { path: path.to_owned(), database, trees })
    }

    fn tree(&self, table: Table) -> &Keyspace {
        &self.trees[Tree::of(table) as usize]
    }

    /// The database waits inside a commit for ever when its threads have failed, so what makes it wait is waited for here.
    fn wait_for_threads(&self) -> Result<(), StoreError> {
        let waiting = |tree: &Keyspace| (tree.sealed_memtable_count(), tree.l0_table_count(), tree.table_count());
        let behind = |(buffers, files, _): &(usize, usize, usize)| {
            *buffers >= INDEX_WAITING_BUFFERS || *files >= INDEX_WAITING_FILES
        };
        let (mut seen, mut patience) = (Vec::new(), INDEX_PATIENCE);
        loop {
            let now: Vec<_> = self.trees.iter().map(waiting).collect();
            if !now.iter().any(behind) {
                return Ok(());
            }
            if now != seen {
                (seen, patience) = (now, INDEX_PATIENCE);
            }
            let rest = patience.checked_sub(CATCH_UP);
            patience = rest.ok_or_else(|| StoreError::Failed("its threads write nothing any more".into()))?;
            thread::sleep(CATCH_UP);
        }
    }
}

fn open_trees(path: &Path) -> Result<(Database, Vec<Keyspace>), StoreError> {
    let database = Database::builder(path)
        .cache_size(INDEX_CACHE_LEN)
        .max_cached_files(Some(INDEX_OPEN_FILES))
        .max_journaling_size(INDEX_LOG_LEN)
        .manual_journal_persist(true)
        .worker_threads(INDEX_THREADS)
        .open()
        .map_err(|error| failed(&error))?;
    let trees = Tree::ALL.into_iter().map(|tree| database.keyspace(tree.name(), || tree.options()));
    let trees = trees.collect::<Result<Vec<_>, _>>().map_err(|error| failed(&error))?;
    Ok((database, trees))
}

fn failed(error: &dyn std::error::Error) -> StoreError {
    StoreError::Failed(error.to_string())
}

/// A fault of the device may pass; anything else that reading finds will be found again.
fn unread(error: &fjall::Error) -> StoreError {
    match error {
        fjall::Error::Io(_) | fjall::Error::Storage(fjall::LsmError::Io(_)) => failed(error),
        _ => StoreError::Damaged(error.to_string()),
    }
}

impl Store for Disk {
    fn get(&self, table: Table, key: &Slice) -> Result<Option<Slice>, StoreError> {
        self.tree(table).get(key).map_err(|error| unread(&error))
    }

    fn range(&self, table: Table, from: &Slice, to: &Slice) -> Pairs<'_> {
        let rows = self.tree(table).range(from.clone()..to.clone());
        Box::new(rows.map(|row| row.into_inner().map_err(|error| unread(&error))))
    }

    fn commit(&self, changes: &mut dyn Iterator<Item = Change>) -> Result<(), StoreError> {
        if free_bytes(&self.path).map_err(|error| failed(&error))? < INDEX_RESERVE {
            return Err(StoreError::Full);
        }
        self.wait_for_threads()?;
        let mut batch = self.database.batch();
        for (table, key, value) in changes {
            match value {
                Some(value) => batch.insert(self.tree(table), key, value),
                None => batch.remove(self.tree(table), key),
            }
        }
        batch.commit().map_err(|error| failed(&error))
    }

    fn free_bytes(&self) -> Option<u64> {
        free_bytes(&self.path).ok()
    }

    fn persist(&self) -> Result<(), StoreError> {
        self.database.persist(PersistMode::SyncAll).map_err(|error| failed(&error))
    }

    fn condemn(&self) {
        // If even this cannot be written, the next opening finds what was found now.
        let _ = fs::write(self.path.join(CONDEMNED), []);
    }
}
