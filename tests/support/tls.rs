//! Certificates of a private authority, and what stands between the function and the emulator: TLS
//! and proxies. They last as long as the runtime that they are started in.

// Each program uses only part of this.
#![allow(dead_code)]

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair,
    PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, SignatureAlgorithm,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// A certificate authority that no system trusts.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// Of its own certificate, and of those that it signs.
    algorithm: &'static SignatureAlgorithm,
}

impl Authority {
    /// An authority with this name, which appears in its certificates. All keys are on the curve
    /// P-256.
    pub fn new(name: &str) -> Self {
        Self::with_algorithm(name, &PKCS_ECDSA_P256_SHA256)
    }

    /// The same with RSA keys of 2,048 bits, like those of AWS's endpoints.
    pub fn rsa(name: &str) -> Self {
        Self::with_algorithm(name, &PKCS_RSA_SHA256)
    }

    fn with_algorithm(name: &str, algorithm: &'static SignatureAlgorithm) -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let subject = &mut parameters.distinguished_name;
        subject.push(DnType::CommonName, name);
        let key = KeyPair::generate_for(algorithm).unwrap();
        let issuer = CertifiedIssuer::self_signed(parameters, key).unwrap();
        Self { issuer, algorithm }
    }

    /// The authority's own certificate, as PEM.
    pub fn certificate(&self) -> String {
        self.issuer.pem()
    }

    /// Writes the authority's certificate into a directory, and returns the file's path.
    pub fn write_to(&self, directory: &Path) -> String {
        let file = directory.join("authority.pem");
        std::fs::write(&file, self.certificate()).unwrap();
        file.into_os_string().into_string().unwrap()
    }

    /// The configuration of a server named `localhost`.
    fn server_config(&self) -> ServerConfig {
        let key = KeyPair::generate_for(self.algorithm).unwrap();
        let parameters = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap()
    }
}

/// TLS in front of a server, under the name `localhost`.
pub struct TlsFront {
    pub url: String,
}

impl TlsFront {
    /// In front of the server at `url`, with a certificate of this authority.
    pub async fn start(url: &str, authority: &Authority) -> Self {
        Self::start_slow(url, authority, Duration::ZERO).await
    }

    /// The same, and each handshake begins after this time.
    pub async fn start_slow(url: &str, authority: &Authority, pause: Duration) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(authority.server_config()));
        let behind = url.replace("http://", "");
        let port = serve(move |stream| {
            let (acceptor, behind) = (acceptor.clone(), behind.clone());
            async move {
                stream.set_nodelay(true)?;
                sleep(pause).await;
                // A client that does not trust the certificate disconnects, and reports that
                // itself.
                let mut stream = acceptor.accept(stream).await?;
                let mut behind = TcpStream::connect(behind).await?;
                behind.set_nodelay(true)?;
                copy_bidirectional(&mut stream, &mut behind).await?;
                Ok(())
            }
        })
        .await;
        Self {
            url: format!("https://localhost:{}", port),
        }
    }
}

/// An HTTP proxy: it opens tunnels for CONNECT, and forwards everything else, but nothing to AWS
/// itself.
pub struct Proxy {
    pub url: String,
    /// The first line of each connection.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    pub async fn start() -> Self {
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let record = Arc::clone(&asked);
        let port = serve(move |client| pass_on(client, Arc::clone(&record))).await;
        Self {
            url: format!("http://127.0.0.1:{port}"),
            asked,
        }
    }

    /// The first line of each connection so far, such as `CONNECT localhost:443 HTTP/1.1`.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn pass_on(client: TcpStream, asked: Arc<Mutex<Vec<String>>>) -> io::Result<()> {
    let mut client = BufReader::new(client);
    let mut line = String::new();
    client.read_line(&mut line).await?;
    asked.lock().unwrap().push(line.trim_end().to_owned());
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let authority = target.trim_start_matches("http://").split('/').next();
    if target.contains("aws") {
        return Ok(());
    }
    let mut server = TcpStream::connect(authority.unwrap()).await?;
    if method == "CONNECT" {
        let mut header = String::from("a header");
        while !header.trim_end().is_empty() {
            header.clear();
            client.read_line(&mut header).await?;
        }
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    } else {
        server.write_all(line.as_bytes()).await?;
    }
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// Handles each connection to a new port, which is returned.
async fn serve<H, F>(handle: H) -> u16
where
    H: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(handle(stream));
        }
    });
    port
}
