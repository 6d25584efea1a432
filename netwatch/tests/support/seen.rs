//! Metrics that a real agent had a figure for: `cargo xtask test` wants each of the catalogue to be among them.

use std::{
    collections::HashSet,
    env,
    fs::File,
    io::Write as _,
    sync::{LazyLock, Mutex, PoisonError},
};

use super::metrics::Series;

/// Where the names go, one a line; nowhere unless it is set.
const FILE: &str = "NETWATCH_TEST_SEEN";

/// Those that this process has told.
static TOLD: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

/// Notes the names of those that are not zero, as they are in the scrape.
pub fn note(series: &[Series]) {
    note_names(series.iter().filter(|one| one.value > 0.0).map(|one| one.name.as_str()));
}

/// The same for a query that begins with the name, such as `name > 0`, and what a Prometheus answers.
pub fn note_value(query: &str, value: f64) {
    let name = query.split(|c: char| !c.is_ascii_lowercase() && c != '_').next();
    note_names(name.filter(|_| value > 0.0).into_iter());
}

fn note_names<'a>(names: impl Iterator<Item = &'a str>) {
    let Some(file) = env::var_os(FILE) else { return };
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    let new: Vec<_> = names.filter(|name| told.insert((*name).to_owned())).collect();
    if !new.is_empty() {
        let mut file = File::options().append(true).open(file).expect("a file of the runner's");
        // In one piece: other tests write there too.
        let lines = new.join("\n") + "\n";
        file.write_all(lines.as_bytes()).expect("room for some names");
    }
}
