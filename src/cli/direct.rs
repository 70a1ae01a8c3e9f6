//! The pings of long simulations: straight to the emulator, without HTTP, signatures and connections.

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt};
use http::Request;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tracing::Instrument;

use crate::aws::answer;
use crate::domain::round::{Answer, RawInvocation};
use crate::emulator::Emulator;
use crate::engine::ports::{Lambda, Payloads, PingEnd, PingEnds, PingRound};

/// The Lambda port over an emulator of this process. Requests and answers have the form of HTTP.
#[derive(Debug, Clone)]
pub struct DirectLambda(pub Emulator);

impl Lambda for DirectLambda {
    fn send(&self, round: PingRound) -> PingEnds {
        let (deliveries, delivered) = mpsc::unbounded_channel();
        let emulator = self.0.clone();
        tokio::spawn(async move { run(&emulator, &round, &deliveries).await }.in_current_span());
        delivered
    }
}

async fn run(emulator: &Emulator, round: &PingRound, deliveries: &mpsc::UnboundedSender<PingEnd>) {
    let released = Instant::now();
    let request = request(round);
    let shared = match &round.payloads {
        Payloads::Same { payload, .. } => Bytes::copy_from_slice(payload),
        Payloads::Each(_) => Bytes::new(),
    };
    let ping = async |index: u32| {
        let answer = match &request {
            Err(error) => Answer::Broken { message: error.to_string(), may_have_run: false },
            Ok(request) => {
                let body = match &round.payloads {
                    Payloads::Same { .. } => shared.clone(),
                    Payloads::Each(payloads) => Bytes::copy_from_slice(&payloads[index as usize]),
                };
                match timeout(round.timeout, emulator.handle(request.clone().map(|()| body))).await {
                    Ok(Some(response)) => answer::parse(response),
                    Ok(None) => {
                        Answer::Broken { message: "the connection was cut".to_owned(), may_have_run: true }
                    }
                    Err(_) => Answer::TimedOut,
                }
            }
        };
        let raw = RawInvocation { sent: Default::default(), received: released.elapsed(), answer };
        // The receiver is gone when the round was cancelled.
        let _ = deliveries.send(PingEnd { index, raw, resent: false });
    };
    let mut pings: FuturesUnordered<_> = (0..round.payloads.pings()).map(ping).collect();
    while pings.next().await.is_some() {}
}

/// Returns the request of each ping, as the SDK writes it. Of the signature it has the region only.
fn request(round: &PingRound) -> http::Result<Request<()>> {
    let function = &round.function;
    let qualifier = function.qualifier.as_ref().map_or(String::new(), |name| format!("?Qualifier={name}"));
    let mut request =
        Request::post(format!("/2015-03-31/functions/{}/invocations{qualifier}", function.unqualified()))
            .header(
                "authorization",
                format!("AWS4-HMAC-SHA256 Credential=-/-/{}/lambda/aws4_request", function.region),
            )
            .header("x-amz-log-type", "Tail");
    if let Some(context) = &round.client_context {
        request = request.header("x-amz-client-context", context);
    }
    if let Some(tenant) = &function.tenant {
        request = request.header("x-amz-tenant-id", tenant.as_str());
    }
    request.body(())
}
