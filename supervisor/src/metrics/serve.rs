//! The metrics over HTTP, until a signal ends it.

use std::convert::Infallible;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Semaphore;

use super::{Collector, MetricsError};

/// Most connections at a time; more wait in the backlog.
const MAX_CONNECTIONS: usize = 32;
/// A client that has not asked by then is dropped.
const PATIENCE: Duration = Duration::from_secs(10);
/// A connection ends after that, so that a client that does not read its answer keeps no place.
const MAX_AGE: Duration = Duration::from_secs(600);
/// After a failure to accept, such as for want of descriptors.
const PAUSE: Duration = Duration::from_millis(200);

/// Serves the metrics at `/metrics` until SIGINT or SIGTERM.
///
/// # Errors
///
/// The address cannot be listened on.
pub(super) fn run(address: SocketAddr, collector: Collector) -> Result<(), MetricsError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(MetricsError::Serve)?;
    let served = runtime.block_on(serve(address, Arc::new(Mutex::new(collector))));
    // A scrape may wait for a supervisor that does not answer; nobody waits for the scrape.
    runtime.shutdown_background();
    served
}

async fn serve(address: SocketAddr, collector: Arc<Mutex<Collector>>) -> Result<(), MetricsError> {
    let mut signals = Signals::install().map_err(MetricsError::Serve)?;
    let listening = TcpListener::bind(address).await;
    let listen_error = |error| MetricsError::Listen { address, error };
    let listener = listening.map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
    // Not `eprintln!`, which panics when standard error is closed.
    let _ = writeln!(io::stderr(), "bullpen: metrics at http://{address}/metrics");
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        tokio::select! {
            () = signals.any() => return Ok(()),
            (place, accepted) = accepted => match accepted {
                Ok((stream, _)) => {
                    let collector = Arc::clone(&collector);
                    tokio::spawn(async move {
                        let _place = place;
                        // A client that takes its time, or leaves, is no failure of ours.
                        let _ = tokio::time::timeout(MAX_AGE, converse(stream, collector)).await;
                    });
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            },
        }
    }
}

async fn converse(stream: TcpStream, collector: Arc<Mutex<Collector>>) -> hyper::Result<()> {
    let service = service_fn(move |request| answer(request, Arc::clone(&collector)));
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

async fn answer(
    request: Request<Incoming>,
    collector: Arc<Mutex<Collector>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() != "/metrics" {
        return Ok(plain(StatusCode::NOT_FOUND, "see /metrics\n".to_owned()));
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut refusal = plain(StatusCode::METHOD_NOT_ALLOWED, "ask with GET\n".to_owned());
        refusal
            .headers_mut()
            .insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
        return Ok(refusal);
    }
    let scraped = tokio::task::spawn_blocking(move || scrape(&collector)).await;
    Ok(match scraped {
        Ok(Ok(text)) => plain(StatusCode::OK, text),
        Ok(Err(error)) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, String::new()),
    })
}

/// Scrapes at the same time wait for each other: there is one place in the log.
fn scrape(collector: &Mutex<Collector>) -> Result<String, MetricsError> {
    let mut collector = collector.lock().unwrap_or_else(PoisonError::into_inner);
    // Whatever keeps the supervisor from answering, it is not up.
    let status = collector.collect()?.ok();
    collector.text(status.as_ref())
}

fn plain(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let kind = hyper::header::HeaderValue::from_static(prometheus::TEXT_FORMAT);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// The signals that end the service.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn install() -> io::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
