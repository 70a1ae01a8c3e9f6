//! A client for the emulator's tests: the real SDKs, or raw hyper, over pipes in memory or over loopback.

use std::fmt;
use std::net::SocketAddr;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use warmd::emulator::Emulator;

/// The time that the SDKs sign for: 2026-11-20T09:00:00Z.
pub const NOW: u64 = 1_795_165_200;

/// Where requests go.
#[derive(Clone)]
pub enum Transport {
    /// A pipe in memory for each request: time can be paused.
    Pipe(Emulator),
    /// A TCP connection for each request.
    Tcp(SocketAddr),
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}

impl Transport {
    /// Sends one request over a connection of its own.
    pub async fn send(
        &self,
        request: http::Request<Full<Bytes>>,
    ) -> Result<http::Response<Bytes>, Box<dyn std::error::Error + Send + Sync>> {
        let response = match self {
            Self::Pipe(emulator) => {
                let (near, far) = tokio::io::duplex(64 * 1024);
                let emulator = emulator.clone();
                tokio::spawn(async move { emulator.serve_io(far).await });
                exchange(near, request).await?
            }
            Self::Tcp(address) => exchange(TcpStream::connect(address).await?, request).await?,
        };
        Ok(response)
    }
}

async fn exchange<I>(
    io: I,
    request: http::Request<Full<Bytes>>,
) -> Result<http::Response<Bytes>, Box<dyn std::error::Error + Send + Sync>>
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await?;
    tokio::spawn(connection);
    let (parts, body) = sender.send_request(request).await?.into_parts();
    Ok(http::Response::from_parts(parts, body.collect().await?.to_bytes()))
}

impl HttpConnector for Transport {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let road = self.clone();
        HttpConnectorFuture::new(async move {
            let broken = |error: Box<dyn std::error::Error + Send + Sync>| ConnectorError::io(error);
            let request = request.try_into_http1x().map_err(|error| broken(error.into()))?;
            let (mut parts, body) = request.into_parts();
            let body = body.collect().await.map_err(broken)?.to_bytes();
            // Over one's own connection the request line carries the path alone.
            if let Some(authority) = parts.uri.authority() {
                let host = authority.as_str().parse().map_err(|_| broken("a bad host".into()))?;
                parts.headers.insert(http::header::HOST, host);
            }
            let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
            parts.uri = path.parse().map_err(|_| broken("a bad path".into()))?;
            let response =
                road.send(http::Request::from_parts(parts, Full::new(body))).await.map_err(broken)?;
            let (parts, body) = response.into_parts();
            let response = http::Response::from_parts(parts, SdkBody::from(body.to_vec()));
            response.try_into().map_err(|error: aws_smithy_runtime_api::http::HttpError| broken(error.into()))
        })
    }
}

impl HttpClient for Transport {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// Configuration of the real SDKs for that road, without retries.
pub fn sdk(road: Transport, region: &'static str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .endpoint_url("http://emulator.invalid")
        .credentials_provider(aws_sdk_lambda::config::SharedCredentialsProvider::new(
            aws_sdk_lambda::config::Credentials::new("AKID", "secret", None, None, "test"),
        ))
        .retry_config(aws_config::retry::RetryConfig::disabled())
        .sleep_impl(aws_smithy_async::rt::sleep::SharedAsyncSleep::new(
            aws_smithy_async::rt::sleep::TokioSleep::new(),
        ))
        .time_source(aws_smithy_async::time::StaticTimeSource::from_secs(NOW))
        .http_client(road)
        .build()
}
