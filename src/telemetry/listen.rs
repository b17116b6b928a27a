//! The listener: `/metrics` for Prometheus, `/livez` and `/readyz` for an orchestrator.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::door::{Door, Limits};
use super::{Health, TelemetryError};

const LIMITS: Limits = Limits { connections: 32, request: 16 << 10, lifetime: Duration::from_secs(10) };
/// Histograms collect samples until somebody asks, or until this has passed.
const UPKEEP: Duration = Duration::from_secs(5);

/// A listener at work; dropping it stops it.
#[derive(Debug)]
pub struct Listening {
    /// Where it listens: the port that the system chose where 0 was asked for.
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Listening {
    /// Lets the answers under way finish (10 s at most, the life of a connection).
    pub async fn close(self) {
        drop(self.stop);
        // Its task neither panics nor is cancelled; and if it were, it would be closed all the same.
        let _ = self.task.await;
    }
}

/// Listens at `host:port`.
pub async fn listen(
    address: &str,
    metrics: PrometheusHandle,
    health: Arc<Health>,
) -> Result<Listening, TelemetryError> {
    serve(address, metrics, health, LIMITS)
        .await
        .map_err(|source| TelemetryError::Listen { address: address.to_owned(), source })
}

async fn serve(
    address: &str,
    metrics: PrometheusHandle,
    health: Arc<Health>,
    limits: Limits,
) -> std::io::Result<Listening> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = axum::serve(Door::new(listener, limits), router(metrics.clone(), health));
    let task = tokio::spawn(async move {
        tokio::select! {
            served = serving.with_graceful_shutdown(async { drop(stopped.await) }) => {
                if let Err(error) = served {
                    tracing::error!(%error, "metrics and health are no longer served");
                }
            }
            () = upkeep(metrics) => {}
        }
    });
    Ok(Listening { address, stop, task })
}

async fn upkeep(metrics: PrometheusHandle) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        metrics.run_upkeep();
    }
}

fn router(metrics: PrometheusHandle, health: Arc<Health>) -> Router {
    let rendered =
        move || async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render()) };
    Router::new()
        .route("/metrics", get(rendered))
        .route("/livez", get(|State(health): State<Arc<Health>>| async move { verdict(health.is_live()) }))
        .route("/readyz", get(|State(health): State<Arc<Health>>| async move { verdict(health.is_ready()) }))
        .layer(map_response(close))
        .with_state(health)
}

/// One request a connection: what a connection may send and how long it may last is then that of one request.
async fn close(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn verdict(health: Result<(), String>) -> Response {
    match health {
        Ok(()) => "ok\n".into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    async fn start(limits: Limits) -> (Listening, Arc<Health>) {
        let health = Arc::new(Health::starting("reading positions"));
        let metrics = super::super::metrics::recorder().unwrap().handle();
        (serve("127.0.0.1:0", metrics, health.clone(), limits).await.unwrap(), health)
    }

    /// What comes back until the connection ends.
    async fn say(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // A listener that hangs up while we still write is one of the things to be seen.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    async fn ask(address: SocketAddr, path: &str) -> String {
        say(address, &format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await
    }

    #[tokio::test]
    async fn health_is_told_with_its_reason() {
        let (listening, health) = start(LIMITS).await;
        let address = listening.address;
        assert_ne!(address.port(), 0);
        assert!(ask(address, "/livez").await.starts_with("HTTP/1.1 200"));
        let waiting = ask(address, "/readyz").await;
        assert!(waiting.starts_with("HTTP/1.1 503") && waiting.ends_with("reading positions\n"), "{waiting}");
        health.ready();
        assert!(ask(address, "/readyz").await.starts_with("HTTP/1.1 200"));
        health.dead("the log no longer holds the start");
        assert!(ask(address, "/livez").await.ends_with("the log no longer holds the start\n"));
        assert!(ask(address, "/readyz").await.starts_with("HTTP/1.1 503"));
        assert!(ask(address, "/metrics").await.contains("text/plain; version=0.0.4"));
        assert!(ask(address, "/etc/passwd").await.starts_with("HTTP/1.1 404"));
        listening.close().await;
        assert!(TcpStream::connect(address).await.is_err(), "closed");
    }

    #[tokio::test]
    async fn no_visitor_wears_the_door_out() {
        let limits = Limits { connections: 2, request: 1_000, lifetime: Duration::from_millis(150) };
        let (listening, _health) = start(limits).await;
        let address = listening.address;
        let long = format!("GET /livez HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(2_000));
        assert!(!say(address, &long).await.contains("200"), "a request that is too long has no answer");
        // Two that never finish their request take both places, for as long as they may live.
        let slow = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
        let answer = tokio::time::timeout(Duration::from_secs(5), ask(address, "/livez")).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        drop(slow);
        listening.close().await;
    }

    #[tokio::test]
    async fn an_address_in_use_is_named() {
        let (listening, health) = start(LIMITS).await;
        let address = listening.address.to_string();
        let metrics = super::super::metrics::recorder().unwrap().handle();
        let error = listen(&address, metrics, health).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("serve.listen = \"{address}\": ")), "{error}");
    }
}
