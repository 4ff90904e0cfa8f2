//! What a task reads: one file a source
