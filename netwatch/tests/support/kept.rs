//! The files of a flow log that is rotated.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;

/// In the order of their names, the one that is written to last.
pub fn files(log: &Path) -> Vec<PathBuf> {
    let rotated = format!("{}.2", log.display());
    let folder = fs::read_dir(log.parent().expect("a folder")).expect("the log's folder");
    let mut all: Vec<_> = folder
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.to_string_lossy().starts_with(&rotated))
        .collect();
    all.sort();
    all.push(log.to_owned());
    all
}

pub fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz")
}

/// The lines of one of them, whatever it is packed in.
pub fn lines(path: &Path) -> impl Iterator<Item = String> + use<> {
    let file = File::open(path).expect("a file of the log");
    let reader: Box<dyn Read> =
        if is_compressed(path) { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    BufReader::new(reader).lines().map(|line| line.expect("a line"))
}
