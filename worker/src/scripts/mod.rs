//! A team's scripts on a server: what they are given, how they are run and killed, what is kept of what they say.
//!
//! What is executed there is one constant program; text, parameters and secrets travel on its standard input. A secret is
//! opened for the one script that is given it, and its value may stand in no line that is kept. Nothing here may run a script
//! on the worker, nor decide what a script's failure means for a run.

mod facts;
mod output;
mod phase;
mod places;
mod program;
mod script;

pub use facts::{Facts, SourceStatus};
pub use phase::{Failed, Phase, Report, Target, run_phase};
pub use places::{TestPlace, TestPlaces};
pub use program::{Ended, Invocation, run};
pub use script::Script;

pub(crate) use output::SAYS;
