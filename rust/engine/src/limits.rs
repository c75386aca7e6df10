//! Every bound of the engine, each with its reason.

/// Longest body of a frame. It bounds the memory of recovery and of a batch, and keeps one sync below about 10 ms, so
/// that nobody waits long behind another's batch.
pub const MAX_BODY_LEN: usize = 16 << 20;

/// Length of a segment unless configured. Long enough that the busiest hub (about 200 MB of frames a second) changes
/// segments once a second, and that a decade of a province's history is thousands of files, not millions; short enough
/// that recovery reads the unused rest in a fifth of a second, that creating a directory zero-fills one in about the
/// same time, and that an idle hub occupies
/// half a gigabyte (the active segment and the prepared one).
pub const DEFAULT_SEGMENT_LEN: u64 = 256 << 20;

/// Shortest segment: the label block and a few frames. Only tests want one.
pub const MIN_SEGMENT_LEN: u64 = 16 << 10;

/// One read of recovery. Large enough that the call does not matter beside the transfer, small enough for the cache.
pub const READ_WINDOW_LEN: usize = 1 << 20;

/// One write of the preparer. Small, so that a commit never queues behind more than one of them on the device.
pub const FILL_CHUNK_LEN: usize = 256 << 10;

/// Bytes a second at which the preparer fills while it is ahead of the writer: well below what the device can do, so that
/// commits keep their latency. When the writer gains on it, the preparer runs unthrottled.
pub const FILL_BYTES_PER_SECOND: u64 = 64 << 20;

/// Pause of the preparer before it tries again on a full disk: an operator who frees space sees it noticed at once,
/// and the retries cost nothing.
pub const DISK_FULL_RETRY_MS: u64 = 500;

/// How far the wall clock may depart from the monotonic one. Time servers slew; a step this large was somebody's mistake.
pub const CLOCK_TOLERANCE_MS: i64 = 5_000;

/// Commands that may wait unless configured: about what two seconds of the busiest hub bring over unary calls. More would
/// only be answered after their callers' deadlines.
pub const QUEUE_LEN: usize = 8_192;

/// The longest queue that may be configured; beyond it memory, not patience, is the bound.
pub const MAX_QUEUE_LEN: usize = 1 << 20;

/// Commands of one frame: enough that the sync is shared to nothing, few enough that the first does not wait for the last.
pub const MAX_FRAME_COMMANDS: usize = 10_000;

/// Body bytes at which a frame is closed although more is queued: a quarter of the longest body, so that the largest single
/// record still fits behind.
pub const FRAME_BODY_GOAL: usize = MAX_BODY_LEN / 4;

/// Bytes of answers at which a frame is closed although more is queued: the largest stay is about 12 MiB to show, and whoever asks for many
/// lets others through in between.
pub const FRAME_ANSWER_GOAL: usize = 32 << 20;

/// Bytes of answers of one batch; the commands behind are refused undecided. A batch of settlements answers with a tenth of it.
pub const MAX_BATCH_ANSWER_BYTES: usize = 32 << 20;

/// Frames of one message to whoever takes the journal, in bytes: large enough that a backup runs at the speed of the disk, small enough
/// that calls of clerks on the same connection get in between. A longer frame travels alone.
pub const TAKE_PAGE_BYTES: usize = 1 << 20;

/// Bytes after which a piece of a backup is closed and the next begun: what an interrupted backup loses at most.
pub const BACKUP_PIECE_GOAL: u64 = 64 << 20;

/// Requests for pages of the journal that may wait: backups are few.
pub const TAKE_QUEUE_LEN: usize = 16;

/// Places in the journal that are kept open for the next page. More takers than these only cost a search for each page.
pub const MAX_TAKES: usize = 4;

/// Idle time after which a seal frame follows the last business frame: longer than the pauses of a busy day, shorter than it
/// takes an operator to copy a directory.
pub const SEAL_AFTER_MS: u64 = 200;
