//! The layer of the configuration file: TOML, the flags' names, dots make tables. Unknown keys are errors.

use std::{io::ErrorKind, path::Path};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Exit, Failure,
    nearest::nearest,
    option::{OPTIONS, Spec},
    raw::{Origin, Raw},
};

/// Reads a file. That it cannot be read is a failure, that it says something wrong is a usage error.
pub(super) fn read(path: &Path) -> Result<Raw, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        if error.kind() == ErrorKind::InvalidData {
            return Failure::usage(format!("{}: the file is not UTF-8", path.display()));
        }
        Failure::new(
            Exit::Failed,
            format!("cannot read the configuration file {}: {error}", path.display()),
        )
        .hint("check the path and the permissions, or leave --config out: netwatch needs no file")
    })?;
    parse(&text, path)
}

/// The values in the text of a file.
fn parse(text: &str, path: &Path) -> Result<Raw, Failure> {
    let document = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line(text, span.start));
        Failure::usage(format!(
            "{}:{line}: {}",
            path.display(),
            error.message().replace('\n', ", ")
        ))
        .hint("the file is TOML: key = \"value\", lists as [\"a\", \"b\"]")
    })?;
    let mut reader = Reader { text, path, raw: Raw::default() };
    reader.table("", document.get_ref())?;
    Ok(reader.raw)
}

/// The line of a byte, from 1.
fn line(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

struct Reader<'a> {
    text: &'a str,
    path: &'a Path,
    raw: Raw,
}

impl Reader<'_> {
    /// Reads a table whose keys begin with `prefix`, in the order of the file.
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) -> Result<(), Failure> {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let name = format!("{prefix}{}", key.get_ref());
            let line = line(self.text, key.span().start);
            let below = format!("{name}.");
            if let Some(spec) = OPTIONS.iter().find(|spec| spec.name == name) {
                self.option(spec, value, line)?;
            } else if let DeValue::Table(table) = value.get_ref() {
                if !OPTIONS.iter().any(|spec| spec.name.starts_with(&below)) {
                    return Err(self.unknown("table", &name, line));
                }
                self.table(&below, table)?;
            } else if OPTIONS.iter().any(|spec| spec.name.starts_with(&below)) {
                return Err(self.wrong(&name, line, "a table", value));
            } else {
                return Err(self.unknown("key", &name, line));
            }
        }
        Ok(())
    }

    /// Reads the value of a known option. Numbers may be written as such; the check reads them from the text.
    fn option(
        &mut self,
        spec: &Spec,
        value: &Spanned<DeValue<'_>>,
        line: usize,
    ) -> Result<(), Failure> {
        let texts = match value.get_ref() {
            DeValue::Array(items) if spec.list => items
                .iter()
                .map(|item| {
                    scalar(item)
                        .ok_or_else(|| self.wrong(spec.name, line, "a list of strings", item))
                })
                .collect::<Result<Vec<_>, _>>()?,
            DeValue::Boolean(truth) if spec.is_switch() => vec![truth.to_string()],
            _ => {
                let expected =
                    if spec.list { "a list of strings" } else { "a string or a whole number" };
                vec![scalar(value).ok_or_else(|| self.wrong(spec.name, line, expected, value))?]
            }
        };
        self.raw.set(spec.key, texts, Origin::File { path: self.path.to_owned(), line });
        Ok(())
    }

    fn wrong(
        &self,
        name: &str,
        line: usize,
        expected: &str,
        value: &Spanned<DeValue<'_>>,
    ) -> Failure {
        let found = value.get_ref().type_str();
        let article = if found.starts_with(['a', 'i']) { "an" } else { "a" };
        Failure::usage(format!(
            "{}:{line}: {name} must be {expected}, not {article} {found}",
            self.path.display()
        ))
    }

    fn unknown(&self, kind: &str, name: &str, line: usize) -> Failure {
        let failure =
            Failure::usage(format!("{}:{line}: unknown {kind} '{name}'", self.path.display()));
        let tables =
            OPTIONS.iter().filter_map(|spec| spec.name.split_once('.').map(|(table, _)| table));
        let near = if kind == "table" {
            nearest(name, tables)
        } else {
            nearest(name, OPTIONS.iter().map(|s| s.name))
        };
        match near {
            Some(near) if kind == "table" => failure.hint(format!("did you mean [{near}]?")),
            Some(near) => failure.hint(format!("did you mean '{near}'?")),
            None => failure.hint("'netwatch run --check' without the file prints every known key"),
        }
    }
}

/// A string, or a whole number in decimal digits.
fn scalar(value: &Spanned<DeValue<'_>>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().replace('_', "")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::option::Key, *};

    fn lines(text: &str) -> String {
        parse(text, Path::new("n.toml")).unwrap_err().lines()
    }

    #[test]
    fn tables_and_dotted_keys_are_the_same() {
        let path = Path::new("n.toml");
        let table = parse("[web]\nlisten-address = [\":1\"]\n", path).expect("valid");
        let given = table.get(Key::ListenAddress).expect("given");
        assert_eq!(given.texts, [":1"]);
        assert_eq!(given.origin, Origin::File { path: path.to_owned(), line: 2 });
        let dotted = parse("\nweb.listen-address = \":1\"\n", path).expect("valid");
        assert_eq!(dotted, table);
        let number = parse("max-flows = 65_536", path).expect("valid");
        assert_eq!(number.get(Key::MaxFlows).expect("given").texts, ["65536"]);
    }

    #[test]
    fn mistakes_name_key_line_and_neighbour() {
        assert_eq!(
            lines("\nflow-lgo = 1\n"),
            "netwatch: n.toml:2: unknown key 'flow-lgo'\nhint: did you mean 'flow-log'?\n"
        );
        assert_eq!(
            lines("[web]\n\nlisten-adress = []\n"),
            "netwatch: n.toml:3: unknown key 'web.listen-adress'\nhint: did you mean 'web.listen-address'?\n"
        );
        assert_eq!(
            lines("[wbe]\n"),
            "netwatch: n.toml:1: unknown table 'wbe'\nhint: did you mean [web]?\n"
        );
        assert_eq!(lines("web = 1"), "netwatch: n.toml:1: web must be a table, not an integer\n");
        assert_eq!(
            lines("flow-log = [\"a\"]"),
            "netwatch: n.toml:1: flow-log must be a string or a whole number, not an array\n"
        );
        assert_eq!(
            lines("interface = [1.5]"),
            "netwatch: n.toml:1: interface must be a list of strings, not a float\n"
        );
        assert!(lines("a = \n").starts_with("netwatch: n.toml:1: "));
        assert!(
            lines("flow-log = \"a\"\nflow-log = \"b\"\n")
                .starts_with("netwatch: n.toml:2: duplicate key")
        );
    }
}
