//! Every bound of what may be asked, each with its reason. Bounds of the rules themselves stand in the core.
//!
//! Invariant: a bound may be raised and never lowered, because records of the past are read by the same conversions.

/// Longest encoded request, and longest batch: 10,000 settlements are 3 MB. A package, the largest request, grows in its canonical form to
/// less than twice its size and must fit a frame of 16 MiB of which a quarter may be filled before. The edge refuses by the same number
/// before a request is queued.
pub const MAX_REQUEST_BYTES: usize = 4 << 20;

/// Rows of a page: what a person reads and a listing sends in a few milliseconds.
pub const MAX_PAGE_SIZE: u32 = 500;

/// Rows of a page that names no size.
pub const DEFAULT_PAGE_SIZE: u32 = 100;

/// Characters of a person who acts: a clerk, a collector, a verifier. The national interface has 30 to 50.
pub const MAX_ACTOR: usize = 64;

/// Characters of a terminal's id.
pub const MAX_TERMINAL: usize = 32;

/// Characters of a person's, an institution's or a region's name (`psn_name`, `fixmedins_name`).
pub const MAX_NAME: usize = 200;

/// Characters of a department or an outside slip.
pub const MAX_SHORT_TEXT: usize = 100;

/// Characters of what somebody found who looked at an alert.
pub const MAX_NOTE: usize = 500;

/// The earliest year of birth that an institution may have seen: nobody alive is older.
pub const FIRST_BIRTH_YEAR: i32 = 1_850;

/// Characters of a diagnosis (`dise_name` lists).
pub const MAX_DIAGNOSIS: usize = 500;

/// Characters of an item's code (`med_list_codg` has 50 at most, in use 27).
pub const MAX_ITEM_CODE: usize = 40;

/// Characters of the name of a card generation or an entitlement.
pub const MAX_LABEL: usize = 32;

/// Documents, spells or entitlements of one person. Nobody has more; it keeps a person small in memory.
pub const MAX_PARTS_OF_PERSON: usize = 100;

/// Admissions of an imported year: nobody has more, and the counter keeps far from the end of its 32 bits.
pub const MAX_ADMISSIONS: i32 = 1_000;

/// Text of the problems that a refusal of a package names. A refusal travels in the trailer of a call, of which clients take 8 KiB with
/// everything else in it; `medsettle policy check` has no such bound.
pub const MAX_PROBLEMS_BYTES: usize = 2_048;

/// What JSON adds to the path and the problem of one row.
pub const PROBLEM_FRAME_BYTES: usize = 24;
