//! `network` of `[extension.permissions]`: nothing, everything, or a list of hosts with their ports.
//!
//! Read by [`super::permissions`], held by [`crate::sandbox`] and [`crate::supervisor`]. Invariant: a host that is read here is
//! one that a resolver can be asked for, or one address; what could be understood in two ways is a fault.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::document::{Content, Element, Faults, Fields};

/// What of the network an extension may use.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Network {
    /// Nothing.
    #[default]
    Refused,
    /// Everything.
    All,
    /// TCP to these, and nothing else.
    Hosts(Vec<Host>),
}

impl Network {
    /// Whether nothing of it may be used.
    pub const fn is_refused(&self) -> bool {
        matches!(self, Self::Refused)
    }

    /// Whether all of it may be used.
    pub const fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }

    /// The hosts that it is limited to; none where it is not limited by hosts.
    pub fn hosts(&self) -> &[Host] {
        match self {
            Self::Hosts(hosts) => hosts,
            Self::Refused | Self::All => &[],
        }
    }

    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        let label = fields.label("network");
        let Some(element) = fields.take("network") else { return Self::Refused };
        match element.content {
            Content::Bool(true) => Self::All,
            Content::Bool(false) => Self::Refused,
            Content::List(items) => {
                let hosts: Vec<_> = items
                    .into_iter()
                    .filter_map(|item| read_host(fields.faults, &label, &item))
                    .collect();
                if hosts.is_empty() { Self::Refused } else { Self::Hosts(hosts) }
            }
            other => {
                let message = format!(
                    "`{label}` must be true, false or a list of hosts, not {}",
                    other.kind()
                );
                fields.faults.error(&element.at, message).hint =
                    Some("write `network = [\"api.example.org:443\"]`".to_owned());
                Self::Refused
            }
        }
    }
}

fn read_host(faults: &mut Faults, label: &str, item: &Element) -> Option<Host> {
    let Content::Text(text) = &item.content else {
        let message = format!("`{label}` must hold hosts as texts, not {}", item.content.kind());
        faults.error(&item.at, message);
        return None;
    };
    match Host::parse(text) {
        Ok(host) => Some(host),
        Err(Fault { what, hint }) => {
            faults.error(&item.at, format!("`{text}` {what}")).hint = Some(hint);
            None
        }
    }
}

/// One host and the port of it that may be connected to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Host {
    /// Which one.
    pub name: HostName,
    /// Its port; never 0.
    pub port: u16,
}

/// How a host is named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum HostName {
    /// By its address.
    Address(IpAddr),
    /// By a name that a resolver knows, in lower case.
    Named(String),
    /// By what its name ends in: `*.internal` is every name below `internal`, at any depth, and not `internal` itself.
    Below(String),
}

/// Why a text is no host.
struct Fault {
    what: String,
    hint: String,
}

fn fault(what: impl Into<String>, hint: impl Into<String>) -> Fault {
    Fault { what: what.into(), hint: hint.into() }
}

impl Host {
    fn parse(text: &str) -> Result<Self, Fault> {
        const EXAMPLE: &str = "write a host and its port: `api.example.org:443`";
        if text.contains("://") || text.contains('/') {
            return Err(fault("is no host: only a name and a port are granted", EXAMPLE));
        }
        if text.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
            return Err(fault("is no host: it holds white space", EXAMPLE));
        }
        let without_port = |text: &str| {
            let hint = format!("grant one port of it, as `{text}:443`");
            fault("has no port", hint)
        };
        if let Some(rest) = text.strip_prefix('[') {
            let hint = "write an IPv6 address as `[::1]:8080`";
            let (address, rest) = rest.split_once(']').ok_or_else(|| fault("lacks a `]`", hint))?;
            let address: Ipv6Addr = address
                .parse()
                .map_err(|_| fault("holds no IPv6 address in its brackets", hint))?;
            let digits = match rest.strip_prefix(':') {
                Some(digits) => digits,
                None if rest.is_empty() => return Err(without_port(text)),
                None => return Err(fault("goes on after its `]`", hint)),
            };
            return Ok(Self { name: address_name(IpAddr::V6(address))?, port: port(digits)? });
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            let hint = format!("write an IPv6 address in brackets: `[{text}]:443`");
            return Err(fault("has no port", hint));
        }
        let Some((name, digits)) = text.rsplit_once(':') else {
            return Err(if text == "*" { any_host() } else { without_port(text) });
        };
        if name.contains(':') {
            let hint = format!("write an IPv6 address in brackets: `[{name}]:{digits}`");
            return Err(fault("is no host: it holds more than one `:`", hint));
        }
        Ok(Self { name: host_name(name)?, port: port(digits)? })
    }

    /// Whether a name is this host's, or is below it.
    pub fn is_named(&self, name: &str) -> bool {
        match &self.name {
            HostName::Address(_) => false,
            HostName::Named(own) => own.eq_ignore_ascii_case(name),
            HostName::Below(end) => {
                let name = name.to_ascii_lowercase();
                name.strip_suffix(end.as_str())
                    .and_then(|rest| rest.strip_suffix('.'))
                    .is_some_and(|rest| !rest.is_empty())
            }
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            HostName::Address(IpAddr::V6(address)) => write!(out, "[{address}]:{}", self.port),
            HostName::Address(address) => write!(out, "{address}:{}", self.port),
            HostName::Named(name) => write!(out, "{name}:{}", self.port),
            HostName::Below(end) => write!(out, "*.{end}:{}", self.port),
        }
    }
}

fn any_host() -> Fault {
    fault("grants every host", "write `network = true` for that, or name the hosts")
}

fn port(digits: &str) -> Result<u16, Fault> {
    let number = digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok());
    match number.flatten() {
        Some(number) if number > 0 => Ok(number),
        _ => Err(fault(
            format!("has no port: `{digits}` is no number from 1 to 65535"),
            "name each port that is needed, as `api.example.org:443`",
        )),
    }
}

/// The one way to write an address: one of IPv4 within IPv6 is the one of IPv4.
fn address_name(address: IpAddr) -> Result<HostName, Fault> {
    let address = address.to_canonical();
    if address.is_unspecified() || address.is_multicast() || address == Ipv4Addr::BROADCAST {
        return Err(fault("is the address of no host", "name one host: `127.0.0.1:8080`"));
    }
    Ok(HostName::Address(address))
}

fn host_name(text: &str) -> Result<HostName, Fault> {
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return address_name(IpAddr::V4(address));
    }
    if text == "*" {
        return Err(any_host());
    }
    let (below, name) = match text.strip_prefix("*.") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    if name.contains('*') {
        let hint = "a `*` stands for whole names, at the beginning: `*.internal:8080`";
        return Err(fault("has a `*` that is not its first name", hint));
    }
    if !name.is_ascii() {
        let hint = "write the name as resolvers know it (`xn--…`)";
        return Err(fault("is not ASCII", hint));
    }
    let lawful = |label: &str| {
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !label.is_empty() && label.len() <= 63 && label.bytes().all(letters)
    };
    // What ends in a number is read as an address by resolvers, each in its own way.
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_number = last.starts_with(|letter: char| letter.is_ascii_digit())
        && (last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x"));
    if name.len() > 253 || is_number || !name.split('.').all(lawful) {
        let hint = "write a name or an address: `api.example.org:443`, `127.0.0.1:5432`";
        return Err(fault("has no name of a host and no address", hint));
    }
    Ok(if below { HostName::Below(name) } else { HostName::Named(name) })
}

#[cfg(test)]
mod tests {
    use super::{Fault, Host, HostName};

    fn read(text: &str) -> Result<Host, String> {
        Host::parse(text).map_err(|Fault { what, hint }| format!("{what}; {hint}"))
    }

    #[test]
    fn a_host_is_told_as_it_is_written() {
        for text in [
            "api.example.org:443",
            "*.internal:8080",
            "127.0.0.1:5432",
            "[::1]:80",
            "[2001:db8::7]:65535",
            "localhost:1",
            "_service.example:53",
        ] {
            assert_eq!(read(text).unwrap().to_string(), text);
        }
        for (text, same) in [
            ("API.Example.org.:443", "api.example.org:443"),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80"),
            ("[0:0::1]:080", "[::1]:80"),
        ] {
            assert_eq!(read(text).unwrap().to_string(), same);
        }
    }

    #[test]
    fn what_could_be_understood_in_two_ways_is_refused() {
        for (text, reason) in [
            ("api.example.org", "has no port"),
            ("127.0.0.1", "has no port"),
            ("::1", "in brackets: `[::1]:443`"),
            ("::1:80:x", "more than one `:`"),
            ("[::1]", "has no port"),
            ("[::1]80", "goes on after"),
            ("[::1:80", "lacks a `]`"),
            ("[127.0.0.1]:80", "no IPv6 address"),
            ("[fe80::1%eth0]:80", "no IPv6 address"),
            ("a:0", "1 to 65535"),
            ("a:65536", "1 to 65535"),
            ("a:+80", "1 to 65535"),
            ("a:*", "1 to 65535"),
            ("a:", "1 to 65535"),
            (":80", "no name"),
            ("*", "network = true"),
            ("*:443", "network = true"),
            ("*.:443", "no name"),
            ("a.*.org:443", "not its first name"),
            ("*a.org:443", "not its first name"),
            ("a..org:443", "no name"),
            ("127.1:80", "no name"),
            ("2130706433:80", "no name"),
            ("0x7f000001:80", "no name"),
            ("0.0.0.0:80", "address of no host"),
            ("[::]:80", "address of no host"),
            ("224.0.0.1:80", "address of no host"),
            ("https://api.example.org:443", "only a name and a port"),
            ("api.example.org:443/path", "only a name and a port"),
            ("bücher.example:443", "xn--"),
            ("a b:80", "white space"),
        ] {
            let told = read(text).expect_err(text);
            assert!(told.contains(reason), "{text}: {told}");
        }
    }

    #[test]
    fn below_a_name_is_at_any_depth_and_not_the_name_itself() {
        let host = read("*.internal:8080").unwrap();
        assert_eq!(host.name, HostName::Below("internal".to_owned()));
        for (name, is) in [
            ("a.internal", true),
            ("A.B.Internal", true),
            ("internal", false),
            (".internal", false),
            ("ainternal", false),
            ("a.internal.evil", false),
        ] {
            assert_eq!(host.is_named(name), is, "{name}");
        }
    }
}
