//! Which labels the metrics of containers have.

use crate::agent::config::{ContainerLabel, LabelChoice};

use super::Wrong;

/// For no choice at all.
const NONE: &str = "none";
/// For a label that is left out.
const NO_NETWORK: &str = "no-network";

/// Words with commas between them, or the one for none.
pub(crate) fn labels(text: &str) -> Result<LabelChoice, Wrong> {
    if text == NONE {
        return Ok(LabelChoice::default());
    }
    let mut choice = LabelChoice::default();
    for word in text.split(',') {
        match ContainerLabel::ALL.into_iter().find(|label| label.name() == word) {
            Some(label) => {
                choice.more.insert(label);
            }
            None if word == NO_NETWORK => choice.no_network = true,
            None => return Err(wrong(text, word)),
        }
    }
    Ok(choice)
}

fn wrong(text: &str, word: &str) -> Wrong {
    let known = ContainerLabel::ALL.map(ContainerLabel::name).join(", ");
    let hint = format!("give some of {known}, {NO_NETWORK}, with commas between them; or {NONE}");
    match word {
        "" => Wrong::new("has no label where one should be", hint),
        NONE => Wrong::new("has none and others", hint),
        _ if word == text => Wrong::new("is not known", hint),
        _ => Wrong::new(format!("has a label that is not known: '{word}'"), hint),
    }
}

/// Word by word, as [`labels`] reads them.
pub(crate) fn show_labels(LabelChoice { more, no_network }: &LabelChoice) -> Vec<&'static str> {
    let more = more.iter().map(|label| label.name());
    let words: Vec<_> = more.chain(no_network.then_some(NO_NETWORK)).collect();
    if words.is_empty() { vec![NONE] } else { words }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_what_is_none() {
        for (text, shown) in [
            ("none", "none"),
            ("image", "image"),
            ("service,image,service", "image,service"),
            ("no-network,id,project", "id,project,no-network"),
            ("no-network", "no-network"),
        ] {
            let choice = labels(text).unwrap();
            assert_eq!(show_labels(&choice).join(","), shown, "{text}");
            assert_eq!(labels(shown), Ok(choice), "what is shown can be given");
        }
        for (text, what) in [
            ("", "has no label where one should be"),
            ("image,", "has no label where one should be"),
            ("image,none", "has none and others"),
            ("Image", "is not known"),
            ("-network", "is not known"),
            ("image, service", "has a label that is not known: ' service'"),
        ] {
            assert_eq!(labels(text).map_err(|wrong| wrong.what), Err(what.to_owned()), "{text:?}");
        }
        let hint = labels("name").unwrap_err().hint;
        assert_eq!(
            hint,
            "give some of id, image, project, service, no-network, with commas between them; or none"
        );
    }
}
