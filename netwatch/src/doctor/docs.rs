//! docs/doctor.md, made from the tables of this room. A test fails when it is stale.

use std::fmt::Write as _;

use super::{Case, Check, advice::Advice, distribution::Distribution};

const BEGIN: &str = "\
<!-- Made from netwatch/src/doctor. After a change there: UPDATE_DOCS=1 cargo test -p netwatch --test cli -->
# `netwatch doctor`

Looks at this host as an agent would find it, and says what is missing, what that means, and what to do, with the commands of
this distribution. Nothing is attached or changed; an agent that runs goes on.

```sh
netwatch doctor                                   # as root: the same rights as the agent's
netwatch doctor --config /etc/netwatch.toml       # with the agent's own configuration
netwatch doctor -o json | jq '.checks[] | select(.verdict != \"ok\")'
```

```text
ok        load          the kernel takes all programs, 30 MiB of maps
degraded  tc            TCX; a program runs before netwatch's
                        - veth4f1c2aa ingress: cil_from_netdev (program 91) by tcx, before netwatch
                        What it drops or redirects is not seen, and what it changes is seen changed.
                        -> restart netwatch, which then takes the first place; or tell the other program to attach behind it
```

Its options are those of `netwatch run` that matter here, from the same flags, variables and file (see
[configuration](configuration.md)): `--interface`, `--exclude`, `--attach-mode`, `--max-flows`, `--docker-host`, `--socket`,
`--web.listen-address`, `--web.telemetry-path`, `--config`. Colours only on a terminal, and never with `NO_COLOR`.

| verdict | meaning | exit code |
|---|---|---|
| `ok` | As it should be, or as somebody has chosen it: an agent that does not run, an interface that is excluded | 0 |
| `degraded` | netwatch works, with less than it could do | 4, if nothing failed |
| `failed` | netwatch cannot work here | 3 |

The whole has the verdict of its worst check. A line on standard error names the checks that are not ok.

With `-o json` the output is one object: `verdict`, `version` (of netwatch) and `checks`, a list of objects with

| field | |
|---|---|
| `check` | the name of a chapter below |
| `result` | a word of its first column |
| `verdict` | `ok`, `degraded` or `failed` |
| `message` | what was found here |
| `meaning` | what that means; `null` where there is nothing to be said |
| `remedy` | what to do here; `null` where there is nothing to be done |
| `details` | a list of texts: interfaces, programs, features |

Words in `check`, `result` and `verdict` are part of the interface; the texts may change.
";

/// The page.
pub fn page() -> String {
    let mut page = BEGIN.to_owned();
    for check in Check::ALL {
        let _ = write!(
            page,
            "\n## {}\n\n{}\n\n| result | verdict | when | what it means | what to do |\n|---|---|---|---|---|\n",
            check.name(),
            check.looks_at(),
        );
        for case in Case::ALL.iter().filter(|case| case.check() == *check) {
            // A bar would end the cell.
            let advice = case.advice().map_or("", Advice::text).replace('|', "\\|");
            let _ = writeln!(
                page,
                "| `{}` | {} | {} | {} | {} |",
                case.name(),
                case.verdict().name(),
                case.when(),
                case.means(),
                advice,
            );
        }
    }
    commands(&mut page);
    page
}

/// What is to be typed where.
fn commands(page: &mut String) {
    page.push_str(
        "\n## Commands\n\nWhat a remedy ends with, by `/etc/os-release` (its own name, else those that it is like).\n\n\
         | result |",
    );
    for distribution in Distribution::ALL.iter().filter(|it| **it != Distribution::Other) {
        let _ = write!(page, " {} |", distribution.name());
    }
    page.push_str("\n|---|---|---|---|---|\n");
    for case in Case::ALL {
        let Some(advice) = case.advice() else { continue };
        if advice.command(Distribution::Debian).is_none() {
            continue;
        }
        let _ = write!(page, "| {} `{}` |", case.check().name(), case.name());
        for distribution in Distribution::ALL.iter().filter(|it| **it != Distribution::Other) {
            let command = advice.command(*distribution).unwrap_or_default();
            let _ = write!(page, " {} |", code(command));
        }
        page.push('\n');
    }
}

/// As code, unless there is none, or words before it.
fn code(command: &str) -> String {
    if command.is_empty() || command.contains(", then: ") {
        command.to_owned()
    } else {
        format!("`{command}`")
    }
}
