//! Manual pages and completions: each command and each option is in them.

use std::{collections::BTreeSet, fs, process::Command};

use super::{fail, netwatch, succeed};

const COMMANDS: [&str; 6] = ["run", "flows", "stop", "doctor", "completions", "man"];

fn printed(arguments: &[&str]) -> String {
    succeed(&mut netwatch(arguments))
}

/// The long options in the help of a command.
fn options(command: &str) -> BTreeSet<String> {
    let help = printed(&[command, "--help"]);
    let lines = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let words =
        lines.filter_map(|line| line.split_whitespace().find(|word| word.starts_with("--")));
    words.map(|word| word.split(['[', '=', ',']).next().unwrap_or(word).to_owned()).collect()
}

#[test]
fn each_command_has_a_page_with_all_its_options() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    printed(&["man", "--output", folder.to_str().expect("a plain path")]);
    for command in COMMANDS {
        let page = fs::read_to_string(folder.join(format!("netwatch-{command}.1"))).expect(command);
        assert_eq!(page, printed(&["man", command]));
        // roff writes a hyphen that is one with a backslash.
        let plain = page.replace('\\', "");
        let all = options(command);
        assert!(!all.is_empty(), "{command}");
        for option in all {
            assert!(plain.contains(&option), "{command}: {option}");
        }
    }
    let main = fs::read_to_string(folder.join("netwatch.1")).expect("a page");
    assert_eq!(main, printed(&["man"]));
    assert_eq!(fs::read_dir(folder).expect("pages").count(), COMMANDS.len() + 1);
}

#[test]
fn a_page_that_there_is_not_is_refused() {
    let said = fail(&mut netwatch(&["man", "rum"]), 2);
    assert!(said.contains("'rum'") && said.contains("run, flows"), "{said}");
    let said = fail(&mut netwatch(&["man", "--output", "/proc/none"]), 1);
    assert!(said.contains("/proc/none"), "{said}");
}

#[test]
fn bash_reads_its_completions_and_finds_commands_and_options() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("netwatch");
    fs::write(&file, printed(&["completions", "bash"])).expect("a file");
    let complete = |words: &str, at: usize| {
        let script = format!(
            "source {} && COMP_WORDS=({words}) COMP_CWORD={at} && _netwatch netwatch '' '' && printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            file.display()
        );
        let output = Command::new("bash").args(["-c", &script]).output().expect("bash");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(complete("netwatch do", 1).lines().any(|word| word == "doctor"));
    let found = complete("netwatch run --flow", 2);
    for option in ["--flow-log", "--flow-idle-timeout"] {
        assert!(found.lines().any(|word| word == option), "{found}");
    }
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        let text = printed(&["completions", shell]);
        assert!(text.contains("flow-idle-timeout"), "{shell}");
    }
}
