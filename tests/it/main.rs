//! The second and third ring of tests: the tree's own rules, and the whole binary against real servers.
//!
//! A test that needs a server says so in its name (`kafka_…`, `cassandra_…`): `make test` counts
//! them by it. The servers come from `make test`; without them these tests fail and say so. What is right
//! is said by the Python scripts beside this file, which share no code with the crate.

#![allow(
    clippy::disallowed_methods,
    reason = "tests of the third ring live in real time, and hear of the servers by the environment"
)]

mod chaos;
mod configuration;
mod contracts;
mod examples;
mod faults;
mod guarantees;
mod kafka_source;
mod locate;
mod mistakes;
mod queries;
mod replay;
mod ring;
mod security;
mod semantics;
mod status;
mod store;
mod support;
mod synop;
mod tables;
mod tidy;
mod until_end;
