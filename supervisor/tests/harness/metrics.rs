//! `bullpen metrics`, served or printed, and what it tells.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use super::{Home, PATIENCE, command, eventually};

/// A service of metrics; killed when dropped.
pub(crate) struct Service {
    pub(crate) child: Child,
    pub(crate) address: String,
}

impl Service {
    pub(crate) fn start(home: &Home) -> Service {
        let mut command = command(home, "metrics", &["--listen", "127.0.0.1:0"]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let stderr = child.stderr.take().unwrap();
        BufReader::new(stderr).read_line(&mut line).unwrap();
        let address = line.trim_end().strip_suffix("/metrics").unwrap();
        let (_, address) = address.split_once("http://").unwrap();
        Service {
            address: address.to_owned(),
            child,
        }
    }

    /// Sends a request, and reads the answer to its end.
    pub(crate) fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    }

    pub(crate) fn scrape(&self) -> String {
        self.ask("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    }

    pub(crate) fn await_line(&self, line: &str) -> String {
        let has = |text: &String| text.lines().any(|one| one == line);
        eventually(PATIENCE, line, || Some(self.scrape()).filter(has))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The value of a metric, labels included in its name; none before there is one.
pub(crate) fn told(text: &str, name: &str) -> Option<f64> {
    let mut lines = text.lines();
    let line = lines.find(|line| line.split(' ').next() == Some(name))?;
    Some(line.rsplit(' ').next().unwrap().parse().unwrap())
}

/// [`told`], of one that has to be there.
pub(crate) fn value(text: &str, name: &str) -> f64 {
    told(text, name).unwrap_or_else(|| panic!("{name} is not in:\n{text}"))
}
