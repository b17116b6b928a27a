//! Étiage: geolocated sensor readings in Kafka → regions → event-time windows → rows in Cassandra, exactly once.

pub mod config;
pub mod reading;

pub mod decode;
pub mod locate;
pub mod window;

pub mod bytes;
pub mod durability;
pub mod part;
pub mod partition;
pub mod view;

pub mod closing;
pub mod commit;
pub mod merge;
pub mod outgoing;
pub mod start;

pub mod clock;
pub mod run;
pub mod setup;
pub mod simulate;
pub mod source;
pub mod store;
pub mod telemetry;
