//! Compiles the bench's programs for the kernel.

#[path = "../netwatch/build/kernel.rs"]
mod kernel;

const BINARY: &str = "netwatch-bench-ebpf";

fn main() -> anyhow::Result<()> {
    kernel::Compiler::find()?.build(BINARY, "bench", BINARY)
}
