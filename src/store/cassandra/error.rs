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
        let text = format!("cassandra, {doing}: {self}");
        if self.refused() { StoreError::Refused(text) } else { StoreError::Unavailable(text) }
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

impl Verdict for NewSessionError {
    fn refused(&self) -> bool {
        use NewSessionError::{EmptyKnownNodesList, IllegalConfig, MetadataError as Metadata};
        match self {
            EmptyKnownNodesList | IllegalConfig(_) => true,
            Metadata(MetadataError::ConnectionPoolError(ConnectionPoolError::Broken { last_connection_error })) => {
                credentials_refused(last_connection_error)
            }
            _ => false,
        }
    }
}

fn credentials_refused(error: &ConnectionError) -> bool {
    use ConnectionSetupRequestErrorKind::{DbError, MissingAuthentication, StartAuthSessionError};
    match error {
        ConnectionError::ConnectionSetupRequestError(setup) => match &setup.error {
            DbError(error, message) => is_final(error, message),
            MissingAuthentication | StartAuthSessionError(_) => true,
            _ => false,
        },
        _ => false,
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
