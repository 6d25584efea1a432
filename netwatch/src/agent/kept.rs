//! Events that a flow log in JSON kept, as those of a running agent are.

use std::io;

use serde::{Deserialize, Serialize};

use super::{
    folding::{Foldable, ForReader},
    told::Told,
};
use crate::{
    output,
    serve::flows::{Event, Facts, Format, Style, Totals},
};

/// An event, and the line that it stands in.
#[derive(Serialize, Deserialize)]
pub struct Kept {
    told: Told,
    /// `None`: of several, each with a line of its own.
    line: Option<Box<[u8]>>,
}

impl Foldable for Kept {
    fn told(&self) -> &Told {
        &self.told
    }

    fn of(told: Told) -> Self {
        Self { told, line: None }
    }
}

impl Kept {
    /// Reads a line without its end, or says what is wrong with it.
    pub fn read(line: &[u8]) -> Result<Self, String> {
        Ok(Self { told: output::read(line)?.into(), line: Some(line.into()) })
    }
}

impl Event for Kept {
    type Folder = ForReader<Self>;

    fn facts(&self) -> Facts<'_> {
        self.told.facts()
    }

    fn totals(&self) -> Option<Totals> {
        self.told.totals()
    }

    fn bytes(&self) -> usize {
        self.told.bytes() + self.line.as_ref().map_or(0, |line| line.len())
    }

    fn header(style: Style) -> Option<String> {
        Told::header(style)
    }

    /// In JSON the line as it was, with whatever a later version has put in; but no terminal obeys it.
    fn write(&self, style: Style, out: &mut Vec<u8>) -> io::Result<()> {
        match &self.line {
            Some(line) if style.format == Format::Json => output::printable(line, out),
            _ => self.told.write(style, out),
        }
    }
}
