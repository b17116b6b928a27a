//! Computing a view again beside its live generation: what such a replay begins with, when it may take over, and what
//! it changes. Pure.

pub mod difference;
pub mod endings;
pub mod plan;
pub mod progress;
pub mod starts;
