//! What others call without a token, with a secret that is good for one thing.

pub mod run;
