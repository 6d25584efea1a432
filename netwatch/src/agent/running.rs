//! The largest flows that go on, for who asks at the socket.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::{core::Core, flow_log::Line, told::Told};
use crate::serve::flows::{Event as _, Ranking, Request, Running, Top};

/// Questions that may wait for the core.
const QUESTIONS: usize = 16;

/// Which flows, and who wants to know.
pub(super) struct Question {
    request: Arc<Request>,
    ranking: Ranking,
    reply: oneshot::Sender<Vec<Arc<Told>>>,
}

/// The way to ask, and where the core hears it.
pub(super) fn channel() -> (Running<Told>, mpsc::Receiver<Question>) {
    let (questions, asked) = mpsc::channel(QUESTIONS);
    let ask = move |request, ranking| {
        let questions = questions.clone();
        let answer = async move {
            let (reply, answer) = oneshot::channel();
            // A core that has stopped has ended all flows: they are in the history.
            let _ = questions.send(Question { request, ranking, reply }).await;
            answer.await.unwrap_or_default()
        };
        Box::pin(answer) as futures::future::BoxFuture<'static, _>
    };
    (Arc::new(ask), asked)
}

impl Core {
    /// Answers with the flows as they are at this moment.
    pub(super) fn answer(&mut self, question: Question) {
        let Question { request, ranking, reply } = question;
        self.read_flows();
        let Self { tracker, crossed, directory, clock, .. } = self;
        let mut top = Top::new(ranking);
        for report in tracker.running() {
            let mut event = Box::new(report.event());
            crossed.name(&mut event.flow, directory);
            let told = Arc::new(Told { line: Line::Flow(event), clock: *clock });
            if request.wants(&told.facts()) {
                top.offer(&told);
            }
        }
        // Whoever asked may have gone.
        let _ = reply.send(top.events().cloned().collect());
    }
}
