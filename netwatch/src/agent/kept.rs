//! Events that a flow log in JSON kept, as those of a running agent are.

use std::io;

use super::{
    flow_log::Line,
    folding::{Foldable, ForReader},
    told::Told,
};
use crate::{
    output::{self, Record},
    serve::flows::{Event, Facts, Format, Style, Totals},
};

/// An event, and the line that it stands in.
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
        let (record, clock) = output::read(line)?;
        let event = match record {
            Record::Flow(event) => Line::Flow(event),
            Record::Fold(fold) => Line::Fold(fold),
            Record::Loss(loss) => Line::Loss(loss),
            Record::Lookup(lookup) => Line::Lookup(lookup),
            Record::Sample(event) => Line::Sample(event),
            Record::Life(event) => Line::Life(event),
            Record::Gap(gap) => Line::Gap(gap),
        };
        Ok(Self { told: Told { line: event, clock }, line: Some(line.into()) })
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
