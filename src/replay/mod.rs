//! Computing a view again beside its live generation. So far: what such a replay begins with, and when it may take
//! over. Pure.

pub mod plan;
