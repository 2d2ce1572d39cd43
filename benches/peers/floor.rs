//! The floor of the benchmark: a process that takes one invocation and answers it, and does nothing else. Only the
//! standard library, so that nothing can start faster.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

fn main() -> std::io::Result<()> {
    let host = std::env::var("AWS_LAMBDA_RUNTIME_API").map_err(std::io::Error::other)?;
    let mut server = BufReader::new(TcpStream::connect(&host)?);
    loop {
        let path = "/2018-06-01/runtime/invocation/next";
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n");
        let request_id = exchange(&mut server, &request)?;
        let path = format!("/2018-06-01/runtime/invocation/{request_id}/response");
        let request =
            format!("POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 2\r\n\r\n{{}}");
        exchange(&mut server, &request)?;
    }
}

/// Sends a request, reads the response to its end, and returns the invocation's ID if there is one.
fn exchange(server: &mut BufReader<TcpStream>, request: &str) -> std::io::Result<String> {
    server.get_mut().write_all(request.as_bytes())?;
    let (mut request_id, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        server.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some(("lambda-runtime-aws-request-id", value)) => request_id = value.to_owned(),
            Some(("content-length", value)) => {
                length = value.parse().map_err(std::io::Error::other)?;
            }
            Some(_) => {}
            None if line.starts_with("HTTP/") => {}
            None => break,
        }
    }
    server.read_exact(&mut vec![0; length])?;
    Ok(request_id)
}
