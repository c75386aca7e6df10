//! Every bound of the engine, each with its reason.

use std::time::Duration;

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

/// Threads that decode bodies ahead of whoever folds them: one folds what about four decode.
pub const MAX_DECODERS: usize = 4;

/// Bytes of frames that are handed to a decoder at once: some hundred records, so that handing over costs nothing beside them, and the piece
/// stays in the cache.
pub const PIECE_GOAL: usize = 128 << 10;

/// Pieces that wait for each decoder and behind it: enough that no thread waits for another's pause, and memory stays a few megabytes.
pub const PIECES_AHEAD: usize = 4;

/// Rows of a snapshot that are handed at once to the thread that puts them into the state: being woken costs little beside them, and they stay in
/// the cache.
pub const ROWS_HANDED_OVER: usize = 256;

/// Hand-overs of rows that wait for it.
pub const ROWS_AHEAD: usize = 4;

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

/// Commands that are prepared together: enough that the lanes of cryptograms are full, few enough that the deciding thread soon has something
/// to decide. The rest of a longer message comes with it.
pub const PREPARED_COMMANDS: usize = 512;

/// Commands of one frame: enough that the sync is shared to nothing, few enough that the first does not wait for the last.
pub const MAX_FRAME_COMMANDS: usize = 10_000;

/// Body bytes at which a frame is closed although more is queued: a quarter of the longest body, so that the largest single
/// record still fits behind.
pub const FRAME_BODY_GOAL: usize = MAX_BODY_LEN / 4;

/// Bytes of answers at which a frame is closed although more is queued: the largest stay is about 12 MiB to show, and whoever asks for many
/// lets others through in between. Responses to what is decided stand in the frame, whose body bounds them.
pub const FRAME_ANSWER_GOAL: usize = 32 << 20;

/// Bytes of answers of one batch; the commands behind are refused undecided. Responses to what is decided are not counted: the body of their
/// frame bounds them, and with it they stay below the 64 MiB that a client takes.
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

/// How long places stay open for which nobody asks: a snapshot that was replaced keeps its room on the disk as long as it is open.
pub const TAKE_IDLE: Duration = Duration::from_mins(1);

/// Idle time after which a seal frame follows the last business frame: longer than the pauses of a busy day, shorter than it
/// takes an operator to copy a directory.
pub const SEAL_AFTER_MS: u64 = 200;

/// How long the keeper waits for the records index to come as far as a snapshot before it looks whether the hub is closing: the index is
/// milliseconds behind, or waits for room.
pub const INDEX_WAIT_MS: u64 = 20;

/// Orders of snapshots and digests that may wait: each holds a view of the state, and with it what has changed since.
pub const MAX_ORDERS: u64 = 4;

/// Segments that are begun between two snapshots unless configured: a start folds at most so many, about a million records each.
pub const SNAPSHOT_SEGMENTS: u64 = 4;

/// The longest row of a snapshot: a stay with all the lines that one may have. It bounds what a damaged length can make a reader allocate.
pub const MAX_ROW_LEN: u32 = 64 << 20;

/// Level at which zstd compresses snapshots and archived frames: the fastest still halves them and keeps up with the disk.
pub const SNAPSHOT_COMPRESSION: i32 = 1;

/// Cache of the records index: the upper levels of its tables and the pages that are being turned. What else is read often, the kernel keeps.
pub const INDEX_CACHE_LEN: u64 = 64 << 20;

/// Write buffer of each of the three tables with large rows. They become files of this size, so it also bounds how many files years of
/// history are: a terabyte is thirty thousand.
pub const INDEX_LARGE_BUFFER_LEN: u64 = 32 << 20;

/// Write buffer of each other table: all of them together are as much as the large ones.
pub const INDEX_SMALL_BUFFER_LEN: u64 = 8 << 20;

/// Block of a table with large rows: several rows compress together, and one read still brings them at once.
pub const INDEX_LARGE_BLOCK_LEN: u32 = 16 << 10;

/// Log of the index: what opening reads, and what an idle table holds back at most. The least that the database takes; each entry costs it two
/// microseconds at every start.
pub const INDEX_LOG_LEN: u64 = 64 << 20;

/// Files of the index that are open at once, well below the 1,024 that a process is usually allowed.
pub const INDEX_OPEN_FILES: usize = 256;

/// Threads that write buffers out and merge files. The first only writes, so that a long merge never keeps a buffer waiting; while all others merge
/// and more is to be merged it asks again and again whether one has ended, which with one other was most of the time.
pub const INDEX_THREADS: usize = 3;

/// Full buffers of one table that wait to be written before the index waits for them.
pub const INDEX_WAITING_BUFFERS: usize = 2;

/// Files of one table that wait to be merged before the index waits for them: each makes reading dearer.
pub const INDEX_WAITING_FILES: usize = 16;

/// How long the threads of the index may show no progress while it waits for them: many times what the longest merge takes. Then they have failed.
pub const INDEX_PATIENCE: Duration = Duration::from_mins(10);

/// Room that the index leaves on its disk: its merges need some while they run, and so does the journal's next segment.
pub const INDEX_RESERVE: u64 = 256 << 20;

/// Bytes of rows after which they are written to disk as one batch: large enough that a batch costs nothing beside its rows.
pub const INDEX_COMMIT_GOAL: usize = 1 << 20;

/// Bytes of rows that may wait in memory for room while a journal is opened: one batch, for a hub refuses new work when one finds no room.
/// So a hub that was killed on a full disk opens again and can be read.
pub const INDEX_FULL_LEN: usize = INDEX_COMMIT_GOAL;

/// Bytes of answers and facts that are handed to the index at once while a journal is opened, so that it begins before a long frame ends.
pub const INDEX_HAND_OVER_LEN: usize = 32 << 10;

/// Hand-overs that may wait, together some 32 MiB while a journal is opened, and twice that by bounds behind the encoding thread. When the index falls further behind, deciding waits for it: memory is bounded, patience is not.
pub const INDEX_QUEUE: usize = 1_024;

/// Bytes of decisions, by their bounds, that are handed to the encoding thread at once, and by it to the index: a dozen settlements. It begins while
/// more are decided, and being woken costs little beside them.
pub const STEPS_HANDED_OVER: usize = 64 << 10;

/// How far stamps of records that the index has not taken in, or not in its store, may lie apart: far less than the 72 hours for which the state knows request
/// ids itself, so that one of both always knows.
pub const INDEX_MAX_LAG_MS: i64 = 3_600_000;
