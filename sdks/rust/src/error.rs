//! Errors of calls: their kinds, and reasons that never change.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::core::limits::UNREACHABLE_RETRY;
use crate::execution::Failure;
use crate::ExecutionStatus;

/// The class of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A request that is wrong in itself.
    Invalid,
    /// A missing, wrong or expired credential.
    Unauthenticated,
    /// A call that the credential does not permit.
    Forbidden,
    /// A workflow, execution or the like that does not exist.
    NotFound,
    /// An id that is in use, with other content.
    Conflict,
    /// An action that the present state does not allow.
    WrongState,
    /// Something that is no longer kept.
    Gone,
    /// A value above its limit.
    TooLarge,
    /// A full queue, or a quota that is used up.
    Overloaded,
    /// A server that does not respond, or not now.
    Unavailable,
    /// A method that the server does not have.
    Unimplemented,
    /// An exceeded deadline.
    Timeout,
    /// A failure of the server, or of a peer.
    Internal,
    /// An execution that did not complete.
    ExecutionFailed,
    /// A call on a closed client, worker or session.
    Closed,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}

/// One problem of a request that the caller can fix. Line and column count from 1; 0 is unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violation {
    /// The path of the wrong field.
    pub field: String,
    /// The problem, and how to fix it.
    pub description: String,
    /// The reason of this problem.
    pub code: String,
    /// The line in the source.
    pub line: u32,
    /// The column in the source.
    pub column: u32,
}

/// A refusal with a reason that never changes.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The class of the refusal.
    pub kind: Kind,
    /// A reason of the table of reasons, such as `WORKFLOW_NOT_FOUND`.
    pub reason: String,
    /// The text for people.
    pub message: String,
    /// The single problems, if there are any.
    pub violations: Vec<Violation>,
    /// The delay that the server asks for.
    pub retry_after: Option<Duration>,
    pub(crate) code: Code,
    pub(crate) unreachable: bool,
    /// The address of the cell that serves the call; empty if the refusal has none.
    pub(crate) cell: String,
}

/// The error of a call.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A refusal of the server, or of the SDK itself.
    #[error("{}: {}", .0.reason, .0.message)]
    Refused(Box<Refusal>),
    /// The end of an execution that did not complete.
    #[error("execution {id} {status}{}", .failure.as_ref().map(|f| format!(": {f}")).unwrap_or_default())]
    ExecutionFailed {
        /// The id of the execution.
        id: String,
        /// Its last status.
        status: ExecutionStatus,
        /// None for an execution that was canceled or terminated.
        failure: Option<Box<Failure>>,
    },
    /// A call on a closed client, worker or session.
    #[error("the client is closed")]
    Closed,
}

impl Error {
    /// Return the class of the error.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Refused(refusal) => refusal.kind,
            Self::ExecutionFailed { .. } => Kind::ExecutionFailed,
            Self::Closed => Kind::Closed,
        }
    }

    /// Return the reason of a refusal, such as `WORKFLOW_NOT_FOUND`; "" if it is none.
    pub fn reason(&self) -> &str {
        match self {
            Self::Refused(refusal) => &refusal.reason,
            _ => "",
        }
    }

    pub(crate) fn new(kind: Kind, reason: &str, message: impl Into<String>) -> Self {
        Self::Refused(Box::new(Refusal {
            kind,
            reason: reason.to_owned(),
            message: message.into(),
            violations: Vec::new(),
            retry_after: None,
            code: Code::Unknown,
            unreachable: false,
            cell: String::new(),
        }))
    }

    pub(crate) fn invalid(reason: &str, message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, reason, message)
    }

    pub(crate) fn deadline() -> Self {
        let message = "the deadline of the call was exceeded";
        let mut error = Self::new(Kind::Timeout, "DEADLINE_EXCEEDED", message);
        if let Self::Refused(refusal) = &mut error {
            refusal.code = Code::DeadlineExceeded;
        }
        error
    }

    /// Return the error of a start that a session refused.
    pub(crate) fn of_session(code: i32, reason: &str, message: &str, retry_after_ms: i64) -> Self {
        let mut error = Self::new(kind_of(Code::from_i32(code), reason), reason, message);
        if let (Self::Refused(refusal), 1..) = (&mut error, retry_after_ms) {
            refusal.retry_after = Some(Duration::from_millis(retry_after_ms as u64));
        }
        error
    }

    /// Return the error of a failed call.
    pub(crate) fn from_status(status: &Status) -> Self {
        if let Some(source) = status.source() {
            return Self::of_transport(source);
        }
        if let Some(error) = Self::with_details(status) {
            return error;
        }
        let message = status.message();
        let (mut kind, mut reason) = by_code(status.code());
        if message.contains("length too large") || message.contains("larger than max") {
            (kind, reason) = (Kind::TooLarge, "PAYLOAD_TOO_LARGE");
        }
        let unreachable = status.code() == Code::Unavailable;
        Self::Refused(Box::new(Refusal {
            kind,
            reason: reason.to_owned(),
            message: message.to_owned(),
            violations: Vec::new(),
            retry_after: unreachable.then_some(UNREACHABLE_RETRY),
            code: status.code(),
            unreachable,
            cell: String::new(),
        }))
    }

    /// Return the error of a connection that failed, or broke.
    fn of_transport(source: &(dyn std::error::Error + 'static)) -> Self {
        let mut causes = Vec::new();
        let mut next = Some(source);
        while let Some(cause) = next {
            let text = cause.to_string();
            if causes.last() != Some(&text) {
                causes.push(text);
            }
            next = cause.source();
        }
        let message = causes.join(": ");
        if message.contains("TLS handshake") {
            return Self::new(Kind::WrongState, "TLS_FAILED", message);
        }
        Self::Refused(Box::new(Refusal {
            kind: Kind::Unavailable,
            reason: "SERVICE_UNAVAILABLE".to_owned(),
            message,
            violations: Vec::new(),
            retry_after: Some(UNREACHABLE_RETRY),
            code: Code::Unavailable,
            unreachable: true,
            cell: String::new(),
        }))
    }

    fn with_details(status: &Status) -> Option<Self> {
        let details = status.get_error_details();
        let info = details.error_info()?;
        if info.reason.is_empty() {
            return None;
        }
        let places: Vec<Place> = info
            .metadata
            .get("violations")
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default();
        let mut violations: Vec<Violation> = Vec::new();
        for (index, each) in
            details.bad_request().iter().flat_map(|b| &b.field_violations).enumerate()
        {
            let place = places.get(index).cloned().unwrap_or_default();
            violations.push(Violation {
                field: each.field.clone(),
                description: each.description.clone(),
                code: place.code,
                line: place.line,
                column: place.column,
            });
        }
        let cell = match info.reason.as_str() {
            "CELL_MISDIRECTED" => info.metadata.get("address").cloned().unwrap_or_default(),
            _ => String::new(),
        };
        Some(Self::Refused(Box::new(Refusal {
            kind: kind_of(status.code(), &info.reason),
            reason: info.reason.clone(),
            message: status.message().to_owned(),
            violations,
            retry_after: details.retry_info().and_then(|r| r.retry_delay),
            code: status.code(),
            unreachable: false,
            cell,
        })))
    }
}

/// The place of a violation in the source.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Place {
    code: String,
    line: u32,
    column: u32,
}

fn kind_of(code: Code, reason: &str) -> Kind {
    let too_large = reason.ends_with("_TOO_LARGE");
    match code {
        Code::ResourceExhausted if too_large => Kind::TooLarge,
        _ => by_code(code).0,
    }
}

fn by_code(code: Code) -> (Kind, &'static str) {
    match code {
        Code::InvalidArgument => (Kind::Invalid, "REQUEST_INVALID"),
        Code::Unauthenticated => (Kind::Unauthenticated, "UNAUTHENTICATED"),
        Code::PermissionDenied => (Kind::Forbidden, "FORBIDDEN"),
        Code::NotFound => (Kind::NotFound, "NOT_FOUND"),
        Code::AlreadyExists => (Kind::Conflict, "ALREADY_EXISTS"),
        Code::FailedPrecondition => (Kind::WrongState, "FAILED_PRECONDITION"),
        Code::OutOfRange => (Kind::Gone, "OUT_OF_RANGE"),
        Code::ResourceExhausted => (Kind::Overloaded, "OVERLOADED"),
        Code::Unavailable | Code::Cancelled => (Kind::Unavailable, "SERVICE_UNAVAILABLE"),
        Code::DeadlineExceeded => (Kind::Timeout, "DEADLINE_EXCEEDED"),
        Code::Unimplemented => (Kind::Unimplemented, "UNIMPLEMENTED"),
        _ => (Kind::Internal, "INTERNAL"),
    }
}
