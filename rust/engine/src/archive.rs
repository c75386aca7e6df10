//! Segments that no start needs any more, compressed frame by frame, and the view in which they are segments all the same.
//!
//! Invariant: an archived segment reads byte for byte as the segment did, so whoever walks a journal need not know where it lies.
//! Invariant: a segment is removed only when its archived form was read back from the medium, named, and the directory synced.
//! Invariant: nothing in an archive is ever removed or changed, whichever hub it is of.
//! FORMAT.md says every byte. Leaves out: which segments are archived, and when (`keeper`).

mod file;
mod place;

use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use self::file::{ArchiveWriter, ArchivedSegment};
use crate::error::{Damage, JournalError};
use crate::index::INDEX_NAME;
use crate::journal::frame::BLOCK_LEN;
use crate::journal::segment::{Label, name_of, number_of};
use crate::journal::{Dialect, DirectoryId, Scanned, SegmentScan, Tail};
use crate::storage::{
    Access, AlignedBuffer, DataDirectory, DirectoryLock, LockError, Storage, StorageFile, open_regular,
};

pub use self::file::{ARCHIVE_MAGIC, ENTRY_FIELDS, FORMAT_VERSION, TRAILER_FIELDS};
pub use self::place::ArchiveError;
pub(crate) use self::place::{segments, take_up};

const SUFFIX: &str = ".archive";
const TEMPORARY_SUFFIX: &str = ".archive.tmp";
/// File of a data directory that names the directory of its archive, for those who read it without its hub's settings.
const POINTER_NAME: &str = "ARCHIVE";

/// Let a data directory say where its archive is.
fn note_archive(data: &Path, archive: &Path) -> io::Result<()> {
    let text = format!("{}\n", archive.display());
    let pointer = data.join(POINTER_NAME);
    if std::fs::read_to_string(&pointer).is_ok_and(|noted| noted == text) {
        return Ok(());
    }
    let mut file = tempfile::NamedTempFile::new_in(data)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(&pointer)?;
    File::open(data)?.sync_all()
}

/// Refuse a place for an archive from which a new records index would throw it away.
pub(crate) fn refuse_within_index(data: &Path, archive: &Path) -> io::Result<()> {
    let (index, archive) = (resolved(&data.join(INDEX_NAME))?, resolved(archive)?);
    if archive.starts_with(&index) {
        let why = "an archive cannot lie within the records index, which is thrown away whenever it is made anew";
        return Err(io::Error::new(ErrorKind::InvalidInput, why));
    }
    Ok(())
}

/// Where a path leads that need not be there yet.
fn resolved(path: &Path) -> io::Result<PathBuf> {
    let mut resolved = PathBuf::new();
    for part in std::path::absolute(path)?.components() {
        if part == Component::ParentDir {
            resolved.pop();
            continue;
        }
        resolved.push(part);
        resolved = resolved.canonicalize().unwrap_or(resolved);
    }
    Ok(resolved)
}

/// The directory that a data directory names as its archive.
fn noted_archive(data: &Path) -> io::Result<Option<PathBuf>> {
    match open_regular(File::options().read(true), &data.join(POINTER_NAME)).and_then(io::read_to_string) {
        Ok(path) => Ok(Some(path.trim_end_matches('\n').into())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Name of archived segment `number`.
pub fn archived_name_of(number: u64) -> String {
    format!("{number:08}{SUFFIX}")
}

/// Name of what is being archived of a data directory: hubs that share an archive do not write over each other.
fn temporary_name_of(directory: DirectoryId) -> String {
    format!("{directory}{TEMPORARY_SUFFIX}")
}

fn archived_number_of(name: &str) -> Option<u64> {
    let number = name.strip_suffix(SUFFIX)?.parse().ok()?;
    (archived_name_of(number) == name).then_some(number)
}

/// Whether a file called `name` is an archived segment.
pub(crate) fn is_archived(name: &str) -> bool {
    archived_number_of(name).is_some()
}

/// A data directory with its archive: one journal from the first segment on. Where a segment lies in both, the directory's is read.
#[derive(Clone)]
pub struct JournalFiles {
    data: Arc<dyn Storage>,
    archive: Arc<dyn Storage>,
}

impl JournalFiles {
    /// The journal in `data` whose older segments lie in `archive`, which may be the same directory.
    pub fn new(data: Arc<dyn Storage>, archive: Arc<dyn Storage>) -> Self {
        Self { data, archive }
    }

    /// The journal in `data`, archived in the same directory.
    pub fn in_one(data: Arc<dyn Storage>) -> Self {
        Self { archive: Arc::clone(&data), data }
    }

    /// The journal of a data directory, archived where its hub was told to.
    pub fn of(data: DataDirectory) -> io::Result<Self> {
        let pointer = |error: io::Error| io::Error::new(error.kind(), format!("{POINTER_NAME}: {error}"));
        let Some(archive) = noted_archive(data.path()).map_err(pointer)? else {
            return Ok(Self::in_one(Arc::new(data)));
        };
        let named = |error: io::Error| {
            io::Error::new(error.kind(), format!("its archive {} cannot be read: {error}", archive.display()))
        };
        let archive = DataDirectory::existing(&archive).map_err(named)?;
        Ok(Self::new(Arc::new(data), Arc::new(archive)))
    }

    fn is_archived(&self, name: &str) -> Option<u64> {
        let number = number_of(name)?;
        let lies_there = |storage: &dyn Storage, name: &str| storage.exists(name).unwrap_or(false);
        (!lies_there(&*self.data, name) && lies_there(&*self.archive, &archived_name_of(number))).then_some(number)
    }

    /// The data directory alone.
    pub(crate) fn in_data(&self) -> Arc<dyn Storage> {
        Arc::clone(&self.data)
    }

    fn is_in_one(&self) -> bool {
        Arc::ptr_eq(&self.data, &self.archive)
    }

    /// A directory without the segments before is not the archive: a place where its disk is to be mounted, perhaps.
    fn check_place(&self, number: u64) -> Result<(), JournalError> {
        let before = archived_name_of(number - 1);
        if number == 1 || self.is_in_one() || self.archive.exists(&before).unwrap_or(false) {
            return Ok(());
        }
        let lacking = io::Error::new(ErrorKind::NotFound, format!("{before} is not there; is it mounted?"));
        Err(JournalError::io("archiving in", self.archive.path_of(""))(lacking))
    }

    /// Move a segment to the archive. It must be full: nobody appends to it any more. What lies there under its name already, from a time
    /// when the hub was killed in between, must be the same; anything else is refused, and both are kept.
    pub fn archive(&self, identity: &Label, number: u64, schema: u32) -> Result<(), JournalError> {
        self.check_place(number)?;
        let (name, archived, temporary) =
            (name_of(number), archived_name_of(number), temporary_name_of(identity.directory));
        let io = |action| JournalError::io(action, self.archive.path_of(&archived));
        let read_back = |name: &str| {
            let alone = Alone { archive: &*self.archive, name, number };
            walk(&alone, identity, number, schema, &mut |_, _| Ok(()))
        };
        let here = if self.archive.exists(&archived).map_err(io("looking for"))? {
            walk(&*self.data, identity, number, schema, &mut |_, _| Ok(()))?
        } else {
            let here = self.write(identity, number, schema, &temporary)?;
            if read_back(&temporary)? != here {
                let differs = "it does not read as the segment does";
                return Err(io("comparing")(io::Error::new(ErrorKind::InvalidData, differs)));
            }
            self.archive.rename_new(&temporary, &archived).map_err(io("naming"))?;
            here
        };
        // What has the name may be of another time, of another hub, or of a copy of this one that writes there too.
        if read_back(&archived)? != here {
            let differs = "it differs from the segment; both are kept";
            return Err(io("comparing")(io::Error::new(ErrorKind::AlreadyExists, differs)));
        }
        self.archive.sync_directory().map_err(io("syncing the directory of"))?;
        let gone = |action| JournalError::io(action, self.data.path_of(&name));
        self.data.remove(&name).map_err(gone("removing"))?;
        self.data.sync_directory().map_err(gone("syncing the directory of"))
    }

    fn write(&self, identity: &Label, number: u64, schema: u32, temporary: &str) -> Result<Tail, JournalError> {
        let name = name_of(number);
        let reading = |action| JournalError::io(action, self.data.path_of(&name));
        let writing = |action| JournalError::io(action, self.archive.path_of(temporary));
        let segment = self.data.open(&name, Access::Read).map_err(reading("opening"))?;
        let file = self.archive.create(temporary).map_err(writing("making"))?;
        let mut label = AlignedBuffer::zeroed(BLOCK_LEN);
        segment.read_at(&mut label, 0).map_err(reading("reading"))?;
        let mut out = ArchiveWriter::new(&*file, &label).map_err(writing("beginning"))?;
        let mut bytes = Vec::new();
        let tail = walk(&*self.data, identity, number, schema, &mut |offset, len| {
            bytes.resize(len, 0);
            segment.read_at(&mut bytes, offset).map_err(reading("reading"))?;
            out.frame(offset, &bytes).map_err(writing("writing"))
        })?;
        out.finish().map_err(writing("writing"))?;
        file.sync_data().map_err(writing("syncing"))?;
        Ok(tail)
    }
}

/// Check every frame of a segment; `each` gets the place and length of each. Gives the last one.
fn walk(
    storage: &dyn Storage,
    identity: &Label,
    number: u64,
    schema: u32,
    each: &mut dyn FnMut(u64, usize) -> Result<(), JournalError>,
) -> Result<Tail, JournalError> {
    let mut scan = SegmentScan::open(storage, identity, number, Access::Read)?;
    let mut tail = scan.first_header(schema)?.map_or(Tail::EMPTY, |first| Tail::before(&first));
    let dialect = Dialect { hub: identity.hub, schema };
    loop {
        match scan.next(&tail, dialect)? {
            Scanned::Frame => {
                let frame = scan.frame();
                tail = Tail::after(frame.header, frame.hash);
                each(frame.offset, frame.header.frame_len())?;
            }
            Scanned::End => return Ok(tail),
            Scanned::Torn { frame, offset, .. } => return Err(scan.corrupt(offset, Damage::SectorLost { frame })),
        }
    }
}

impl Storage for JournalFiles {
    fn archive_path(&self) -> Option<PathBuf> {
        (!self.is_in_one()).then(|| self.archive.path_of(""))
    }

    fn path_of(&self, name: &str) -> PathBuf {
        match self.is_archived(name) {
            Some(number) => self.archive.path_of(&archived_name_of(number)),
            None => self.data.path_of(name),
        }
    }

    fn free_bytes(&self) -> Option<u64> {
        self.data.free_bytes()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = self.data.list()?;
        let archived = self.archive.list()?;
        names.extend(archived.iter().filter_map(|name| archived_number_of(name)).map(name_of));
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        Ok(self.data.exists(name)? || self.is_archived(name).is_some())
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn StorageFile>> {
        match self.is_archived(name) {
            Some(_) if access == Access::Write => Err(ErrorKind::PermissionDenied.into()),
            Some(number) => open_archived(&*self.archive, &archived_name_of(number), access),
            None => match (self.data.open(name, access), number_of(name)) {
                // It may have been archived since it was looked for.
                (Err(error), Some(number)) if error.kind() == ErrorKind::NotFound && access != Access::Write => {
                    open_archived(&*self.archive, &archived_name_of(number), access)
                }
                (opened, _) => opened,
            },
        }
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        self.data.create(name)
    }

    fn open_copy(&self, name: &str) -> Option<(PathBuf, io::Result<Box<dyn StorageFile>>)> {
        let archived = archived_name_of(number_of(name)?);
        let lies_there = |storage: &dyn Storage, name: &str| storage.exists(name).unwrap_or(false);
        let lies_twice = lies_there(&*self.data, name) && lies_there(&*self.archive, &archived);
        lies_twice.then(|| (self.archive.path_of(&archived), open_archived(&*self.archive, &archived, Access::Read)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.data.rename(from, to)
    }

    fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        self.data.rename_new(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.data.remove(name)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.data.sync_directory()
    }

    fn lock(&self) -> Result<DirectoryLock, LockError> {
        self.data.lock()
    }
}

fn open_archived(archive: &dyn Storage, name: &str, access: Access) -> io::Result<Box<dyn StorageFile>> {
    Ok(Box::new(ArchivedSegment::open(archive.open(name, access)?)?))
}

/// The archived form of one segment, whatever its file is called, as the medium holds it.
struct Alone<'a> {
    archive: &'a dyn Storage,
    name: &'a str,
    number: u64,
}

impl Storage for Alone<'_> {
    fn path_of(&self, _: &str) -> PathBuf {
        self.archive.path_of(self.name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(vec![name_of(self.number)])
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        Ok(name == name_of(self.number))
    }

    fn open(&self, _: &str, _: Access) -> io::Result<Box<dyn StorageFile>> {
        open_archived(self.archive, self.name, Access::ReadMedium)
    }

    fn create(&self, _: &str) -> io::Result<Box<dyn StorageFile>> {
        Err(ErrorKind::Unsupported.into())
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    fn rename_new(&self, _: &str, _: &str) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    fn lock(&self) -> Result<DirectoryLock, LockError> {
        Err(io::Error::from(ErrorKind::Unsupported).into())
    }
}
