//! Why a request was not answered, and whose failure that is.

use std::borrow::Cow;
use std::error::Error;
use std::io::{self, ErrorKind};

use rustix::io::Errno;

/// Why a request got no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The service's, by cause.
    Service(Cow<'static, str>),
    /// The generator's own, by cause.
    Own(&'static str),
    /// The connection ended before the request was on it.
    Unsent,
    /// The connection ended with the request on it and before an answer.
    Ended(&'static str),
}

impl Failure {
    pub(crate) fn service(cause: &'static str) -> Self {
        Self::Service(Cow::Borrowed(cause))
    }

    /// Whether nobody was there, rather than somebody who refused.
    pub(crate) fn is_silence(&self) -> bool {
        matches!(self, Self::Service(cause) if cause == "connect timeout" || cause == "connect unreachable")
    }

    /// As it is counted: whether it is the generator's own, and its cause.
    pub(crate) fn counted(&self) -> (bool, &str) {
        match self {
            Self::Service(cause) => (false, cause),
            Self::Own(cause) => (true, cause),
            Self::Unsent => (false, "closed"),
            Self::Ended(cause) => (false, cause),
        }
    }

    /// While a connection was opened.
    pub(crate) fn connecting(error: &io::Error) -> Self {
        if let Some(cause) = own(error) {
            return Self::Own(cause);
        }
        let service = match error.kind() {
            ErrorKind::ConnectionRefused => "connect refused",
            ErrorKind::TimedOut => "connect timeout",
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
                "connect unreachable"
            }
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => "connect reset",
            _ => "connect failed",
        };
        Self::service(service)
    }

    /// While a name was looked up.
    pub(crate) fn resolving(error: &io::Error) -> Self {
        // The resolver tells of missing descriptors as of a missing name, so one is tried.
        let probe = || std::fs::File::open("/dev/null").err().and_then(|e| own(&e));
        own(error).or_else(probe).map_or(Self::service("resolve"), Self::Own)
    }

    /// While TLS was agreed upon.
    pub(crate) fn shaking_hands(error: &io::Error) -> Self {
        if let Some(cause) = own(error) {
            return Self::Own(cause);
        }
        match error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) {
            Some(tls) => Self::Service(format!("tls: {tls}").into()),
            None => Self::service("tls: closed"),
        }
    }

    /// While an answer was awaited.
    pub(crate) fn asking(error: &hyper::Error) -> Self {
        if let Some(io) = cause_of::<io::Error>(error) {
            return match own(io) {
                Some(cause) => Self::Own(cause),
                None if io.kind() == ErrorKind::InvalidData => Self::service("tls: broken"),
                None if io.kind() == ErrorKind::UnexpectedEof => Self::Ended("closed"),
                None => Self::Ended("reset"),
            };
        }
        if let Some(reason) = cause_of::<h2::Error>(error) {
            return match reason.reason() {
                // The server goes, and says that it did not begin with this one.
                Some(h2::Reason::NO_ERROR) if reason.is_go_away() => Self::Ended("closed"),
                Some(reason) => Self::Service(format!("http/2 {reason:?}").into()),
                None => Self::Ended("reset"),
            };
        }
        match error {
            e if e.is_parse_too_large() => Self::service("answer's head too large"),
            e if e.is_parse() => Self::service("malformed answer"),
            _ => Self::Ended("closed"),
        }
    }

    /// While an answer's body was read: it had begun, so nothing is asked again.
    pub(crate) fn reading(error: &hyper::Error) -> Self {
        match Self::asking(error) {
            Self::Ended("closed") => Self::service("body cut short"),
            Self::Ended(cause) => Self::service(cause),
            other => other,
        }
    }
}

fn cause_of<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let causes = std::iter::successors(error.source(), |e| (*e).source());
    causes.into_iter().find_map(|e| e.downcast_ref::<E>())
}

/// What this machine ran out of, where it is that: no service could have answered.
pub(crate) fn own(error: &io::Error) -> Option<&'static str> {
    Some(match Errno::from_raw_os_error(error.raw_os_error()?) {
        Errno::MFILE => "too many open files (EMFILE: raise ulimit -n)",
        Errno::NFILE => "too many open files on this machine (ENFILE)",
        Errno::ADDRNOTAVAIL => "no local port left (EADDRNOTAVAIL: keep connections, or more targets)",
        Errno::NOBUFS => "no network buffers left (ENOBUFS)",
        Errno::NOMEM => "no memory left (ENOMEM)",
        _ => return None,
    })
}

/// Whether what is missing is missing whatever the address.
pub(crate) fn is_own_for_any_address(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_machine_ran_out_of_is_the_generator_s_own_failure() {
        for (errno, is_own) in [
            (Errno::MFILE, true),
            (Errno::NFILE, true),
            (Errno::ADDRNOTAVAIL, true),
            (Errno::NOBUFS, true),
            (Errno::NOMEM, true),
            (Errno::CONNREFUSED, false),
            (Errno::CONNRESET, false),
            (Errno::HOSTUNREACH, false),
            (Errno::TIMEDOUT, false),
            (Errno::PIPE, false),
        ] {
            let error = io::Error::from_raw_os_error(errno.raw_os_error());
            for failure in
                [Failure::connecting(&error), Failure::shaking_hands(&error), Failure::resolving(&error)]
            {
                assert_eq!(failure.counted().0, is_own, "{errno:?}: {failure:?}");
            }
        }
    }

    #[test]
    fn the_service_s_failures_to_connect_are_told_apart() {
        for (errno, want) in [
            (Errno::CONNREFUSED, "connect refused"),
            (Errno::TIMEDOUT, "connect timeout"),
            (Errno::HOSTUNREACH, "connect unreachable"),
            (Errno::NETUNREACH, "connect unreachable"),
            (Errno::CONNRESET, "connect reset"),
            (Errno::ACCESS, "connect failed"),
        ] {
            let failure = Failure::connecting(&io::Error::from_raw_os_error(errno.raw_os_error()));
            assert_eq!(failure.counted(), (false, want));
        }
    }
}
