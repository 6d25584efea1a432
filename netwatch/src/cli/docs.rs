//! The pages of docs/ that are made from the tables of this room. A test fails when they are stale.

use std::fmt::Write as _;

pub use crate::doctor::docs::page as doctor_page;

use super::{
    command::CONFIG_VARIABLE,
    option::{OPTIONS, Spec},
};

const CONFIGURATION: &str = "\
<!-- Made from netwatch/src/cli. After a change there: UPDATE_DOCS=1 cargo test -p netwatch --test cli -->
# Configuration of `netwatch run`

No flag, variable or file is needed. Where an option is given more than once, the order is: flag, environment variable,
configuration file, default. A list replaces the list of a weaker source, it does not add to it.

`netwatch run --check` validates everything and prints the effective configuration as TOML, each value with the place
that it came from. What it prints is a valid configuration file.

- **Flags**: options marked *list* can be repeated.
- **Variables**: lists are comma separated (a comma within the braces of a glob does not count); an empty variable counts
  as not set.
- **File**: TOML, named by `--config FILE` or `{CONFIG}`; there is no default file. Keys are the flags without the
  dashes, a dot makes a table. Lists are arrays. Unknown keys are errors.
- **`DOCKER_HOST`** is heeded where neither flag, variable nor file names an engine.

```toml
interface = [\"veth*\", \"docker0\"]
flow-log = \"/var/log/netwatch/flows.log\"
flow-idle-timeout = \"15s\"

[web]
listen-address = [\":19733\"]

[log]
level = \"warn\"
```
";

/// docs/configuration.md.
pub fn configuration_page() -> String {
    let mut page = CONFIGURATION.replace("{CONFIG}", CONFIG_VARIABLE);
    let mut heading = "";
    for spec in OPTIONS {
        if spec.heading != heading {
            heading = spec.heading;
            let _ = write!(
                page,
                "\n## {heading}\n\n| flag | variable | key in the file | default | |\n|---|---|---|---|---|\n"
            );
        }
        row(&mut page, spec);
    }
    page.push_str(
        "\n## Not in the file\n\n| flag | variable | |\n|---|---|---|\n\
         | `--config FILE` | `NETWATCH_CONFIG` | Read options from a TOML file. |\n\
         | `--check` | | Validate everything, print the effective configuration and exit. |\n\n\
         A bad value ends netwatch with exit code 2 and one message that names the place; see [exit codes](exit-codes.md).\n",
    );
    page
}

fn row(page: &mut String, spec: &Spec) {
    let key = match spec.name.split_once('.') {
        Some((table, key)) => format!("`[{table}]` `{key}`"),
        None => format!("`{}`", spec.name),
    };
    let default = if spec.default.is_empty() {
        spec.without.to_owned()
    } else {
        format!("`{}`", spec.default_text())
    };
    let list = if spec.list { " *list*" } else { "" };
    let more = if spec.more.is_empty() { String::new() } else { format!(" {}", spec.more) };
    let _ = writeln!(
        page,
        "| `--{} {}`{list} | `{}` | {key} | {default} | {}.{more} |",
        spec.name,
        // A bar would end the cell.
        spec.value.replace('|', "\\|"),
        spec.variable(),
        spec.help,
    );
}
