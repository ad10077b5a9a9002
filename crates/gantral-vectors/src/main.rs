//! Writes the generated part of `spec/vectors/`: `cargo run -p gantral-vectors`.
#![expect(clippy::print_stdout, reason = "a task talks to its terminal")]

use std::io;

use gantral_vectors::tree;

fn main() -> io::Result<()> {
    let changed = tree::write(&tree::folder())?;
    println!("{} files, {changed} of them changed", tree::generated().len());
    Ok(())
}
