//! Whether the programs can be loaded, found out by loading them. Nothing is attached, and nothing stays.

use super::{DatapathError, Options, drops, object, offer::Offer};
use crate::model::Feature;

/// What loading has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// What can be done beyond the two programs, and why not.
    pub features: Vec<Feature>,
    /// Memory that the maps take.
    pub map_bytes: u64,
}

/// Loads maps and programs as [`super::Datapath::load`] does, and lets go of them.
pub fn trial(options: &Options) -> Result<Trial, DatapathError> {
    object::check(options)?;
    let offer = Offer::of_this_kernel();
    let mut loaded = object::load(options, offer.facts, None)?;
    let lacking = offer.lacking.or_else(|| drops::load_program(&mut loaded.ebpf).err());
    Ok(Trial {
        features: drops::features(offer.facts.arguments, lacking),
        map_bytes: loaded.map_bytes(),
    })
}
