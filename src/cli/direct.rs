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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::aws::AwsLambda;
    use crate::cli::app::App;
    use crate::domain::fleet::WireSettings;
    use crate::domain::function::{FunctionRef, Region};
    use crate::emulator::{Fault, FaultKind, Profile, Scenario};

    /// Returns the answers to a round, without the texts about lost connections.
    async fn of_round(lambda: &impl Lambda, payloads: Payloads, client_context: Option<&str>) -> Vec<String> {
        let mut ends = lambda.send(PingRound {
            function: FunctionRef::parse("f:live").unwrap().identity(Region::parse("eu-west-2").unwrap()),
            role: None,
            payloads,
            client_context: client_context.map(str::to_owned),
            trace_id: None,
            wire: WireSettings::default(),
            timeout: Duration::from_secs(30),
        });
        let mut answers = Vec::new();
        while let Some(PingEnd { raw, resent, .. }) = ends.recv().await {
            let answer = match raw.answer {
                Answer::Broken { may_have_run, .. } => {
                    Answer::Broken { message: String::new(), may_have_run }
                }
                answer => answer,
            };
            answers.push(format!("{answer:?} {resent}"));
        }
        answers.sort();
        answers
    }

    /// Returns the answers to rounds of five pings, five minutes apart.
    async fn answers(lambda: &impl Lambda) -> Vec<String> {
        let mut answers = Vec::new();
        for number in 0..4 {
            let fields = |index| {
                let round = format!("r{number}");
                let fields = serde_json::json!({
                    "version": 1, "round": round, "index": index, "concurrency": 5, "hold_ms": 100,
                });
                serde_json::json!({ "warmd": fields }).to_string().into_bytes()
            };
            let payloads = match number {
                0 => Payloads::Same { payload: fields(0), pings: 5 },
                1 => Payloads::Same { payload: b"not JSON".to_vec(), pings: 5 },
                _ => Payloads::Each((0..5).map(fields).collect()),
            };
            let mut round = of_round(lambda, payloads, (number == 2).then_some("not base64")).await;
            assert_eq!(round.len(), 5);
            answers.append(&mut round);
            tokio::time::sleep(Duration::from_secs(300)).await;
        }
        answers
    }

    #[tokio::test(start_paused = true)]
    async fn answers_are_those_over_http() {
        let slow = FaultKind::Slow { by: Duration::from_secs(60) };
        let error = FaultKind::FunctionError { error_type: "Error".to_owned() };
        let throttle =
            FaultKind::Throttle { reason: "ReservedFunctionConcurrentInvocationLimitExceeded".to_owned() };
        let kinds = [slow, error, throttle, FaultKind::refuse(502), FaultKind::Reset, FaultKind::Timeout];
        for kind in kinds.into_iter().chain([FaultKind::GarbageLog, FaultKind::NoLog]) {
            let timeout = Duration::from_secs(120);
            let profile =
                Profile { faults: vec![Fault::every(3, kind.clone())], timeout, ..Profile::default() };
            let scenario = Scenario::default().with("f", profile);
            let (here, there) = (Emulator::new(scenario.clone()), Emulator::new(scenario));
            let http = AwsLambda::new(Arc::clone(App::simulated_with(there.clone()).clients()));
            let direct = answers(&DirectLambda(here.clone())).await;
            assert_eq!(direct, answers(&http).await, "{kind:?}");
            assert_eq!(here.observe().counts, there.observe().counts, "{kind:?}");
            assert!(direct.iter().any(|answer| answer.starts_with("Responded")), "{kind:?}: {direct:?}");
        }
    }
    #[tokio::test(start_paused = true)]
    async fn payloads_have_the_limit_of_http() {
        let emulator = Emulator::new(Scenario::default().with("f", Profile::default()));
        let http = AwsLambda::new(Arc::clone(App::simulated_with(emulator.clone()).clients()));
        for (bytes, answer) in [(6 << 20, "Responded"), ((6 << 20) + 1, "Refused { status: 413")] {
            let payloads = || Payloads::Same {
                payload: vec![b' '; bytes - 2].into_iter().chain(*b"{}").collect(),
                pings: 1,
            };
            let [direct] = &of_round(&DirectLambda(emulator.clone()), payloads(), None).await[..] else {
                panic!()
            };
            let [wire] = &of_round(&http, payloads(), None).await[..] else { panic!() };
            assert!(direct.starts_with(answer) && wire.starts_with(answer), "{direct}, {wire}");
        }
    }
}
