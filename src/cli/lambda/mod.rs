//! The Lambda: a tick for every event that it knows, within the time that Lambda gives it.

mod deadline;
mod settings;
mod warmer;

use std::pin::Pin;

use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use serde_json::Value;
use tracing_subscriber::filter::{LevelFilter, Targets};

use self::settings::Settings;
use self::warmer::Warmer;
use super::error::Failure;
use super::logging;
use super::value_parsers::log_filter;
use crate::domain::tick::TickReport;

/// What becomes of an event.
type Served<'w> = Pin<Box<dyn Future<Output = Result<TickReport, Diagnostic>> + Send + 'w>>;

/// Serves events until Lambda ends the environment.
///
/// # Errors
/// When the settings or the configuration are refused, or Lambda's runtime interface cannot be reached.
pub async fn main() -> Result<(), Error> {
    let wanted = std::env::var("RUST_LOG").map(|text| log_filter(&text).map_err(|wrong| (text, wrong)));
    // An empty variable is as good as none.
    let filter = wanted.clone().ok().and_then(Result::ok).filter(|filter| *filter != Targets::new());
    logging::start_in_lambda(filter.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO)));
    if let Ok(Err((text, wrong))) = wanted {
        tracing::warn!("RUST_LOG is `{text}`, which is no filter: {wrong}; what is logged is `info`");
    }
    let started = match Settings::read(|name| std::env::var(name).ok()) {
        Ok(settings) => Warmer::start(settings).await,
        Err(mistakes) => Err(Failure::Usage(mistakes)),
    };
    let warmer = match started {
        Ok(warmer) => warmer,
        Err(failure) => {
            tracing::error!("{failure}");
            return refuse_to_start(failure.to_string()).await;
        }
    };
    let warmer = &warmer;
    // Boxed: the runtime wraps it in layers, and the compiler would follow all of them into each other.
    let serve = |event: LambdaEvent<Value>| -> Served<'_> { Box::pin(warmer.serve(event)) };
    lambda_runtime::run(service_fn(serve)).await
}

/// Tells Lambda why there is nothing to serve with: as an init error, which `GetFunction` and the console show.
async fn refuse_to_start(reason: String) -> Result<(), Error> {
    if let Ok(api) = std::env::var("AWS_LAMBDA_RUNTIME_API") {
        let body = serde_json::json!({ "errorType": "InitRefused", "errorMessage": reason }).to_string();
        if let Err(error) = report_init_error(&api, body).await {
            tracing::warn!(%error, "Lambda was not told of the init error");
        }
    }
    Err(Error::from(reason))
}

/// `POST /runtime/init/error`: the one call of the runtime interface that the runtime crate has no door to.
async fn report_init_error(api: &str, body: String) -> Result<(), Error> {
    let stream = tokio::net::TcpStream::connect(api).await?;
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
    let connection = tokio::spawn(connection);
    let request = http::Request::post("/2018-06-01/runtime/init/error")
        .header("host", api)
        .header("lambda-runtime-function-error-type", "InitRefused")
        .body(http_body_util::Full::new(bytes::Bytes::from(body)))?;
    sender.send_request(request).await?;
    drop(sender);
    connection.await??;
    Ok(())
}

/// The error type of an event that is refused.
const REFUSED: &str = "EventRefused";
/// The error type of an event that needs the state store, and should be delivered again.
const STATE_UNAVAILABLE: &str = "StateUnavailable";

/// An event that is refused: nothing was sent for it.
fn refused(reason: impl std::fmt::Display) -> Diagnostic {
    failed(REFUSED, reason)
}

/// An event that is not served, with its reason in the log.
fn failed(error_type: &str, reason: impl std::fmt::Display) -> Diagnostic {
    tracing::error!("{reason}");
    Diagnostic { error_type: error_type.to_owned(), error_message: reason.to_string() }
}
