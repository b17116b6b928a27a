//! What an error of the driver means to the caller. Conservative: only what a server has said to
//! be wrong in itself is refused, everything else is an unknown outcome.

use scylla::errors::{
    ConnectionError, ConnectionPoolError, ConnectionSetupRequestErrorKind, DbError, ExecutionError, MetadataError,
    NewSessionError, NextPageError, NextRowError, PagerExecutionError, PrepareError, RequestAttemptError, RequestError,
    UseKeyspaceError,
};

use crate::store::StoreError;

/// Whether an error is final, and so refused.
pub trait Verdict: std::fmt::Display {
    fn refused(&self) -> bool;

    /// The error for the caller, with what was being done.
    fn told(&self, doing: &str) -> StoreError {
        let mut text = one_line(&format!("cassandra, {doing}: {self}"));
        text += &rights(&text);
        if self.refused() { StoreError::Refused(text) } else { StoreError::Unavailable(text) }
    }
}

/// The driver breaks some of its texts into lines.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What to grant, where a server names a permission that a user lacks.
fn rights(text: &str) -> String {
    let table =
        text.split_once("no SELECT permission on <table ").or(text.split_once("no MODIFY permission on <table "));
    if let Some((keyspace, _)) = table.and_then(|(_, rest)| rest.split_once('.')) {
        format!(
            ": grant this user {keyspace}_reader, to read rows, or {keyspace}_writer, to run the engine, roles that \
             `etiage migrate` makes"
        )
    } else if text.contains(" permission on <") {
        ": run `etiage migrate` as a user who may change the schema".to_owned()
    } else {
        String::new()
    }
}

/// A server that cannot read its own role tables answers as if the role had no rights.
fn is_final(error: &DbError, message: &str) -> bool {
    match error {
        DbError::SyntaxError
        | DbError::Invalid
        | DbError::AlreadyExists { .. }
        | DbError::FunctionFailure { .. }
        | DbError::ConfigError => true,
        DbError::AuthenticationError | DbError::Unauthorized => {
            !message.contains("Unable to perform") && !message.contains("Cannot achieve consistency")
        }
        _ => false,
    }
}

impl Verdict for RequestAttemptError {
    fn refused(&self) -> bool {
        match self {
            RequestAttemptError::DbError(error, message) => is_final(error, message),
            RequestAttemptError::SerializationError(_) | RequestAttemptError::CqlRequestSerialization(_) => true,
            _ => false,
        }
    }
}

impl Verdict for PrepareError {
    fn refused(&self) -> bool {
        matches!(self, PrepareError::AllAttemptsFailed { first_attempt } if first_attempt.refused())
    }
}

impl Verdict for UseKeyspaceError {
    fn refused(&self) -> bool {
        match self {
            UseKeyspaceError::BadKeyspaceName(_) => true,
            UseKeyspaceError::RequestError(error) => error.refused(),
            _ => false,
        }
    }
}

impl Verdict for ExecutionError {
    fn refused(&self) -> bool {
        match self {
            ExecutionError::BadQuery(_) => true,
            ExecutionError::PrepareError(error) => error.refused(),
            ExecutionError::LastAttemptError(error) => error.refused(),
            ExecutionError::UseKeyspaceError(error) => error.refused(),
            _ => false,
        }
    }
}

impl Verdict for NextPageError {
    fn refused(&self) -> bool {
        match self {
            NextPageError::RequestFailure(RequestError::LastAttemptError(error)) => error.refused(),
            NextPageError::PartitionKeyError(_) | NextPageError::TypeCheckError(_) => true,
            _ => false,
        }
    }
}

impl Verdict for PagerExecutionError {
    fn refused(&self) -> bool {
        match self {
            PagerExecutionError::PrepareError(error) => error.refused(),
            PagerExecutionError::SerializationError(_) => true,
            PagerExecutionError::NextPageError(error) => error.refused(),
            PagerExecutionError::UseKeyspaceError(error) => error.refused(),
            _ => false,
        }
    }
}

impl Verdict for NextRowError {
    fn refused(&self) -> bool {
        match self {
            NextRowError::NextPageError(error) => error.refused(),
            NextRowError::RowDeserializationError(_) => true,
            _ => false,
        }
    }
}

/// What to look at where nodes do not answer.
pub const ASIDE: &str = "are they up, is the port that of CQL, and does it want store.tls?";

/// Why no session could be opened. What waiting does not cure is refused, with what to set.
pub fn not_opened(error: &NewSessionError, nodes: &str) -> StoreError {
    use NewSessionError::{EmptyKnownNodesList, IllegalConfig, MetadataError as Metadata};
    let unanswered = |words: &dyn std::fmt::Display| {
        let text = format!("cassandra, connecting to store.nodes {nodes} ({ASIDE}): {words}");
        StoreError::Unavailable(one_line(&text))
    };
    match error {
        EmptyKnownNodesList | IllegalConfig(_) => StoreError::Refused(format!("cassandra: {error}")),
        Metadata(MetadataError::ConnectionPoolError(ConnectionPoolError::Broken { last_connection_error: last })) => {
            match refusal(last) {
                Some((what, remedy)) => {
                    StoreError::Refused(format!("cassandra at {nodes} {what}{}: {remedy}", words(last)))
                }
                None => unanswered(last),
            }
        }
        _ => unanswered(error),
    }
}

/// What a connection was refused for, and what to set.
fn refusal(error: &ConnectionError) -> Option<(&'static str, &'static str)> {
    use ConnectionSetupRequestErrorKind::{DbError, MissingAuthentication, StartAuthSessionError};
    if let ConnectionError::ConnectionSetupRequestError(setup) = error {
        let found = match &setup.error {
            DbError(error, message) if is_final(error, message) => Some((
                "refuses these credentials",
                "set store.username and store.password (or a file for it) to those of a role with LOGIN",
            )),
            MissingAuthentication | StartAuthSessionError(_) => {
                Some(("wants to know who asks", "set store.username and store.password (or a file for it)"))
            }
            _ => None,
        };
        if found.is_some() {
            return found;
        }
    }
    tls_refusal(&error.to_string())
}

const CERTIFICATE: (&str, &str) = (
    "refuses this client's certificate, or its absence",
    "set store.tls.certificate and store.tls.key to a certificate that it trusts, and its key",
);

/// The same for an objection of a node in OpenSSL's words, where it is about our settings. Cassandra calls it an internal
/// error that it cannot verify a client's certificate.
pub fn tls_refused(words: &str, nodes: &str) -> Option<StoreError> {
    let (what, remedy) = tls_refusal(words).or(words.contains("alert internal error").then_some(CERTIFICATE))?;
    Some(StoreError::Refused(format!("cassandra at {nodes} {what} ({words}): {remedy}")))
}

/// By OpenSSL's words, for the driver passes errors of TLS on as those of input and output.
fn tls_refusal(text: &str) -> Option<(&'static str, &'static str)> {
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(&["certificate verify failed"]) {
        let remedy = "set store.tls.ca to the certificate of the authority that signed it, and store.nodes to \
                      addresses that it names";
        Some(("has a certificate that is not trusted", remedy))
    } else if says(&["wrong version number", "packet length too long"]) {
        Some(("speaks no TLS on this port", "set store.nodes to the TLS port, or store.tls to false"))
    } else if says(&["alert certificate", "alert bad certificate", "alert unknown ca", "alert unsupported certificate"])
    {
        Some(CERTIFICATE)
    } else {
        None
    }
}

/// The server's own words where it has said some; the driver's are for programmers.
fn words(error: &ConnectionError) -> String {
    use ConnectionSetupRequestErrorKind::{DbError, MissingAuthentication, StartAuthSessionError};
    match error {
        ConnectionError::ConnectionSetupRequestError(setup) => match &setup.error {
            MissingAuthentication | StartAuthSessionError(_) => String::new(),
            DbError(_, message) => format!(" ({message})"),
            other => format!(" ({other})"),
        },
        other => format!(" ({other})"),
    }
}

/// A result whose shape is not the one that its statement asked for.
pub fn unexpected(doing: &str, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Refused(format!(
        "cassandra, {doing}: the answer is not of the expected shape: {error}; is this the schema of `etiage migrate`?"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(error: DbError, message: &str) -> StoreError {
        ExecutionError::LastAttemptError(RequestAttemptError::DbError(error, message.into())).told("writing")
    }

    #[test]
    fn what_a_server_calls_wrong_is_refused() {
        for error in [
            DbError::SyntaxError,
            DbError::Invalid,
            DbError::ConfigError,
            DbError::Unauthorized,
            DbError::AuthenticationError,
        ] {
            assert!(
                matches!(answer(error, "no"), StoreError::Refused(text) if text.starts_with("cassandra, writing: "))
            );
        }
    }

    #[test]
    fn a_missing_right_names_the_role() {
        let of = |words: &str| answer(DbError::Unauthorized, words).to_string();
        assert!(of("User u has no MODIFY permission on <table k.parts> or any of its parents").contains("k_writer"));
        assert!(of("User u has no CREATE permission on <all tables in k>").ends_with("may change the schema"));
        assert!(!of("You have to be logged in").contains("role"));
    }

    #[test]
    fn what_tls_refuses_names_what_to_set() {
        for (text, names) in [
            (
                "error:0A000086:SSL routines:tls_post_process_server_certificate:certificate verify failed:x",
                "store.tls.ca",
            ),
            ("error:0A00010B:SSL routines:ssl3_get_record:wrong version number:x", "store.tls to false"),
            ("error:0A00045C:SSL routines:ssl3_read_bytes:tlsv13 alert certificate required", "store.tls.certificate"),
            ("error:0A000412:SSL routines:ssl3_read_bytes:sslv3 alert bad certificate", "store.tls.key"),
        ] {
            let (what, remedy) = tls_refusal(text).unwrap_or_else(|| panic!("no refusal: {text}"));
            assert!(remedy.contains(names), "{what}: {remedy}");
        }
        assert_eq!(tls_refusal("Connection refused (os error 111)"), None);
        assert_eq!(tls_refusal("Connection reset by peer"), None);
    }

    #[test]
    fn everything_else_may_be_tried_again() {
        let overloads = [
            DbError::Overloaded,
            DbError::IsBootstrapping,
            DbError::ServerError,
            DbError::ProtocolError,
            DbError::Other(9),
        ];
        for error in overloads {
            assert!(matches!(answer(error, ""), StoreError::Unavailable(_)));
        }
        let roles_unreadable = answer(
            DbError::Unauthorized,
            "Unable to perform authorization of permissions: Cannot achieve consistency level LOCAL_ONE",
        );
        assert!(matches!(roles_unreadable, StoreError::Unavailable(_)));
        assert!(matches!(ExecutionError::EmptyPlan.told("reading"), StoreError::Unavailable(_)));
    }
}
