//! What stands between a program and the service, and is in the way.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rekognition_emulator::Emulator;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::cold::Tls;
use crate::tls::Authority;

/// How it is in the way.
#[derive(Clone, Copy)]
pub enum Obstacle {
    /// Nothing goes through a new connection for this long, so that its TLS handshake takes as much
    /// longer.
    SlowConnections(Duration),
    /// Of the response to a request that was not there before, half of the head comes, and no more.
    /// Over plain HTTP.
    LostFirstAttempts,
}

/// The way to a service with an obstacle in it.
pub struct Way {
    front: Front,
    /// Behind the front.
    tls: Option<Tls>,
}

impl Way {
    pub async fn start(emulator: &Emulator, obstacle: Obstacle) -> Self {
        let tls = match obstacle {
            Obstacle::SlowConnections(_) => {
                Some(Tls::start(emulator, &Authority::rsa("far away")).await)
            }
            Obstacle::LostFirstAttempts => None,
        };
        let front = match &tls {
            Some(tls) => Front::start(tls.url(), obstacle).await,
            None => Front::start(&emulator.url(), obstacle).await,
        };
        Self { front, tls }
    }

    /// The variables that make a client take this way.
    pub fn variables(&self) -> Vec<(&'static str, &str)> {
        let tls = self.tls.iter().flat_map(Tls::variables);
        // The last of a name is the one that counts.
        tls.chain([("AWS_ENDPOINT_URL", self.front.url.as_str())])
            .collect()
    }
}

/// It listens until it is dropped.
struct Front {
    url: String,
    task: JoinHandle<()>,
}

impl Front {
    /// In front of the server at `url`, which ends in a port.
    async fn start(url: &str, obstacle: Obstacle) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let own_port = listener.local_addr().unwrap().port();
        let (host, port) = url.rsplit_once(':').unwrap();
        let behind: u16 = port.parse().unwrap();
        let url = format!("{host}:{own_port}");
        let task = tokio::spawn(async move {
            let bodies = Arc::<Mutex<HashSet<Vec<u8>>>>::default();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let bodies = Arc::clone(&bodies);
                // A client that gives up disconnects, and reports that itself.
                tokio::spawn(async move {
                    match obstacle {
                        Obstacle::SlowConnections(time) => {
                            pass_on_after(time, stream, behind).await
                        }
                        Obstacle::LostFirstAttempts => lose_first(stream, behind, &bodies).await,
                    }
                });
            }
        });
        Self { url, task }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn connect(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn pass_on_after(time: Duration, mut client: TcpStream, behind: u16) -> io::Result<()> {
    sleep(time).await;
    let mut server = connect(behind).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

async fn lose_first(
    client: TcpStream,
    behind: u16,
    bodies: &Mutex<HashSet<Vec<u8>>>,
) -> io::Result<()> {
    let mut client = BufReader::new(client);
    let mut server = BufReader::new(connect(behind).await?);
    loop {
        let request = read_message(&mut client).await?;
        if bodies.lock().unwrap().insert(request.body.clone()) {
            client.write_all(b"HTTP/1.1 200 OK\r\nContent-Ty").await?;
            // Until the client gives up.
            client.read_u8().await?;
        }
        request.write_to(&mut server).await?;
        read_message(&mut server)
            .await?
            .write_to(&mut client)
            .await?;
    }
}

/// A request or a response.
struct Message {
    head: Vec<u8>,
    body: Vec<u8>,
}

impl Message {
    async fn write_to(&self, stream: &mut BufReader<TcpStream>) -> io::Result<()> {
        let whole = [&*self.head, &*self.body].concat();
        stream.write_all(&whole).await
    }
}

/// The next message, whose head says how long its body is.
async fn read_message(stream: &mut BufReader<TcpStream>) -> io::Result<Message> {
    let mut head = Vec::new();
    let mut length = 0;
    loop {
        let start = head.len();
        if stream.read_until(b'\n', &mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = String::from_utf8_lossy(&head[start..]).to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Message { head, body })
}
