//! Étiage: geolocated sensor readings in Kafka → regions → event-time windows → rows in Cassandra, exactly once.

pub mod config;
pub mod reading;

pub mod decode;
pub mod locate;
pub mod window;

pub mod simulate;
pub mod source;
pub mod store;
pub mod telemetry;
