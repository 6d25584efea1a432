//! What is read again is all that was there.

use super::{
    Kept, Tracker,
    example::{empty, name},
};
use crate::model::{FlowEvent, Instant};

/// The sums, in words, and in an order.
fn sums(tracker: &Tracker) -> String {
    let mut edges: Vec<_> =
        tracker.edges().snapshot().iter().map(|edge| format!("{edge:?}")).collect();
    edges.sort();
    let (totals, folded) = (tracker.totals(), tracker.edges().folded());
    format!("{totals:?}\n{:?}\n{folded}\n{}", tracker.over_limit(), edges.join("\n"))
}

/// All that is told until everything has ended.
fn told(tracker: &mut Tracker) -> Vec<String> {
    let mut told: Vec<FlowEvent> = Vec::new();
    let now = Instant(70_000_000_000);
    tracker.finish(now, &mut |flow| name(flow), &mut |report| told.push(report.event()));
    told.sort_by_key(|event| event.flow.id);
    told.iter().map(|event| format!("{event:?}")).collect()
}

#[test]
fn the_next_agent_tells_and_counts_what_this_one_would_have() {
    let mut this = Tracker::example();
    let bytes = postcard::to_allocvec(&this.keep()).unwrap();
    let kept: Kept = postcard::from_bytes(&bytes).unwrap();
    let mut next = empty();
    next.restore(kept, true);
    assert_eq!(sums(&next), sums(&this));
    assert_eq!(told(&mut next), told(&mut this));
    assert_eq!(sums(&next), sums(&this));
}

/// An example that lacks something tells nothing about what it lacks.
#[test]
fn the_example_has_everything() {
    let this = Tracker::example();
    let bytes = postcard::to_allocvec(&this.keep()).unwrap();
    let kept = format!("{:?}", postcard::from_bytes::<Kept>(&bytes).unwrap());
    for word in
        ["stage: New", "stage: Open", "Ended(", "Ingress", "Egress", "Interface(", "Inside("]
            .iter()
            .chain(&[
                "Kernel",
                "Proxy",
                "earlier: Some(",
                "172.17.0.2",
                "fd00::",
                "error: Some(",
                "Mac(",
            ])
            .chain(&[
                "opening: Some(",
                "acknowledged: Some(",
                "protocol: None",
                "zero_window: true",
            ])
            .chain(&["low_is_client: None", "low_is_client: Some(true)"])
    {
        assert!(kept.contains(word), "{word}: {kept}");
    }
    assert!(!this.replaced.is_empty() && !this.over_limit().is_zero());
    assert!(this.edges().folded() > 0 && this.lifecycle.lingering > 0);
}
