//! What netwatch can do without, and whether it is there.

/// Something that a kernel or the rights of the agent may lack. The agent goes on, and says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// The word in the metric.
    pub name: &'static str,
    /// Why it is not there, for people; `None`: it is.
    pub lacking: Option<String>,
}

impl Feature {
    /// One that is there.
    pub fn available(name: &'static str) -> Self {
        Self { name, lacking: None }
    }

    /// One that is not, and why.
    pub fn lacking(name: &'static str, why: impl Into<String>) -> Self {
        Self { name, lacking: Some(why.into()) }
    }

    /// Whether it is there.
    pub fn is_available(&self) -> bool {
        self.lacking.is_none()
    }
}
