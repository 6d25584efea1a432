//! What the kernel's verifier makes of the programs.

use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

use super::kernel::{Kernel, Subject};

/// One program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Program {
    /// Which.
    pub name: &'static str,
    /// Instructions that the verifier went through, on all paths together (the kernel's limit is a million).
    pub verified_instructions: Option<u32>,
    /// Instructions after verification.
    pub instructions: usize,
    /// Bytes of machine code.
    pub machine_code_bytes: u32,
    /// Bytes of stack (the kernel's limit is 512).
    pub stack_bytes: u32,
}

/// Describes all programs but the empty one.
pub fn describe(kernel: &mut Kernel) -> Result<Vec<Program>> {
    let subjects = [
        (Subject::Yardstick, "yardstick"),
        (Subject::Ingress, "netwatch ingress"),
        (Subject::Egress, "netwatch egress"),
    ];
    let mut all = Vec::new();
    for (subject, name) in subjects {
        let info = kernel.program(subject)?.info()?;
        let text = dump(info.id())?;
        all.push(Program {
            name,
            verified_instructions: info.verified_instruction_count(),
            instructions: instructions(&text).count(),
            machine_code_bytes: info.size_jitted(),
            stack_bytes: stack(&text),
        });
    }
    Ok(all)
}

/// The program as the verifier left it. aya does not hand out the verifier's log of a program that it accepts.
fn dump(id: u32) -> Result<String> {
    let mut bpftool = Command::new("bpftool");
    let output = bpftool
        .args(["prog", "dump", "xlated", "id", &id.to_string()])
        .output()
        .context("starting bpftool (`cargo xtask setup` installs it)")?;
    if !output.status.success() {
        bail!("{bpftool:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Lines such as `  16: (7b) *(u64 *)(r10 -8) = r1`; the others are of the source.
fn instructions(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let (number, rest) = line.trim_start().split_once(": (")?;
        number.bytes().all(|byte| byte.is_ascii_digit()).then_some(rest)
    })
}

/// How far below the frame pointer, r10, any instruction reaches: by itself, or by an address that the next ones make.
fn stack(text: &str) -> u32 {
    let mut deepest = 0;
    let mut copy = None;
    for line in instructions(text) {
        let mut reach = |offset: &str| {
            let digits: String = offset.chars().take_while(char::is_ascii_digit).collect();
            deepest = deepest.max(digits.parse().unwrap_or(0));
        };
        if let Some((_, offset)) = line.split_once("(r10 -") {
            reach(offset);
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        copy = match words[..] {
            [_, register, "=", "r10"] => Some(register.to_owned()),
            [_, register, "+=", offset] if copy.as_deref() == Some(register) => {
                offset.strip_prefix('-').map(reach);
                None
            }
            _ => copy,
        };
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_reach_into_the_stack_is_found() {
        let text = "\
int drive(struct __sk_buff * ctx):
; let x = y (r10 -400)
   0: (bf) r6 = r1
   1: (7b) *(u64 *)(r10 -40) = r1
   2: (bf) r2 = r10
   3: (07) r2 += -72
   4: (07) r3 += -200
   5: (61) r0 = *(u32 *)(r10 -4)";
        assert_eq!((instructions(text).count(), stack(text)), (6, 72));
        assert_eq!(stack("   0: (b7) r0 = 0"), 0);
    }
}
