//! Between the transactions: requests to the card processor, a bounded number at once.

use brewline_payment_domain::Answer;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;

use super::operations::{Answered, Asked, Machinery};
use crate::Error;

pub(super) async fn run(
    machinery: Machinery,
    mut to_ask: mpsc::Receiver<Asked>,
    answers: mpsc::Sender<Answered>,
) -> anyhow::Result<()> {
    let mut open = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            Some(answered) = open.next() => hand_on(answered, &answers).await,
            asked = to_ask.recv(), if open.len() < machinery.concurrency_max => match asked {
                Some(asked) => open.push(ask(&machinery, asked)),
                None => break,
            },
        }
    }
    while let Some(answered) = open.next().await {
        hand_on(answered, &answers).await;
    }
    Ok(())
}

/// A request that waited too long for its turn does not leave: the rules by which it was decided
/// (a young key, no reversal) may not hold any more. The next command decides anew.
async fn ask(machinery: &Machinery, asked: Asked) -> Answered {
    let waited = machinery.clock.now().since(asked.request.at);
    let answer = if waited > machinery.patience {
        Answer::Unknown {
            detail: "the processor was too busy for this request to be made".to_owned(),
        }
    } else {
        let trace = asked.commanded.trace;
        machinery.processor.ask(&asked.request, trace).await
    };
    Answered { asked, answer }
}

async fn hand_on(answered: Answered, answers: &mpsc::Sender<Answered>) {
    if let Err(mpsc::error::SendError(answered)) = answers.send(answered).await {
        let reply = answered.asked.commanded.reply;
        reply.give(Err(Error::ShuttingDown));
    }
}
