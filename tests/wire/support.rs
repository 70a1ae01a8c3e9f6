//! Clients of the emulator: the real SDKs over in-memory connections, and plain HTTP over loopback.

use std::net::SocketAddr;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use warmd::aws::connector::{Connector, Dialer, Proxies, Roots};
use warmd::emulator::Emulator;

/// The time of the SDKs' signatures: 2026-11-20T09:00:00Z.
pub const NOW: u64 = 1_795_165_200;

/// Creates a configuration of the SDKs with in-memory connections to an emulator and without retries.
pub fn sdk(emulator: &Emulator, region: &'static str) -> SdkConfig {
    let emulator = emulator.clone();
    let dialer = Dialer::custom(move |_: &str, _| {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let emulator = emulator.clone();
        tokio::spawn(async move { emulator.serve_io(far).await });
        async move { Ok(near) }
    });
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
        .http_client(Connector::new(dialer, Roots::Native, Proxies::Direct))
        .build()
}

/// Sends one request over a TCP connection of its own.
pub async fn send(
    address: SocketAddr,
    request: http::Request<Full<Bytes>>,
) -> Result<http::Response<Bytes>, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let (parts, body) = sender.send_request(request).await?.into_parts();
    Ok(http::Response::from_parts(parts, body.collect().await?.to_bytes()))
}
