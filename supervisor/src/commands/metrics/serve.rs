//! The metrics over HTTP, until a signal ends it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex as AsyncMutex, Notify};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::{Collector, MetricsError};
use crate::commands::stderr;

/// Most connections at a time.
const MAX_CONNECTIONS: usize = 32;
/// A client that has not asked by then is dropped.
const PATIENCE: Duration = Duration::from_secs(5);
/// A connection ends after that, so that a client that does not read its answer keeps no place. A scrape
/// of a cluster that does not answer takes 5 s, and another may be before it.
const MAX_AGE: Duration = Duration::from_secs(20);
/// Most bytes of a request that are kept.
const MAX_REQUEST: usize = 16 << 10;
/// After a failure to accept, such as for want of descriptors.
const PAUSE: Duration = Duration::from_millis(200);

/// Serves the metrics at `/metrics` until a signal ends the process.
///
/// # Errors
///
/// The address cannot be listened on.
pub(super) fn run(address: SocketAddr, collector: Collector) -> Result<Infallible, MetricsError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(MetricsError::Serve)?;
    let served = runtime.block_on(serve(address, collector));
    // A scrape may wait for a supervisor that does not answer; nobody waits for the scrape.
    runtime.shutdown_background();
    served
}

async fn serve(address: SocketAddr, collector: Collector) -> Result<Infallible, MetricsError> {
    let listening = TcpListener::bind(address).await;
    let listen_error = |error| MetricsError::Listen { address, error };
    let listener = listening.map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
    stderr::say(&format!("metrics at http://{address}/metrics"));
    let scrapes = Arc::new(Scrapes::of(collector));
    let mut connections = Connections::default();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => connections.add(stream, Arc::clone(&scrapes)).await,
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Those who are connected, the oldest first. Where there is no place, the oldest that waits for no answer
/// loses its own, since whoever asks at once is not among those for long. Where all wait for answers, which
/// they soon have, who comes then waits for the first of them.
#[derive(Debug, Default)]
struct Connections {
    all: VecDeque<Connection>,
    /// Somebody waits for an answer no more.
    answered: Arc<Notify>,
}

#[derive(Debug)]
struct Connection {
    task: AbortHandle,
    /// Its answer is being made.
    is_asking: Arc<AtomicBool>,
}

impl Connections {
    async fn add(&mut self, stream: TcpStream, scrapes: Arc<Scrapes>) {
        self.make_room().await;
        let is_asking = Arc::<AtomicBool>::default();
        let answered = Arc::clone(&self.answered);
        let conversation = converse(
            stream,
            scrapes,
            Arc::clone(&is_asking),
            Arc::clone(&answered),
        );
        let task = tokio::spawn(async move {
            // A client that takes its time, or leaves, is no failure of ours.
            let _ = timeout(MAX_AGE, conversation).await;
            answered.notify_one();
        });
        self.all.push_back(Connection {
            task: task.abort_handle(),
            is_asking,
        });
    }

    async fn make_room(&mut self) {
        loop {
            self.all.retain(|connection| !connection.task.is_finished());
            if self.all.len() < MAX_CONNECTIONS {
                return;
            }
            let idle = |connection: &Connection| !connection.is_asking.load(Ordering::Relaxed);
            let oldest = self.all.iter().position(idle);
            if let Some(oldest) = oldest.and_then(|oldest| self.all.remove(oldest)) {
                oldest.task.abort();
                return;
            }
            self.answered.notified().await;
        }
    }
}

/// One question and its answer.
async fn converse(
    stream: TcpStream,
    scrapes: Arc<Scrapes>,
    is_asking: Arc<AtomicBool>,
    answered: Arc<Notify>,
) -> hyper::Result<()> {
    let service = service_fn(move |request| {
        let (scrapes, is_asking) = (Arc::clone(&scrapes), Arc::clone(&is_asking));
        let answered = Arc::clone(&answered);
        async move {
            is_asking.store(true, Ordering::Relaxed);
            let answer = answer(request, &scrapes).await;
            is_asking.store(false, Ordering::Relaxed);
            answered.notify_one();
            answer
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(MAX_REQUEST)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

async fn answer(
    request: Request<Incoming>,
    scrapes: &Scrapes,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() != "/metrics" {
        return Ok(plain(StatusCode::NOT_FOUND, "see /metrics\n"));
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut refusal = plain(StatusCode::METHOD_NOT_ALLOWED, "ask with GET\n");
        refusal
            .headers_mut()
            .insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
        return Ok(refusal);
    }
    Ok(match scrapes.latest().await {
        Ok(text) => plain(StatusCode::OK, text),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, error),
    })
}

/// Makes the text, for all who ask at the same time at once: there is one place in the log, and a cluster
/// that does not answer is not asked again for each of them.
#[derive(Debug)]
struct Scrapes {
    last: AsyncMutex<Last>,
}

#[derive(Debug)]
struct Last {
    collector: Arc<Mutex<Collector>>,
    /// When the last scrape began, and the text that it gave, or why none.
    scraped: Option<(Instant, Result<Bytes, Bytes>)>,
}

impl Scrapes {
    fn of(collector: Collector) -> Scrapes {
        let collector = Arc::new(Mutex::new(collector));
        Scrapes {
            last: AsyncMutex::new(Last {
                collector,
                scraped: None,
            }),
        }
    }

    /// The text as of now or later, or why there is none.
    async fn latest(&self) -> Result<Bytes, Bytes> {
        let asked = Instant::now();
        let mut last = self.last.lock().await;
        if let Some((begun, text)) = &last.scraped
            && *begun >= asked
        {
            return text.clone();
        }
        let begun = Instant::now();
        let collector = Arc::clone(&last.collector);
        let scraped = tokio::task::spawn_blocking(move || scrape(&collector)).await;
        let text = match scraped {
            Ok(Ok(text)) => Ok(Bytes::from(text)),
            Ok(Err(error)) => Err(Bytes::from(format!("{error}\n"))),
            Err(_) => Err(Bytes::new()),
        };
        last.scraped = Some((begun, text.clone()));
        text
    }
}

fn scrape(collector: &Mutex<Collector>) -> Result<String, MetricsError> {
    let mut collector = collector.lock().unwrap_or_else(PoisonError::into_inner);
    // Whatever keeps the supervisor from answering, it is not up.
    let status = collector.collect()?.ok();
    collector.text(status.as_ref())
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let kind = hyper::header::HeaderValue::from_static(prometheus::TEXT_FORMAT);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
