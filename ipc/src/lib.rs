//! Unix sockets and MessagePack.
