//! The arguments of `metrics`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::Args;

/// The arguments of `metrics`.
#[derive(Debug, Args)]
pub(crate) struct MetricsArgs {
    /// Serve the metrics at http://ADDR/metrics instead of printing them once: 9464 means 127.0.0.1:9464;
    /// 0.0.0.0:9464 lets other machines connect too
    #[arg(long, value_name = "ADDR", value_parser = parse_address)]
    pub(crate) listen: Option<SocketAddr>,
    /// Run directory of the cluster [default: as for up]
    #[arg(long, value_name = "DIR", env = "BULLPEN_RUN_DIR")]
    pub(crate) run_dir: Option<PathBuf>,
}

/// The text after the options in the help.
pub(crate) const HELP: &str = "Examples:\n  \
    bullpen metrics | grep takeover\n  \
    bullpen metrics --listen 9464          then: curl http://127.0.0.1:9464/metrics\n\n\
    Counters cover the current run of the cluster, and restart from 0 with the next. Single operations\n\
    are counted only if the cluster was started with --trace-operations.\n\
    Exit code 3 if no cluster uses the run directory. With --listen, bullpen_up is then 0, until a\n\
    cluster starts. SIGTERM or SIGINT ends the service with exit code 0.";

/// Reads an address: a port alone means the loopback interface.
///
/// # Errors
///
/// A message that says which addresses are accepted.
fn parse_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.strip_prefix(':').unwrap_or(text).parse() {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    if let Some(port) = text.strip_prefix("localhost:")
        && let Ok(port) = port.parse()
    {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    text.parse().map_err(|_| match text.parse::<IpAddr>() {
        Ok(_) => format!(
            "a port is missing, as in {}",
            SocketAddr::new(text.parse().unwrap_or(Ipv4Addr::LOCALHOST.into()), 9464)
        ),
        Err(_) => {
            "expected a port such as 9464, or an address with one such as 127.0.0.1:9464".to_owned()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_for_this_machine_only() {
        for text in ["9464", ":9464", "localhost:9464", "127.0.0.1:9464"] {
            assert_eq!(parse_address(text).unwrap().to_string(), "127.0.0.1:9464");
        }
        assert_eq!(
            parse_address("0.0.0.0:9464").unwrap().to_string(),
            "0.0.0.0:9464"
        );
        assert_eq!(parse_address("[::1]:80").unwrap().to_string(), "[::1]:80");
        for text in ["", "65536", "-1", "here:80", "1.2.3.4", "::1"] {
            parse_address(text).unwrap_err();
        }
        assert!(parse_address("::1").unwrap_err().ends_with("[::1]:9464"));
    }
}
