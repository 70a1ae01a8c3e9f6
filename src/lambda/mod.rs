//! The Lambda: serves every supported event within the timeout of its invocation.

mod handler;
pub(crate) mod logging;
mod settings;

use std::pin::Pin;

use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use serde_json::Value;
use tracing_subscriber::filter::{LevelFilter, Targets};

use self::handler::Handler;
pub use self::logging::log_filter;
use self::settings::Settings;
use crate::domain::tick::TickReport;

/// The answer to an event.
type Answer<'h> = Pin<Box<dyn Future<Output = Result<TickReport, Diagnostic>> + Send + 'h>>;

/// Serves events until the environment ends.
///
/// # Errors
/// When the settings or the configuration are refused, or the runtime interface cannot be reached.
pub async fn main() -> Result<(), Error> {
    start_logging();
    let started = match Settings::read(|name| std::env::var(name).ok()) {
        Ok(settings) => Handler::start(settings).await,
        Err(mistakes) => Err(mistakes),
    };
    let handler = match started {
        Ok(handler) => handler,
        Err(reason) => {
            tracing::error!("{reason}");
            return refuse_to_start(reason).await;
        }
    };
    let handler = &handler;
    // Boxed, because the layers of the runtime would otherwise make the type very large.
    let serve = |event: LambdaEvent<Value>| -> Answer<'_> { Box::pin(handler.serve(event)) };
    lambda_runtime::run(service_fn(serve)).await
}

/// Starts logging with the filter in `RUST_LOG`; `info` when there is none.
fn start_logging() {
    let text = std::env::var("RUST_LOG").unwrap_or_default();
    let filter = log_filter(&text);
    let info = || Targets::new().with_default(LevelFilter::INFO);
    let given = filter.clone().ok().filter(|filter| *filter != Targets::new());
    logging::start(given.unwrap_or_else(info));
    if let Err(mistake) = filter {
        tracing::warn!("RUST_LOG: {mistake}; the level is `info`");
    }
}

/// Reports an init error to Lambda. `GetFunction` and the console show it.
async fn refuse_to_start(reason: String) -> Result<(), Error> {
    if let Ok(api) = std::env::var("AWS_LAMBDA_RUNTIME_API") {
        let body = serde_json::json!({ "errorType": "InitRefused", "errorMessage": reason }).to_string();
        if let Err(error) = report_init_error(&api, body).await {
            tracing::warn!(%error, "the init error could not be reported to Lambda");
        }
    }
    Err(Error::from(reason))
}

/// Calls `POST /runtime/init/error`, which the runtime crate does not offer.
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
