//! What our programs on the server refuse, and what it means for the user.

use crate::lines::Words;
use holdfast_domain::{Failure, FailureCode, Step};

/// The backup program's refusals.
pub(crate) fn of_source(why: &str, what: &str) -> Failure {
    let (code, detail) = match why {
        "missing_path" => (FailureCode::MissingPath, format!("{what} does not exist, or this user cannot reach it.")),
        "unreadable_path" => (FailureCode::EmptySource, format!("{what} cannot be read by this user.")),
        "missing_tool" => (FailureCode::MissingTool, format!("{what} is not there.")),
        other => (FailureCode::SourceFailed, format!("refused: {other} {what}.")),
    };
    Failure::new(Step::Start, code, detail)
}

/// The restore program's refusals.
pub(crate) fn of_target(why: &str, what: &str) -> Failure {
    use FailureCode::{ClientUnsafe, InvalidConfig, MissingTool, RestoreIncomplete, TargetExists, TargetUnwritable};
    let (code, detail) = match why {
        "missing_tool" => (MissingTool, format!("{what} is not there.")),
        "exists" => (TargetExists, format!("{what} exists and is not empty.")),
        "database_exists" => (TargetExists, format!("the database {what:?} exists.")),
        "client_unsafe" => (
            ClientUnsafe,
            format!("{what} there runs shell commands that a dump contains, and cannot be kept from it."),
        ),
        "not_a_folder" => (TargetExists, format!("{what} exists and is not a folder.")),
        "in_the_way" => {
            (TargetExists, format!("{what} is in the way: a folder cannot take a file's place, nor a file a folder's."))
        }
        "symlink" => (TargetUnwritable, format!("{what} is, or lies behind, a symbolic link; name the real folder.")),
        "unwritable" => (TargetUnwritable, format!("{what} cannot be written by this user.")),
        "twice" => (InvalidConfig, format!("more than one of the paths holds {what}; use the layout keep_path.")),
        "misplaced" => (RestoreIncomplete, format!("not everything that was sent belongs below {what}.")),
        other => (RestoreIncomplete, format!("refused: {other} {what}.")),
    };
    let step = if matches!(why, "twice" | "misplaced" | "in_the_way") { Step::Place } else { Step::Stage };
    Failure::new(step, code, detail)
}

/// The program ended before it had begun: the shell or `base64` is missing, or the log-in shell ran something else.
pub(crate) fn not_begun(status: u32, words: &Words) -> Failure {
    let said = words.explain(&format!("the program could not start (status {status})"));
    let code = if said.contains("base64") { FailureCode::MissingTool } else { FailureCode::SourceFailed };
    Failure::new(Step::Start, code, said)
}
