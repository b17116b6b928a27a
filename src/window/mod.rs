//! 3 · Event-time windows: their spans, the exact sums kept in them, and what is late. Pure.

pub mod aggregate;
mod civil;
pub mod exact;
pub mod span;

pub use aggregate::Aggregate;
pub use civil::Window;
pub use span::Width;
