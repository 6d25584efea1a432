//! The table of the packet path as text.

use std::fmt;

use crate::{measure::Cost, statistics::Spread};

/// Above the lines.
pub const HEAD: &str = "\
case                         flows     empty     yardstick        ingress         egress  ratio  goal";

/// One line.
pub struct Line<'a>(pub &'a Cost);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cost = self.0;
        let flows = cost.flows.map_or("new".into(), |flows| flows.to_string());
        write!(f, "{:26} {flows:>7} {:>9.1}", cost.name, cost.empty.decile)?;
        for net in [cost.yardstick, cost.ingress, cost.egress] {
            write!(f, " {:>14}", Net(net).to_string())?;
        }
        write!(f, "  {:>5.2}", cost.ratio)?;
        if let (Some(goal), Some(met)) = (cost.goal, cost.meets_goal()) {
            write!(f, "  {goal} {}", if met { "met" } else { "NOT MET" })?;
        }
        if cost.lost > 0 {
            write!(f, "  ({} found a ring full)", cost.lost)?;
        }
        Ok(())
    }
}

/// The figure, with the median behind it.
struct Net(Spread);

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} ({:.1})", self.0.decile, self.0.median)
    }
}
