//! Files against a model of their own: what is accepted says what the file said, and what is not is told and given back.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use medsettle_core::command::{Command, Request};
use medsettle_core::person::{CertificateKind, SpellStatus};
use medsettle_core::policy::{Category, InsuranceType};
use medsettle_import::{Caller, Check, Import, Kind};
use medsettle_wire::Operation;
use medsettle_wire::decode::{Decoded, decode, split_batch};
use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use proptest::prelude::*;
use tempfile::TempDir;

const NOW_MS: i64 = 1_780_000_000_000;
const PERSONS: &str =
    "name,sex,birth_date,certificate_kind,certificate_number,insurance_type,region,category,from_date,to_date";

fn file(directory: &TempDir, content: impl AsRef<[u8]>) -> PathBuf {
    let path = directory.path().join("file.csv");
    fs::write(&path, content).unwrap();
    path
}

fn begin(path: &Path, kind: Kind) -> Import {
    let caller = Caller { institution: "OPERATOR0001".into(), operator: "import".into() };
    Import::begin(path, kind, caller, 0, [0; 32]).unwrap()
}

/// The commands of the first messages, without answers.
fn first_commands(import: &mut Import) -> Vec<(Operation, Request)> {
    let mut commands = Vec::new();
    while let Some((_, message)) = import.next_message(NOW_MS).unwrap() {
        for item in split_batch(&message).unwrap() {
            let (operation, bytes) = item.unwrap();
            let Decoded::Core { request, .. } = decode(operation, bytes).unwrap() else { panic!("a core command") };
            commands.push((operation, request));
        }
    }
    commands
}

fn enrolments(import: &mut Import) -> Vec<Command> {
    let commands = first_commands(import);
    let enrolment = |(_, request)| match request {
        Request::Command(_, command) => *command,
        Request::Query(..) => panic!("a person is enrolled"),
    };
    commands.into_iter().map(enrolment).collect()
}

/// Rows, fen and the rejects of a check.
fn checked(path: &Path, kind: Kind) -> ((u64, i128), (u64, i128), Vec<u8>) {
    let mut check = Check::open(path, kind).unwrap();
    while check.step().unwrap() {}
    let (good, bad) = (check.totals().imported, check.totals().rejected);
    ((good.rows, good.fen), (bad.rows, bad.fen), check.take_rejects())
}

/// The reasons of a rejects file as (row, field, detail); only for rows without quoted cells in front.
fn reasons(rejects: &[u8]) -> Vec<(String, String, String)> {
    let text = String::from_utf8_lossy(rejects).into_owned();
    let cells = |line: &str| {
        let mut cells = line.splitn(4, ',').map(str::to_owned);
        let (row, field, _reason) = (cells.next().unwrap(), cells.next().unwrap(), cells.next().unwrap());
        (row, field, cells.next().unwrap())
    };
    text.lines().skip(1).map(cells).collect()
}

#[derive(Clone, Debug)]
struct Model {
    name: String,
    male: bool,
    passport: u32,
    employee: bool,
    region: u32,
    from: (i32, u32, u32),
    ends: bool,
}

fn model() -> impl Strategy<Value = Model> {
    let name = "[\u{4e00}-\u{9fa5}a-z,\"' ]{0,10}[\u{4e00}-\u{9fa5}a-z]";
    let rest =
        (any::<bool>(), any::<bool>(), 110_000_u32..820_000, (1950_i32..2030, 1_u32..13, 1_u32..29), any::<bool>());
    (name, any::<u32>(), rest).prop_map(|(name, passport, (male, employee, region, from, ends))| Model {
        name: name.trim().to_owned(),
        male,
        passport,
        employee,
        region,
        from,
        ends,
    })
}

impl Model {
    fn day(&self, year: i32) -> String {
        let (_, month, day) = self.from;
        format!("{year:04}-{month:02}-{day:02}")
    }

    fn cells(&self) -> [String; 10] {
        let named = |yes: bool, a: &str, b: &str| if yes { a } else { b }.to_owned();
        [
            self.name.clone(),
            named(self.male, "MALE", "FEMALE"),
            self.day(self.from.0),
            "PASSPORT".into(),
            format!("P{:09}", self.passport),
            named(self.employee, "EMPLOYEE", "RESIDENT"),
            self.region.to_string(),
            named(self.employee, "ACTIVE", "RESIDENT"),
            self.day(self.from.0),
            if self.ends { self.day(self.from.0 + 1) } else { String::new() },
        ]
    }

    fn line(&self) -> String {
        self.cells().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).join(",")
    }

    fn is(&self, command: &Command) -> bool {
        let Command::EnrollPerson { name, birth_date, certificates, spells, entitlements, .. } = command else {
            return false;
        };
        let [certificate] = &certificates[..] else { return false };
        let [spell] = &spells[..] else { return false };
        let (insurance, category) = if self.employee {
            (InsuranceType::Employee, Category::Active)
        } else {
            (InsuranceType::Resident, Category::Resident)
        };
        **name == self.name
            && birth_date.to_string() == self.day(self.from.0)
            && certificate.kind() == CertificateKind::Passport
            && certificate.number() == format!("P{:09}", self.passport)
            && (spell.insurance_type, spell.category) == (insurance, category)
            && spell.region.get() == self.region
            && spell.status == SpellStatus::Normal
            && spell.from.to_string() == self.day(self.from.0)
            && spell.to.map(|day| day.to_string()) == self.ends.then(|| self.day(self.from.0 + 1))
            && entitlements.is_empty()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_row_that_is_accepted_says_what_the_file_said(models in prop::collection::vec(model(), 1..30)) {
        let directory = tempfile::tempdir().unwrap();
        let lines: Vec<String> = models.iter().map(Model::line).collect();
        let path = file(&directory, format!("{PERSONS}\r\n{}", lines.join("\r\n")));
        prop_assert_eq!(checked(&path, Kind::Persons).0, (models.len() as u64, 0));
        let commands = enrolments(&mut begin(&path, Kind::Persons));
        prop_assert_eq!(commands.len(), models.len());
        for (model, command) in models.iter().zip(&commands) {
            prop_assert!(model.is(command), "{model:?} became {command:?}");
        }
    }

    #[test]
    fn whatever_a_file_holds_it_ends_as_a_refusal_or_as_rows_that_are_counted(
        kind in prop::sample::select(Kind::ALL.to_vec()),
        garbage in prop::collection::vec(any::<u8>(), 0..400),
        rows in prop::collection::vec("[0-9A-Z_,\"\n\r\u{e9}-]{0,60}", 0..10),
        parquet in any::<bool>(),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let header: Vec<&str> = kind.columns().iter().map(|column| column.name).collect();
        let mut content = if parquet { b"PAR1".to_vec() } else { header.join(",").into_bytes() };
        content.extend(b"\n");
        content.extend(rows.join("\n").into_bytes());
        content.extend(&garbage);
        if parquet {
            content.extend(b"PAR1");
        }
        let path = file(&directory, &content);
        if let Ok(mut check) = Check::open(&path, kind) {
            let mut more = true;
            while more {
                match check.step() {
                    Ok(going_on) => more = going_on,
                    Err(_) => break,
                }
            }
            let caller = Caller { institution: "OPERATOR0001".into(), operator: "import".into() };
            let mut import = Import::begin(&path, kind, caller, 0, [0; 32]).unwrap();
            while let Ok(Some(_)) = import.next_message(NOW_MS) {}
        }
    }
}

#[test]
fn the_same_rows_of_a_parquet_file_ask_for_the_same() {
    let schema = "message rows {
        required binary certificate_kind (UTF8); optional binary certificate_number (UTF8); optional int64 person_id;
        required int64 amount_fen; required binary period_key (UTF8);
    }";
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rows");
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(fs::File::create(&path).unwrap(), schema, Arc::default()).unwrap();
    for group in 0..2_i64 {
        let texts = |texts: [&str; 3]| texts.map(ByteArray::from);
        let mut columns = writer.next_row_group().unwrap();
        for column in 0..5 {
            let mut cells = columns.next_column().unwrap().unwrap();
            let written = match column {
                0 => cells.typed::<ByteArrayType>().write_batch(&texts(["", "PASSPORT", ""]), None, None),
                1 => cells.typed::<ByteArrayType>().write_batch(&[ByteArray::from("P1")], Some(&[0, 1, 0]), None),
                2 => cells.typed::<Int64Type>().write_batch(&[7, 8], Some(&[1, 0, 1]), None),
                3 => cells.typed::<Int64Type>().write_batch(&[group + 1, 2, i64::MAX], None, None),
                _ => cells.typed::<ByteArrayType>().write_batch(&texts(["2026-01", "a", "b"]), None, None),
            };
            written.unwrap();
            cells.close().unwrap();
        }
        columns.close().unwrap();
    }
    writer.close().unwrap();

    let group = |first: i64| format!(",,7,{first},2026-01\nPASSPORT,P1,,2,a\n,,8,{},b\n", i64::MAX);
    let header = "certificate_kind,certificate_number,person_id,amount_fen,period_key\n";
    let csv = file(&directory, format!("{header}{}{}", group(1), group(2)));
    assert_eq!(checked(&path, Kind::Accounts), checked(&csv, Kind::Accounts));
    let (of_parquet, of_csv) =
        (begin(&path, Kind::Accounts).next_message(NOW_MS), begin(&csv, Kind::Accounts).next_message(NOW_MS));
    assert_eq!(of_parquet.unwrap(), of_csv.unwrap());
}

#[test]
fn a_parquet_column_of_another_type_is_refused_by_its_name() {
    let directory = tempfile::tempdir().unwrap();
    for (column, told) in [
        ("required double amount_fen", "DOUBLE"),
        ("required int64 amount_fen (DECIMAL(18,2))", "DECIMAL"),
        ("required int64 amount_fen (TIMESTAMP_MILLIS)", "TIMESTAMP_MILLIS"),
        ("repeated int64 amount_fen", "INT64"),
        ("required boolean amount_fen", "BOOLEAN"),
    ] {
        let path = directory.path().join("rows");
        let schema = Arc::new(parse_message_type(&format!("message rows {{ {column}; }}")).unwrap());
        let writer = SerializedFileWriter::new(fs::File::create(&path).unwrap(), schema, Arc::default()).unwrap();
        writer.close().unwrap();
        let refused = Check::open(&path, Kind::Accounts).map(drop).unwrap_err().to_string();
        assert!(refused.contains("\"amount_fen\"") && refused.contains(told), "{refused}");
    }
}

#[test]
fn days_of_a_parquet_file_are_days_of_the_calendar() {
    let schema =
        "message rows { required int32 person_id; required binary kind (UTF8); required binary destination (UTF8);
        required int32 valid_from (DATE); optional int32 valid_to (DATE); }";
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rows");
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(fs::File::create(&path).unwrap(), schema, Arc::default()).unwrap();
    let mut columns = writer.next_row_group().unwrap();
    for cells in [None, Some("TRANSFER"), Some("310000"), None, None].into_iter().enumerate() {
        let mut column = columns.next_column().unwrap().unwrap();
        match cells {
            (_, Some(text)) => {
                column.typed::<ByteArrayType>().write_batch(&[ByteArray::from(text)], None, None).unwrap()
            }
            (0, None) => column.typed::<Int32Type>().write_batch(&[5], None, None).unwrap(),
            (3, None) => column.typed::<Int32Type>().write_batch(&[20_454], None, None).unwrap(),
            _ => column.typed::<Int32Type>().write_batch(&[], Some(&[0]), None).unwrap(),
        };
        column.close().unwrap();
    }
    columns.close().unwrap();
    writer.close().unwrap();
    let (_, request) = first_commands(&mut begin(&path, Kind::Filings)).remove(0);
    let Request::Command(_, command) = request else { panic!("a filing is filed") };
    let Command::File { valid_from, valid_to, .. } = *command else { panic!("a filing is filed") };
    assert_eq!((valid_from.to_string().as_str(), valid_to), ("2026-01-01", None));
}

#[test]
fn what_is_wrong_with_a_row_is_told_by_its_column_and_the_row_given_back() {
    let directory = tempfile::tempdir().unwrap();
    let good = "Li,MALE,1990-01-02,PASSPORT,P1,EMPLOYEE,110100,ACTIVE,2020-01-01,";
    let cases = [
        (good.to_owned(), None),
        (good.replace("MALE", "male"), Some("sex")),
        (good.replace("1990-01-02", "1990-02-30"), Some("birth_date")),
        (good.replace("P1", "p1"), Some("certificate_number")),
        (good.replace("110100", "11010"), Some("region")),
        (good.replace("Li", ""), Some("name")),
        (good.replace("Li", "L\u{0}i"), Some("name")),
        (good.replace("2020-01-01,", "2020-01-01,2019-01-01"), Some("to_date")),
        (good.replace("PASSPORT,P1", "IDENTITY_CARD,000000199003070010"), Some("certificate_number")),
        (good.replace("Li", &"L".repeat(1_025)), Some("name")),
        (format!("{good},more"), Some("")),
        (good.replace(",ACTIVE", ""), Some("")),
    ];
    let lines: Vec<&str> = cases.iter().map(|(line, _)| line.as_str()).collect();
    let path = file(&directory, format!("{PERSONS}\n{}\n", lines.join("\n")));
    let (_, (rejected, _), rejects) = checked(&path, Kind::Persons);
    let wrong: Vec<_> = cases.iter().enumerate().filter_map(|(n, (_, field))| Some((n + 1, (*field)?))).collect();
    assert_eq!(rejected, wrong.len() as u64);
    let told = reasons(&rejects);
    let fields: Vec<_> = told.iter().map(|(row, field, _)| (row.parse().unwrap(), field.as_str())).collect();
    assert_eq!(fields, wrong);
    for ((_, _, rest), (row, _)) in told.iter().zip(&wrong) {
        assert!(rest.ends_with(lines[row - 1]), "{rest}");
    }
    // Mended, the rejects file is a file.
    let mended = directory.path().join("mended.csv");
    let text = String::from_utf8(rejects).unwrap();
    fs::write(&mended, text.lines().take(2).collect::<Vec<_>>().join("\n").replace(",male,", ",MALE,")).unwrap();
    assert_eq!(checked(&mended, Kind::Persons).0, (1, 0));
    let again = enrolments(&mut begin(&mended, Kind::Persons));
    assert_eq!(again, enrolments(&mut begin(&file(&directory, format!("{PERSONS}\n{good}")), Kind::Persons)));
}

#[test]
fn a_row_that_is_not_utf8_is_rejected_alone_and_given_back_byte_by_byte() {
    let directory = tempfile::tempdir().unwrap();
    let good = b"Li,MALE,1990-01-02,PASSPORT,P1,EMPLOYEE,110100,ACTIVE,2020-01-01,".to_vec();
    let bad = [b"\xD5\xC5\xC8\xFD".as_slice(), &good[2..]].concat();
    let content = [PERSONS.as_bytes(), b"\n", &bad, b"\n", &good, b"\n"].concat();
    let (good_rows, bad_rows, rejects) = checked(&file(&directory, content), Kind::Persons);
    assert_eq!((good_rows.0, bad_rows.0), (1, 1));
    assert!(rejects.windows(bad.len()).any(|window| window == bad));
}

#[test]
fn money_is_summed_to_the_fen_and_numbers_beyond_64_bits_are_rejected() {
    let directory = tempfile::tempdir().unwrap();
    let max = i64::MAX;
    let rows = format!("1,{max},a\n2,{max},b\n3,9223372036854775808,c\n4,1.5,d\n5,+5,e\n6,0,f\n7,-3,g\n8,12,h\n");
    let path = file(&directory, format!("person_id,amount_fen,period_key\n{rows}"));
    let (good, bad, rejects) = checked(&path, Kind::Accounts);
    assert_eq!(good, (1, 12), "the hub takes no larger amounts");
    assert_eq!(bad, (7, i128::from(max) * 2 - 3));
    assert!(reasons(&rejects).iter().all(|(_, field, _)| field == "amount_fen"), "{rejects:?}");
}

#[test]
fn a_file_without_rows_is_an_import_of_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory, PERSONS);
    assert_eq!(checked(&path, Kind::Persons).0, (0, 0));
    let mut import = begin(&path, Kind::Persons);
    assert_eq!(import.next_message(NOW_MS).unwrap(), None);
    assert!(import.is_done());
}
