//! Étiage: geolocated sensor readings in Kafka → regions → event-time windows → rows in Cassandra, exactly once.

pub mod config;
pub mod reading;

pub mod bytes;
pub mod closing;
pub mod commit;
pub mod decode;
pub mod durability;
pub mod locate;
pub mod merge;
pub mod part;
pub mod partition;
pub mod start;
pub mod view;
pub mod window;

pub mod outgoing;
pub mod clock;
pub mod run;
pub mod source;
pub mod store;
pub mod telemetry;
