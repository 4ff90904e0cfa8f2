//! Whether a program on the server is really gone.

/// What a cancel achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Termination {
    /// A check on the server saw that no process of the program is left.
    pub process_terminated: bool,
}

/// A program's process on the server, as its first line on standard error names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteProcess {
    /// Its process id and, where it leads one, process group.
    pub pid: u32,
    /// When it started, in the server's own units; with the pid it names one process for ever.
    pub started: String,
}
