//! The header of a file: which of a kind's columns it has, and where.
//!
//! Invariant: a name that the kind does not know, a name twice and a column that is missing are refused before a row is read.

use std::collections::HashSet;

use crate::columns::Column;
use crate::fault::FileError;
use crate::limits::{MAX_COLUMNS, MAX_PARTS};

/// What the columns of a rejects file that are not of the file itself begin with: whoever mends rows leaves them where they are.
pub const REJECT_PREFIX: &str = "reject_";

/// Names in the order of the file.
#[derive(Clone, Debug)]
pub struct Header {
    names: Vec<String>,
}

impl Header {
    /// Check the names against the columns of a kind.
    pub(crate) fn new(names: Vec<String>, columns: &[Column]) -> Result<Self, FileError> {
        if names.is_empty() || names.iter().all(String::is_empty) {
            return Err(FileError::Refused("the file has no header: its first row names the columns".into()));
        }
        if names.len() > MAX_COLUMNS {
            let problem = format!("the header has {} columns, at most {MAX_COLUMNS} are taken", names.len());
            return Err(FileError::Refused(problem));
        }
        let mut seen = HashSet::new();
        let own = |name: &&String| !name.starts_with(REJECT_PREFIX);
        let twice: Vec<_> = names.iter().filter(|name| !seen.insert(name.as_str())).collect();
        refuse("columns that stand twice", &twice)?;
        let unknown: Vec<_> = names.iter().filter(own).filter(|name| !is_known(name, columns)).collect();
        refuse("unknown columns", &unknown)?;
        let required = columns.iter().filter(|column| column.required).map(|column| column.name);
        let mut missing: Vec<String> = required.filter(|name| !seen.contains(name)).map(str::to_owned).collect();
        missing.extend(missing_of_parts(&seen, columns));
        missing.dedup();
        refuse("missing columns", &missing)?;
        Ok(Self { names })
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Where a column stands.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|other| other == name)
    }

    /// Where a column stands that every file of the kind has.
    pub(crate) fn required(&self, name: &str) -> usize {
        self.find(name).expect("a checked header has the columns that are required")
    }

    /// Where a column that comes several times stands for its `n`-th part, counted from 0.
    pub(crate) fn find_part(&self, name: &str, part: usize) -> Option<usize> {
        self.find(&numbered(name, part))
    }

    /// Columns of the file itself, without those of a rejects file.
    pub(crate) fn own(&self) -> impl Iterator<Item = usize> {
        let own = |cell: &usize| !self.names[*cell].starts_with(REJECT_PREFIX);
        (0..self.names.len()).filter(own)
    }
}

fn refuse<T: AsRef<str>>(what: &str, names: &[T]) -> Result<(), FileError> {
    if names.is_empty() {
        return Ok(());
    }
    // Of what is no header at all, a few names tell enough.
    let shown: Vec<String> = names.iter().take(10).map(|name| format!("{:?}", shortened(name.as_ref()))).collect();
    let more = if names.len() > shown.len() { ", ..." } else { "" };
    Err(FileError::Refused(format!("{what}: {}{more}", shown.join(", "))))
}

fn shortened(name: &str) -> String {
    name.chars().take(40).collect()
}

fn numbered(name: &str, part: usize) -> String {
    if part == 0 { name.to_owned() } else { format!("{name}_{}", part + 1) }
}

fn is_known(name: &str, columns: &[Column]) -> bool {
    columns.iter().any(|column| {
        let times = if column.part.is_some() { MAX_PARTS } else { 1 };
        (0..times).any(|part| name == numbered(column.name, part))
    })
}

/// Columns without which a part of a person that has others would be passed over.
fn missing_of_parts(seen: &HashSet<&str>, columns: &[Column]) -> Vec<String> {
    let mut missing = Vec::new();
    for number in 0..MAX_PARTS {
        let there = |column: &Column| seen.contains(numbered(column.name, number).as_str());
        let begun: HashSet<&str> = columns.iter().filter(|c| there(c)).filter_map(|c| Some(c.part?.name)).collect();
        let lacks = |column: &&Column| {
            column.part.is_some_and(|part| part.needed && begun.contains(part.name)) && !there(column)
        };
        missing.extend(columns.iter().filter(lacks).map(|column| numbered(column.name, number)));
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::Kind;

    fn refusal(names: &[&str]) -> String {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Header::new(names, Kind::Accounts.columns()).expect_err("it is refused").to_string()
    }

    #[test]
    fn columns_that_are_unknown_missing_or_there_twice_are_refused_by_their_names() {
        assert_eq!(refusal(&["amount_fen", "period_key", "purse"]), "unknown columns: \"purse\"");
        assert_eq!(refusal(&["amount_fen", "person_id"]), "missing columns: \"period_key\"");
        let twice = ["amount_fen", "period_key", "period_key"];
        assert_eq!(refusal(&twice), "columns that stand twice: \"period_key\"");
        assert!(refusal(&[""]).contains("no header"));
        assert!(refusal(&["amount_fen"; MAX_COLUMNS + 1]).contains("at most 128"));
    }

    #[test]
    fn only_parts_of_which_a_person_may_have_several_have_columns_with_numbers() {
        let cases =
            [("region_2", true), ("region_4", true), ("region_5", false), ("region_1", false), ("name_2", false)];
        for (name, known) in cases {
            assert_eq!(is_known(name, Kind::Persons.columns()), known, "{name}");
        }
    }

    #[test]
    fn a_part_that_lacks_a_column_is_refused_and_never_passed_over() {
        let whole = Kind::Persons.columns().iter().filter(|column| column.required).map(|column| column.name);
        let with = |name: &'static str| whole.clone().chain([name]).map(str::to_owned).collect();
        let refused = |name| Header::new(with(name), Kind::Persons.columns()).unwrap_err().to_string();
        assert_eq!(refused("certificate_number_2"), "missing columns: \"certificate_kind_2\"");
        let spell = "missing columns: \"insurance_type_3\", \"region_3\", \"category_3\", \"from_date_3\"";
        assert_eq!(refused("status_3"), spell);
        assert_eq!(refused("entitlement_name"), "missing columns: \"entitlement_from_date\"");
        assert!(Header::new(with("to_date"), Kind::Persons.columns()).is_ok());
    }
}
