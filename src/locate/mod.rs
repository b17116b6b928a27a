//! 2 · Position → region, exactly. Pure.
