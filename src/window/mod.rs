//! Event-time windows: their spans, the exact sums kept in them, and the watermark.

pub mod span;

pub use span::Width;
