//! Writes `rust/wire/src/gen/` anew from `protos/`.

#[path = "../tests/support/generator.rs"]
mod generator;

fn main() -> Result<(), generator::Error> {
    for (path, text) in generator::generate()? {
        std::fs::write(&path, text)?;
        println!("{}", path.display());
    }
    Ok(())
}
