//! The circuits are what their generator gives now.

#[allow(dead_code, reason = "the drift test does not search")]
mod generator;

#[test]
fn generated_circuits_equal_what_the_generator_gives_now() {
    for (path, text) in generator::generate() {
        let committed = std::fs::read_to_string(&path).expect("generated files are part of the repository");
        assert!(
            committed == text,
            "{} is out of date: run `cargo run -p medsettle-cryptogram --example circuits`",
            path.display()
        );
    }
}
