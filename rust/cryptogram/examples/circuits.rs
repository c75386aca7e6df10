//! Writes `rust/cryptogram/src/gen/` anew; with a number of seconds, looks for shorter circuits instead.

#[path = "../tests/generator/mod.rs"]
mod generator;

fn main() -> std::io::Result<()> {
    if let Some(seconds) = std::env::args().nth(1) {
        generator::search(seconds.parse().expect("a number of seconds"));
        return Ok(());
    }
    for (path, text) in generator::generate() {
        std::fs::write(&path, text)?;
        println!("{}", path.display());
    }
    Ok(())
}
