//! HTTPS proxies: `HTTPS_PROXY` and `NO_PROXY`, through CONNECT.

use std::sync::Arc;

use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;

use super::dial::Transport;
use super::origin::Origin;
use crate::aws::error::reasons;

/// The variables that name the proxy. The first one that is set counts.
const PROXY: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
/// The variables that name the exceptions.
const EXCEPTIONS: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// The proxies of HTTPS connections.
#[derive(Debug, Clone, Default)]
pub enum Proxies {
    /// No proxy.
    #[default]
    Direct,
    /// A proxy URL and its exceptions.
    Through(Arc<Matcher>),
    /// The proxy's URL is not usable, for this reason.
    Unusable(String),
}

/// The proxy of one origin.
#[derive(Debug, Clone)]
pub(super) struct Proxy {
    /// The proxy itself.
    pub origin: Origin,
    /// `Proxy-Authorization`.
    authorization: Option<HeaderValue>,
}

impl Proxies {
    /// Reads the environment: `HTTPS_PROXY` or `https_proxy`, with the exceptions of `NO_PROXY` or `no_proxy`.
    pub fn from_env() -> Self {
        let first = |names: [&str; 2]| {
            names.iter().find_map(|name| std::env::var(name).ok()).filter(|value| !value.trim().is_empty())
        };
        match first(PROXY) {
            None => Self::Direct,
            Some(proxy) => Self::new(&proxy, &first(EXCEPTIONS).unwrap_or_default()),
        }
    }

    /// Parses a proxy URL, `http://user:password@host:port`. The scheme may also be `https`, or be left out.
    /// `exceptions` are host names (which cover their subdomains), addresses and networks, separated by commas; `*`
    /// covers all.
    pub fn new(proxy: &str, exceptions: &str) -> Self {
        let builder = || Matcher::builder().https(proxy.trim().to_owned());
        let probe = Uri::from_static("https://probe.invalid");
        let scheme =
            builder().build().intercept(&probe).map(|found| found.uri().scheme_str().map(str::to_owned));
        match scheme.flatten().as_deref() {
            Some("http" | "https") => Self::Through(Arc::new(builder().no(exceptions.to_owned()).build())),
            Some(other) => Self::Unusable(format!(
                "HTTPS_PROXY: expected an http:// or https:// URL, found the scheme {other}"
            )),
            None => Self::Unusable("HTTPS_PROXY: expected a URL such as http://proxy:3128".to_owned()),
        }
    }

    /// Returns the proxy for an origin; `None` if the origin is reached directly.
    ///
    /// # Errors
    /// The reason why the proxy's URL is not usable.
    pub(super) fn of(&self, origin: &Origin) -> Result<Option<Proxy>, String> {
        if !origin.tls {
            return Ok(None);
        }
        let matcher = match self {
            Self::Direct => return Ok(None),
            Self::Unusable(reason) => return Err(reason.clone()),
            Self::Through(matcher) => matcher,
        };
        let uri = format!("https://{origin}").parse::<Uri>().map_err(|error| error.to_string())?;
        let Some(found) = matcher.intercept(&uri) else { return Ok(None) };
        let tls = found.uri().scheme_str() == Some("https");
        let host = found.uri().host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = found.uri().port_u16().unwrap_or(if tls { 443 } else { 80 });
        let authorization = found.basic_auth().cloned();
        Ok(Some(Proxy { origin: Origin { tls, host, port }, authorization }))
    }
}

impl Proxy {
    /// Turns `transport`, a connection to the proxy, into a tunnel to `origin`.
    ///
    /// # Errors
    /// The proxy's refusal.
    pub(super) async fn tunnel(
        &self,
        transport: Box<dyn Transport>,
        origin: &Origin,
    ) -> Result<Box<dyn Transport>, String> {
        let failed = |reason: String| format!("proxy {}: {reason}", self.origin);
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(transport)).await.map_err(|error| failed(reasons(&error)))?;
        // Ends with the upgrade, or with the proxy's refusal.
        tokio::spawn(connection.with_upgrades());
        let authority = origin.to_string();
        let mut request = Request::builder().method(Method::CONNECT).uri(&authority).header(HOST, &authority);
        if let Some(authorization) = &self.authorization {
            request = request.header(PROXY_AUTHORIZATION, authorization);
        }
        let request =
            request.body(Empty::<bytes::Bytes>::new()).map_err(|error| failed(error.to_string()))?;
        let answer = sender.send_request(request).await.map_err(|error| failed(reasons(&error)))?;
        let status = answer.status();
        if !status.is_success() {
            let hint = match status.as_u16() {
                407 => "; set its user and password in HTTPS_PROXY: http://user:password@host:port",
                403 => "; allow that host in the proxy, or add it to NO_PROXY",
                _ => "",
            };
            return Err(failed(format!("refused a tunnel to {authority}: HTTP {status}{hint}")));
        }
        let upgraded = hyper::upgrade::on(answer).await.map_err(|error| failed(reasons(&error)))?;
        Ok(Box::new(TokioIo::new(upgraded)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(tls: bool, host: &str) -> Origin {
        Origin { tls, host: host.to_owned(), port: 443 }
    }

    fn through(proxies: &Proxies, host: &str) -> Option<String> {
        proxies.of(&origin(true, host)).unwrap().map(|proxy| proxy.origin.to_string())
    }

    #[test]
    fn https_goes_through_the_proxy_unless_an_exception_covers_it() {
        let proxies = Proxies::new("http://proxy.corp:3128", "amazonaws.example, .corp,10.0.0.0/8,fd00::1");
        assert_eq!(through(&proxies, "lambda.eu-west-2.amazonaws.com").as_deref(), Some("proxy.corp:3128"));
        for host in ["amazonaws.example", "s3.amazonaws.example", "host.corp", "10.1.2.3", "fd00::1"] {
            assert_eq!(through(&proxies, host), None, "{host}");
        }
        assert_eq!(through(&proxies, "notamazonaws.example").as_deref(), Some("proxy.corp:3128"));
        assert!(proxies.of(&origin(false, "lambda.test")).unwrap().is_none(), "plain HTTP");
        assert_eq!(through(&Proxies::new("proxy", "*"), "lambda.test"), None);
        assert_eq!(through(&Proxies::new("proxy", ""), "lambda.test").as_deref(), Some("proxy:80"));
        assert_eq!(through(&Proxies::new("https://proxy", ""), "lambda.test").as_deref(), Some("proxy:443"));
        assert_eq!(
            through(&Proxies::new("http://[::1]:8080", ""), "lambda.test").as_deref(),
            Some("[::1]:8080")
        );
    }

    #[test]
    fn credentials_are_sent_and_never_printed() {
        let proxies = Proxies::new("http://ops:p%40ss@proxy:3128", "");
        let proxy = proxies.of(&origin(true, "lambda.test")).unwrap().unwrap();
        assert_eq!(proxy.authorization.as_ref().unwrap(), "Basic b3BzOnBAc3M=");
        let shown = format!("{proxies:?} {proxy:?}");
        assert!(!shown.contains("p@ss") && !shown.contains("b3BzOnBAc3M="), "{shown}");
    }

    #[test]
    fn a_url_that_is_not_usable_is_an_error() {
        let reason = |url: &str| Proxies::new(url, "").of(&origin(true, "lambda.test")).unwrap_err();
        assert_eq!(
            reason("socks5://proxy:1080"),
            "HTTPS_PROXY: expected an http:// or https:// URL, found the scheme socks5"
        );
        assert_eq!(reason("http://"), "HTTPS_PROXY: expected a URL such as http://proxy:3128");
        assert_eq!(reason("::::"), "HTTPS_PROXY: expected a URL such as http://proxy:3128");
    }
}
