//! The second and third ring of tests: the tree's own rules, and the whole binary against real servers.
//!
//! A test that needs a server says so in its name (`kafka_…`, `cassandra_…`): `make test` counts
//! them by it. The servers come from `make test`; without them these tests fail and say so. What is right
//! is said by the Python scripts beside this file, which share no code with the crate.

mod faults;
mod locate;
mod ring;
mod support;
mod synop;
mod tidy;
