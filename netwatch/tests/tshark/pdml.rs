//! What tshark says of a packet, read from its PDML: one element a line, with offset and length in the packet.

/// A protocol that tshark has found, and its fields in their order.
#[derive(Debug)]
pub struct Protocol {
    pub name: String,
    pub offset: u32,
    fields: Vec<(String, String)>,
}

impl Protocol {
    /// The first value of a field, as tshark shows it.
    pub fn show(&self, field: &str) -> Option<&str> {
        self.fields.iter().find(|(name, _)| name == field).map(|(_, show)| show.as_str())
    }

    /// The same as a number, decimal or hexadecimal.
    pub fn number(&self, field: &str) -> Option<u32> {
        let show = self.show(field)?;
        match (show.strip_prefix("0x"), show) {
            (Some(digits), _) => u32::from_str_radix(digits, 16).ok(),
            (None, "True") => Some(1),
            (None, "False") => Some(0),
            (None, digits) => digits.parse().ok(),
        }
    }
}

/// The protocols of each packet, outermost first.
pub fn packets(pdml: &str) -> Vec<Vec<Protocol>> {
    let mut packets: Vec<Vec<Protocol>> = Vec::new();
    // Protocols that are open: a field belongs to the innermost.
    let mut open: Vec<usize> = Vec::new();
    for line in pdml.lines().map(str::trim_start) {
        if line.starts_with("<packet>") {
            packets.push(Vec::new());
        }
        let Some(packet) = packets.last_mut() else { continue };
        if line.starts_with("<proto ") {
            open.push(packet.len());
            packet.push(Protocol {
                name: attribute(line, "name").unwrap_or_default().into(),
                offset: attribute(line, "pos").and_then(|pos| pos.parse().ok()).unwrap_or(0),
                fields: Vec::new(),
            });
        } else if line.starts_with("</proto>") {
            open.pop();
        } else if line.starts_with("<field ")
            && let (Some(at), Some(name), Some(show)) =
                (open.last(), attribute(line, "name"), attribute(line, "show"))
        {
            packet[*at].fields.push((name.into(), show.into()));
        }
    }
    packets
}

fn attribute<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(&format!(" {name}=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}
