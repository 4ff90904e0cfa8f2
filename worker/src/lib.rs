//! Runs, restores, reconcilers and the data plane
