//! The journal's schema number stands for the descriptors of every message that records are made of.

use std::collections::BTreeMap;
use std::path::Path;

use medsettle_wire::record::SCHEMA;
use prost::Message as _;
use protox::prost_reflect::{DescriptorPool, EnumDescriptor, Kind, MessageDescriptor};

/// The number with the hash that it stands for. A new hash needs a new number, and what was written under the old one must stay readable.
const BOUND: (u32, &str) = (1, "0892f9d670c90c98fc4b1046a720803e0b7c53187d562a9da3174d6370c22392");

#[test]
fn a_change_of_what_is_written_raises_the_schema_number() {
    let protos = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../protos");
    let mut compiler = protox::Compiler::new([protos]).unwrap();
    compiler.open_files(["medsettle/v1/journal.proto"]).unwrap();
    let pool: DescriptorPool = compiler.descriptor_pool();
    let mut used = BTreeMap::new();
    gather(&pool.get_message_by_name("medsettle.v1.FrameBody").unwrap(), &mut used);
    let mut hasher = blake3::Hasher::new();
    for (name, descriptor) in &used {
        hasher.update(name.as_bytes()).update(descriptor);
    }
    assert!(used.len() > 60, "{} descriptors", used.len());
    assert_eq!((SCHEMA, hasher.finalize().to_hex().as_str()), BOUND);
}

/// Descriptors by name: of the message and of everything that it holds, without what merely stands inside it.
fn gather(message: &MessageDescriptor, used: &mut BTreeMap<String, Vec<u8>>) {
    let mut alone = message.descriptor_proto().clone();
    alone.nested_type.clear();
    alone.enum_type.clear();
    if used.insert(message.full_name().to_owned(), alone.encode_to_vec()).is_some() {
        return;
    }
    for field in message.fields() {
        match field.kind() {
            Kind::Message(inner) => gather(&inner, used),
            Kind::Enum(inner) => gather_enum(&inner, used),
            _ => {}
        }
    }
}

fn gather_enum(values: &EnumDescriptor, used: &mut BTreeMap<String, Vec<u8>>) {
    used.insert(values.full_name().to_owned(), values.enum_descriptor_proto().encode_to_vec());
}
