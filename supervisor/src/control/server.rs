//! The supervisor's side of the control socket, made for a loop that must never wait.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use ipc::bind_private;
use nix::poll::{PollFd, PollFlags};

use super::{Answer, Request, SOCKET};
use crate::bound::Bound;

/// Most clients at a time; more wait in the backlog of the socket.
const MAX_CLIENTS: usize = 16;
/// Longest request, in bytes, its newline included.
const MAX_REQUEST: usize = 4 << 10;
/// A client that has not asked, or has not read its answer, by then is dropped.
const CLIENT_TIME: Duration = Duration::from_secs(1);

/// The control socket and those who are connected to it. Nothing here blocks.
#[derive(Debug)]
pub(crate) struct Server {
    socket: Bound,
    listener: UnixListener,
    clients: Vec<Client>,
    /// Set after a failure to accept, such as for want of descriptors: not tried again before.
    pause: Option<Instant>,
    /// No client can be accepted, and somebody was told.
    told: bool,
}

/// Names a client until the next call of [`Server::receive`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientIndex(usize);

#[derive(Debug)]
struct Client {
    stream: UnixStream,
    /// When it is dropped, whatever it does.
    until: Instant,
    state: State,
}

#[derive(Debug)]
enum State {
    /// It is to send a line; this much has come.
    Asking(Vec<u8>),
    /// It is to read this much more.
    Reading(Vec<u8>),
    /// There is no more to do with it.
    Over,
}

impl Server {
    /// Binds the socket in the run directory, for this user alone (mode 0600).
    ///
    /// # Errors
    ///
    /// What the system says.
    pub(crate) fn bind(run_dir: &Path) -> io::Result<Server> {
        let path = run_dir.join(SOCKET);
        let listener = bind_private(&path)?;
        Ok(Server {
            socket: Bound::at(path),
            listener,
            clients: Vec::new(),
            pause: None,
            told: false,
        })
    }

    /// Whether commands find the socket that was bound.
    pub(crate) fn is_in_place(&self) -> bool {
        self.socket.is_in_place()
    }

    /// Binds the socket again, under the same path. Who is connected stays so; keeps what there is if it
    /// fails.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub(crate) fn bind_again(&mut self) -> io::Result<()> {
        let listener = bind_private(&self.socket.path)?;
        // Who found the former one has knocked by now.
        self.accept(Instant::now());
        self.listener = listener;
        self.socket.look();
        Ok(())
    }

    /// Moves every client on as far as it goes, and returns the requests that are whole by now.
    /// Each is to be answered by [`Server::answer`] before the next call.
    pub(crate) fn receive(&mut self) -> Vec<(ClientIndex, Request)> {
        let now = Instant::now();
        self.clients.retain_mut(|client| {
            client.write();
            !matches!(client.state, State::Over) && now < client.until
        });
        self.accept(now);
        let clients = self.clients.iter_mut().enumerate();
        clients
            .filter_map(|(index, client)| Some((ClientIndex(index), client.read()?)))
            .collect()
    }

    /// Answers a request.
    pub(crate) fn answer(&mut self, client: ClientIndex, answer: &Answer) {
        if let Some(client) = self.clients.get_mut(client.0) {
            client.answer(answer);
        }
    }

    /// What to wait for.
    pub(crate) fn poll_fds(&self) -> impl Iterator<Item = PollFd<'_>> {
        let accepts = self.clients.len() < MAX_CLIENTS && self.pause.is_none();
        let listener = accepts.then(|| PollFd::new(self.listener.as_fd(), PollFlags::POLLIN));
        let clients = self.clients.iter().filter_map(Client::poll_fd);
        listener.into_iter().chain(clients)
    }

    /// When to come back though nothing has happened.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let clients = self.clients.iter().map(|client| match client.state {
            State::Over => Instant::now(),
            _ => client.until,
        });
        clients.chain(self.pause).min()
    }

    fn accept(&mut self, now: Instant) {
        if self.pause.is_some_and(|until| now < until) {
            return;
        }
        self.pause = None;
        while self.clients.len() < MAX_CLIENTS {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    self.told = false;
                    if stream.set_nonblocking(true).is_ok() {
                        self.clients.push(Client {
                            stream,
                            until: now + CLIENT_TIME,
                            state: State::Asking(Vec::new()),
                        });
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => {
                    if !std::mem::replace(&mut self.told, true) {
                        tracing::warn!("cannot accept a command on the control socket: {error}");
                    }
                    self.pause = Some(now + CLIENT_TIME);
                    return;
                }
            }
        }
    }
}

impl Client {
    /// Its request, when the line is whole. One that cannot be understood is answered here.
    fn read(&mut self) -> Option<Request> {
        let State::Asking(line) = &mut self.state else {
            return None;
        };
        let mut buffer = [0; MAX_REQUEST];
        loop {
            match self.stream.read(&mut buffer[line.len()..]) {
                Ok(0) => {
                    self.state = State::Over;
                    return None;
                }
                Ok(length) => {
                    let start = line.len();
                    line.extend_from_slice(&buffer[start..start + length]);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(_) => {
                    self.state = State::Over;
                    return None;
                }
            }
            if let Some(end) = line.iter().position(|&byte| byte == b'\n') {
                let request = serde_json::from_slice(&line[..end]);
                return match request {
                    Ok(request) => Some(request),
                    Err(error) => self.refuse(format!("this is no request: {error}")),
                };
            }
            if line.len() >= MAX_REQUEST {
                return self.refuse(format!("a request has at most {MAX_REQUEST} bytes"));
            }
        }
    }

    fn refuse(&mut self, sentence: String) -> Option<Request> {
        self.answer(&Answer::Refused(sentence));
        None
    }

    fn answer(&mut self, answer: &Answer) {
        self.state = match serde_json::to_vec(answer) {
            Ok(mut line) => {
                line.push(b'\n');
                State::Reading(line)
            }
            Err(error) => {
                tracing::warn!("cannot encode an answer for the control socket: {error}");
                State::Over
            }
        };
        self.write();
    }

    fn write(&mut self) {
        while let State::Reading(rest) = &mut self.state {
            match self.stream.write(rest) {
                Ok(length) if length < rest.len() => {
                    rest.drain(..length);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Ok(_) | Err(_) => self.state = State::Over,
            }
        }
    }

    fn poll_fd(&self) -> Option<PollFd<'_>> {
        let events = match self.state {
            State::Asking(_) => PollFlags::POLLIN,
            State::Reading(_) => PollFlags::POLLOUT,
            State::Over => return None,
        };
        Some(PollFd::new(self.stream.as_fd(), events))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn server() -> (tempfile::TempDir, Server) {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::bind(folder.path()).unwrap();
        (folder, server)
    }

    fn connect(folder: &tempfile::TempDir) -> UnixStream {
        let stream = UnixStream::connect(folder.path().join(SOCKET)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        stream
    }

    #[test]
    fn the_socket_is_for_its_user_alone() {
        let (folder, _server) = server();
        let metadata = std::fs::metadata(folder.path().join(SOCKET)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_request_may_come_in_pieces_and_is_answered_once() {
        let (folder, mut server) = server();
        let mut client = connect(&folder);
        client.write_all(br#"{"command":"#).unwrap();
        assert!(server.receive().is_empty());
        client.write_all(b"\"status\"}\n").unwrap();
        let requests = server.receive();
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].1, Request::Status);
        server.answer(requests[0].0, &Answer::Nothing("so".to_owned()));
        assert!(server.receive().is_empty());
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "{\"nothing\":\"so\"}\n");
    }

    #[test]
    fn what_is_no_request_is_refused_and_ends() {
        for garbage in [&b"\xff\x00{}\n"[..], &[b'x'; MAX_REQUEST], b"{}\n"] {
            let (folder, mut server) = server();
            let mut client = connect(&folder);
            client.write_all(garbage).unwrap();
            assert!(server.receive().is_empty());
            assert!(server.receive().is_empty());
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("{\"refused\":"), "{answer}");
            assert!(server.clients.is_empty());
        }
    }

    #[test]
    fn more_clients_than_are_served_wait_for_their_turn() {
        let (folder, mut server) = server();
        let clients: Vec<UnixStream> = (0..=MAX_CLIENTS).map(|_| connect(&folder)).collect();
        server.receive();
        assert_eq!(server.clients.len(), MAX_CLIENTS);
        assert_eq!(server.poll_fds().count(), MAX_CLIENTS);
        drop(clients);
        server.receive();
        server.receive();
        assert_eq!(server.clients.len(), 1);
    }

    #[test]
    fn a_client_that_does_not_read_holds_up_nobody() {
        let (folder, mut server) = server();
        let mut client = connect(&folder);
        client.write_all(b"{\"command\":\"status\"}\n").unwrap();
        let requests = server.receive();
        server.answer(requests[0].0, &Answer::Nothing("x".repeat(8 << 20)));
        assert!(matches!(server.clients[0].state, State::Reading(_)));
        server.clients[0].until = Instant::now();
        server.receive();
        assert!(server.clients.is_empty());
    }
}
