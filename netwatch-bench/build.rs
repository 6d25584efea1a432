//! Compiles the bench's programs for the kernel.

#[path = "../netwatch/build/kernel.rs"]
mod kernel;

fn main() -> anyhow::Result<()> {
    kernel::Compiler::find()?.build(&["bench"]).map(drop)
}
