//! The real disk: a directory of a local file system.
//!
//! Reads and writes past the page cache use `O_DIRECT` where the file system has it and fall back where it has not.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, FileTypeExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, CWD, OFlags, RenameFlags, fadvise, fcntl_getfl, fcntl_setfl, renameat_with};
use rustix::io::Errno;

use super::{Access, DirectoryLock, LockError, Storage, StorageFile};
use crate::error::{Damage, Unreadable};

pub(crate) const LOCK_NAME: &str = "LOCK";
/// Facts name persons: nobody but the hub's user reads them.
const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;
const DIRECT: i32 = OFlags::DIRECT.bits().cast_signed();

/// Make a directory, with those above it, that nobody but the hub's user looks into.
pub(crate) fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path)
}

/// Let nobody but the hub's user look into a directory that an earlier version may have made.
pub(crate) fn close_directory(path: &Path) -> io::Result<()> {
    std::fs::set_permissions(path, Permissions::from_mode(DIRECTORY_MODE))
}

/// Bytes that an ordinary user may still write on the disk of a path.
pub(crate) fn free_bytes(path: &Path) -> io::Result<u64> {
    let free = rustix::fs::statvfs(path)?;
    Ok(free.f_bavail.saturating_mul(free.f_frsize))
}

/// Make a file anew that nobody but the hub's user reads.
pub(crate) fn make_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(path)
}

/// Open the file at `path`; of what else may lie there a pipe would be waited for, and a directory is refused only when it is read.
pub(crate) fn open_regular(options: &OpenOptions, path: &Path) -> io::Result<File> {
    let kind = std::fs::metadata(path)?.file_type();
    let found = match kind {
        _ if kind.is_file() => return options.open(path),
        _ if kind.is_dir() => "a directory",
        _ if kind.is_fifo() => "a named pipe",
        _ if kind.is_socket() => "a socket",
        _ => "a device",
    };
    Err(Unreadable { offset: 0, damage: Damage::NoRegularFile { found } }.into())
}

/// A data directory on a local file system.
#[derive(Debug, Clone)]
pub struct DataDirectory {
    path: PathBuf,
}

impl DataDirectory {
    /// The directory at `path`, which is made if it does not exist.
    pub fn create(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        if !path.is_dir() {
            make_directory(&path)?;
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(parent)?.sync_all()?;
        }
        Ok(Self { path })
    }

    /// The existing directory at `path`, for those who only read.
    pub fn existing(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        if path.is_dir() { Ok(Self { path }) } else { Err(io::Error::new(ErrorKind::NotFound, "no such directory")) }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Storage for DataDirectory {
    fn path_of(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.path.clone() } else { self.path.join(name) }
    }

    fn free_bytes(&self) -> Option<u64> {
        free_bytes(&self.path).ok()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        self.path.join(name).try_exists()
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn StorageFile>> {
        let path = self.path.join(name);
        let file = open_regular(OpenOptions::new().read(true).write(access == Access::Write), &path)?;
        match access {
            Access::Read => fadvise(&file, 0, None, Advice::Sequential)?,
            Access::Write => {}
            Access::ReadMedium => {
                file.sync_data()?;
                fadvise(&file, 0, None, Advice::DontNeed)?;
                if let Ok(direct) = OpenOptions::new().read(true).custom_flags(DIRECT).open(&path) {
                    return Ok(Box::new(DiskFile(direct)));
                }
            }
        }
        Ok(Box::new(DiskFile(file)))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let path = self.path.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).mode(FILE_MODE);
        let file = match options.clone().custom_flags(DIRECT).open(&path) {
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => options.open(&path)?,
            opened => opened?,
        };
        Ok(Box::new(DiskFile(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.path.join(from), self.path.join(to));
        match renameat_with(CWD, &from, CWD, &to, RenameFlags::NOREPLACE) {
            // The file system cannot; a second name is never given over another file either.
            Err(Errno::INVAL) => std::fs::hard_link(&from, &to).and_then(|()| std::fs::remove_file(&from)),
            renamed => Ok(renamed?),
        }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    fn sync_directory(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn lock(&self) -> Result<DirectoryLock, LockError> {
        let path = self.path.join(LOCK_NAME);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE).open(path)?;
        // The directory as well: the file may be removed while it is held, and another one made.
        let directory = File::open(&self.path)?;
        for taken in [&file, &directory] {
            match taken.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let mut holder = String::new();
                    let holder_pid = (&file).read_to_string(&mut holder).ok().and_then(|_| holder.trim().parse().ok());
                    return Err(LockError::Held { holder_pid });
                }
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
        }
        file.set_len(0)?;
        writeln!(&file, "{}", std::process::id())?;
        Ok(DirectoryLock::new(Box::new((file, directory))))
    }
}

struct DiskFile(File);

impl DiskFile {
    /// Run `operation`; where the file system took `O_DIRECT` at opening but refuses it now, go through the page cache.
    fn past_cache<T>(&self, mut operation: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        match operation() {
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                let flags = fcntl_getfl(&self.0)?;
                if !flags.contains(OFlags::DIRECT) {
                    return Err(error);
                }
                fcntl_setfl(&self.0, flags - OFlags::DIRECT)?;
                operation()
            }
            done => done,
        }
    }
}

impl StorageFile for DiskFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            let position = offset + filled as u64;
            let read =
                self.past_cache(|| rustix::io::pread(&self.0, &mut buffer[filled..], position).map_err(Into::into));
            match read? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                read => filled += read,
            }
        }
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let written = self.past_cache(|| self.0.write_at(bytes, offset))?;
        if written == bytes.len() {
            Ok(())
        } else {
            Err(io::Error::new(ErrorKind::WriteZero, format!("short write: {written} of {} bytes", bytes.len())))
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}
