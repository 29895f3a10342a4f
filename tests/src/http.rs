//! HTTP/1.1 over a Unix socket, byte by byte, so that a test can also speak it wrongly.

use std::{
    cell::Cell,
    io::{self, BufRead, BufReader, ErrorKind, Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    path::Path,
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use limiter::api::Event;
use serde_json::Value;

use crate::settle::PATIENCE;

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Body, chunks put together.
    pub body: String,
}

impl Response {
    /// The body as JSON.
    ///
    /// # Panics
    /// If it is not.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|e| panic!("not JSON ({e}): {:?}", self.body))
    }
}

/// A whole request, well-formed.
///
/// # Errors
/// If nobody listens, or the answer is not HTTP.
pub fn request(
    socket: &Path,
    method: &str,
    target: &str,
    body: Option<&str>,
) -> io::Result<Response> {
    let mut text = format!("{method} {target} HTTP/1.1\r\nhost: limiter\r\nconnection: close\r\n");
    if let Some(body) = body {
        text += &format!(
            "content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
    } else {
        text += "\r\n";
    }
    raw(socket, text.as_bytes())
}

/// Any bytes, and the answer to them. The other side may answer before it has read everything.
///
/// # Errors
/// If nobody listens, or the answer is not HTTP.
pub fn raw(socket: &Path, bytes: &[u8]) -> io::Result<Response> {
    exchange(connect(socket)?, bytes)
}

/// The same over any connection.
pub(crate) fn exchange(mut stream: impl Read + Write, bytes: &[u8]) -> io::Result<Response> {
    match stream.write_all(bytes) {
        Err(e) if !matches!(e.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
            return Err(e);
        }
        _ => {}
    }
    let mut reader = BufReader::new(stream);
    let head = Head::read(&mut reader)?;
    let mut body = Vec::new();
    if head.chunked {
        Chunks::new(reader).read_to_end(&mut body)?;
    } else if let Some(length) = head.length {
        reader.take(length).read_to_end(&mut body)?;
    } else if head.status != 204 {
        reader.read_to_end(&mut body)?;
    }
    Ok(Response {
        status: head.status,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

/// A connection that says nothing yet.
///
/// # Errors
/// If nobody listens.
pub fn connect(socket: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// The live stream of events. Subscribed once made.
#[derive(Debug)]
pub struct Events {
    stream: UnixStream,
    lines: Receiver<String>,
    missed: Cell<u64>,
}

impl Events {
    /// Subscribes; `query` is empty or, for instance, `?zone=addr`.
    ///
    /// # Panics
    /// If the daemon does not agree.
    pub fn subscribe(socket: &Path, query: &str) -> Self {
        let mut stream = connect(socket).expect("connect to the control socket");
        stream
            .set_read_timeout(None)
            .expect("an open socket takes options");
        write!(
            stream,
            "GET /events{query} HTTP/1.1\r\nhost: limiter\r\n\r\n"
        )
        .expect("ask for events");
        let mut reader = BufReader::new(stream.try_clone().expect("duplicate a descriptor"));
        let head = Head::read(&mut reader).expect("an answer to GET /events");
        assert_eq!(head.status, 200, "GET /events{query}");
        let (sender, lines) = channel();
        thread::spawn(move || {
            let lines: Box<dyn BufRead> = if head.chunked {
                Box::new(BufReader::new(Chunks::new(reader)))
            } else {
                Box::new(reader)
            };
            for line in lines.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            stream,
            lines,
            missed: Cell::new(0),
        }
    }

    /// The next event; None if time is up or the stream has ended.
    ///
    /// # Panics
    /// If a line is not an event.
    pub fn next(&self, patience: Duration) -> Option<Event> {
        loop {
            let line = self.next_line(patience)?;
            let value: Value =
                serde_json::from_str(&line).unwrap_or_else(|e| panic!("not JSON ({e}): {line}"));
            if let Some(missed) = value.get("missed").and_then(Value::as_u64) {
                self.missed.set(self.missed.get() + missed);
                continue;
            }
            let event = serde_json::from_value(value)
                .unwrap_or_else(|e| panic!("not an event ({e}): {line}"));
            return Some(event);
        }
    }

    /// How many events the daemon has left out because they were not read in time.
    pub fn missed(&self) -> u64 {
        self.missed.get()
    }

    /// The next line that is not empty, as it is.
    pub fn next_line(&self, patience: Duration) -> Option<String> {
        loop {
            match self.lines.recv_timeout(patience) {
                Ok(line) if line.trim().is_empty() => {}
                Ok(line) => return Some(line),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// All events until none comes for `quiet`.
    pub fn rest(&self, quiet: Duration) -> Vec<Event> {
        std::iter::from_fn(|| self.next(quiet)).collect()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        // Ends the reading thread; fails only if the daemon has gone.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

struct Head {
    status: u16,
    chunked: bool,
    length: Option<u64>,
}

impl Head {
    fn read(reader: &mut impl BufRead) -> io::Result<Self> {
        let first = line(reader)?;
        let status = first
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .ok_or_else(|| io::Error::other(format!("not a status line: {first:?}")))?;
        let mut head = Self {
            status,
            chunked: false,
            length: None,
        };
        loop {
            let header = line(reader)?.to_ascii_lowercase();
            let Some((name, value)) = header.split_once(':') else {
                return Ok(head);
            };
            match (name, value.trim()) {
                ("transfer-encoding", "chunked") => head.chunked = true,
                ("content-length", value) => head.length = value.parse().ok(),
                _ => {}
            }
        }
    }
}

/// Chunks as one stream (RFC 9112 §7.1).
struct Chunks<R> {
    inner: R,
    left: u64,
}

impl<R: BufRead> Chunks<R> {
    fn new(inner: R) -> Self {
        Self { inner, left: 0 }
    }
}

impl<R: BufRead> Read for Chunks<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            let size = line(&mut self.inner)?;
            let size = size.split(';').next().unwrap_or_default();
            self.left = u64::from_str_radix(size, 16).map_err(io::Error::other)?;
            if self.left == 0 {
                return Ok(0);
            }
        }
        let length = self.inner.by_ref().take(self.left).read(buffer)?;
        if length == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.left -= length as u64;
        if self.left == 0 {
            line(&mut self.inner)?;
        }
        Ok(length)
    }
}

fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    line.truncate(line.trim_end().len());
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_become_one_stream() {
        let wire = b"5\r\nhello\r\n1;x=y\r\n \r\n5\r\nworld\r\n0\r\n\r\n";
        let mut text = String::new();
        Chunks::new(&wire[..])
            .read_to_string(&mut text)
            .expect("well-formed");
        assert_eq!(text, "hello world");
    }

    #[test]
    fn a_cut_stream_is_an_error() {
        let mut text = String::new();
        assert!(
            Chunks::new(&b"5\r\nhel"[..])
                .read_to_string(&mut text)
                .is_err()
        );
    }
}
