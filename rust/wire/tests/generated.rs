//! Generated code says what the protos say.

#[path = "support/generator.rs"]
mod generator;

#[test]
fn generated_code_equals_what_the_protos_give_now() {
    for (path, text) in generator::generate().unwrap() {
        let committed = std::fs::read_to_string(&path).unwrap();
        assert!(
            committed == text,
            "{} is out of date: run `cargo run -p medsettle-wire --example generate`",
            path.display()
        );
    }
}
