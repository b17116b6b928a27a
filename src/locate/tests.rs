//! The lookup against its twins.
