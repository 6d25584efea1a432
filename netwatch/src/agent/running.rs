//! The largest flows that go on, for who asks at the socket.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::{core::Core, flow_log::Line, told::Told};
use crate::serve::flows::{Event as _, READERS, Ranking, Request, Running, Top};

/// Questions that may wait for the core: one of each reader.
pub(super) const QUESTIONS: usize = READERS;

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
    /// Answers with the flows as they are at this moment. All who have asked by now share the way through them.
    pub(super) fn answer(&mut self, questions: Vec<Question>) {
        self.read_flows();
        let Self { tracker, crossed, directory, clock, .. } = self;
        let mut asked: Vec<_> =
            questions.into_iter().map(|asked| (Top::new(asked.ranking), asked)).collect();
        for report in tracker.running() {
            let mut event = Box::new(report.event());
            crossed.name(&mut event.flow, directory);
            let told = Arc::new(Told { line: Line::Flow(event), clock: *clock });
            for (top, question) in &mut asked {
                if question.request.wants(&told.facts()) {
                    top.offer(&told);
                }
            }
        }
        for (top, Question { reply, .. }) in asked {
            // Whoever asked may have gone.
            let _ = reply.send(top.events().cloned().collect());
        }
    }
}
