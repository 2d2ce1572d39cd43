//! The TCP server: HTTP/1.1 on the loopback interface, with connections that can break.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;
use tower::ServiceExt;

use crate::call::{self, Shared};
use crate::request::Connection;
use crate::wire::ConnectionReset;

/// A server that runs until it is dropped, and breaks every connection then.
pub(crate) struct Server {
    pub(crate) port: u16,
    task: JoinHandle<()>,
}

impl Server {
    /// Listens on `127.0.0.1`; port 0 means any that is free.
    pub(crate) async fn start(port: u16, shared: Arc<Shared>) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let port = listener.local_addr()?.port();
        let task = tokio::spawn(accept(listener, shared));
        Ok(Self { port, task })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let router = call::router(Arc::clone(&shared));
    // Owned here, so that the connections end with this task.
    let mut connections = JoinSet::new();
    loop {
        // A connection that cannot be accepted is no concern of the others. A moment's rest, since
        // the reason may be that the process has too many.
        let Ok((stream, _)) = listener.accept().await else {
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        let number = {
            let mut state = shared.state();
            state.record.connections += 1;
            Connection(state.record.connections as u64)
        };
        connections.spawn(serve(stream, number, router.clone()));
        while connections.try_join_next().is_some() {}
    }
}

/// Serves one connection until its end, which for a reset comes instead of a response.
async fn serve(stream: TcpStream, number: Connection, router: Router) {
    // Small responses must not wait for more to send.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|mut request: Request<Incoming>| {
        let router = router.clone();
        request.extensions_mut().insert(number);
        async move {
            let Ok(response) = router.oneshot(request).await;
            // An error makes the server drop the connection before anything is sent.
            match response.extensions().get::<ConnectionReset>() {
                Some(ConnectionReset) => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
                None => Ok(response),
            }
        }
    });
    // The client reports how a connection ended.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
