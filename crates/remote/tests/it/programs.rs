//! Programs and their variables: what comes back, and what no shell ever parses.

use crate::support::{Bench, Reach, guard, hasty, outcome, over_each_way};
use bytes::Bytes;
use holdfast_domain::FailureCode;
use holdfast_remote::{Event, Session, opening};
use holdfast_testbed::sshd::Login;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Everything somebody might type to become a command, an option or another line.
pub const HOSTILE: &[&str] = &[
    "",
    "plain",
    " leading and trailing ",
    "$(touch /tmp/holdfast-pwn)",
    "`touch /tmp/holdfast-pwn`",
    "'; touch /tmp/holdfast-pwn; '",
    "\"; touch /tmp/holdfast-pwn; \"",
    "--checkpoint-action=exec=touch /tmp/holdfast-pwn",
    "-rf",
    "line\nbreak\n",
    "\n\n\n",
    "trailing newlines\n\n",
    "back\\slash\\",
    "*?[a-z]{a,b}~!#%&|<>",
    "tab\tand \u{7f}\u{1}\u{1b}[2J",
    "ünïcödé \u{202e}gnp.exe",
];

const ECHO: &str = "
while [ \"$#\" -ge 0 ]; do
    IFS= read -r next || exit 0
    v=$(printf %s \"$next\" | base64 -d; printf x)
    v=${v%x}
    printf '%s\\0' \"$v\"
done
";

fn expected() -> Vec<u8> {
    HOSTILE.iter().flat_map(|v| [v.as_bytes(), b"\0"].concat()).collect()
}

async fn hostile_values_come_back_unchanged_through_every_login_shell(reach: Reach) {
    let fields: Vec<&[u8]> = HOSTILE.iter().map(|v| v.as_bytes()).collect();
    for shell in ["/bin/dash", "/bin/bash", "/usr/bin/fish", "/usr/bin/tcsh"] {
        if !std::path::Path::new(shell).exists() {
            eprintln!("{shell} is not installed");
            continue;
        }
        let bench = Bench::with(reach, "", Login::create_with(shell, None).unwrap());
        let mut running = bench.session().await.start(ECHO, &fields).await.unwrap();
        running.end_input().await.unwrap();
        let (stdout, stderr, status) = outcome(&mut running).await;
        assert_eq!(status, Ok(0), "{shell}: {stderr}");
        assert_eq!(stdout, expected(), "{shell}: {stderr}");
    }
    assert!(!std::path::Path::new("/tmp/holdfast-pwn").exists());
}

#[test]
fn hostile_values_come_back_unchanged_from_every_sh() {
    let fields: Vec<&[u8]> = HOSTILE.iter().map(|v| v.as_bytes()).collect();
    let input = opening(ECHO, &fields);
    let first = r#"IFS= read -r p; eval "$(printf %s "$p" | base64 -d)""#;
    for sh in [&["dash"][..], &["bash", "--posix"], &["busybox", "sh"]] {
        let mut child = Command::new(sh[0])
            .args(&sh[1..])
            .args(["-c", first])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&input).unwrap();
        assert_eq!(child.wait_with_output().unwrap().stdout, expected(), "{sh:?}");
    }
}

async fn output_errors_and_the_programs_own_status_arrive(reach: Reach) {
    let bench = Bench::new(reach);
    let mut session = bench.session().await;
    let mut running = session.start("printf out; printf err >&2; exit 7", &[]).await.unwrap();
    let (stdout, stderr, status) = outcome(&mut running).await;
    assert_eq!((stdout.as_slice(), status), (&b"out"[..], Ok(7)));
    assert!(stderr.starts_with("holdfast:pid ") && stderr.ends_with("err"), "{stderr}");
    let process = running.process().unwrap().clone();
    assert!(process.leads && process.pid > 1 && process.started != "-", "{process:?}");
}

async fn the_end_comes_after_the_last_output_even_if_the_status_came_before(reach: Reach) {
    let bench = Bench::new(reach);
    let mut running = bench.session().await.start("(sleep 0.5; echo late) & echo early; exit 3", &[]).await.unwrap();
    let (stdout, _, status) = outcome(&mut running).await;
    assert_eq!((stdout.as_slice(), status), (&b"early\nlate\n"[..], Ok(3)));
}

async fn a_killed_program_is_a_failure_and_not_an_end(reach: Reach) {
    let bench = Bench::new(reach);
    let mut running = bench.session().await.start("echo some; kill -s KILL $$", &[]).await.unwrap();
    let (_, _, status) = outcome(&mut running).await;
    let failure = status.unwrap_err();
    assert_eq!(failure.code, FailureCode::SourceFailed);
    assert!(failure.detail.contains("KILL"), "{failure}");
}

async fn every_status_is_the_programs_own(reach: Reach) {
    let bench = Bench::new(reach);
    for (program, status) in [("exit 0", 0), ("exit 1", 1), ("exit 254", 254), ("exit 255", 255)] {
        let mut running = bench.session().await.start(program, &[]).await.unwrap();
        assert_eq!(outcome(&mut running).await.2, Ok(status), "{program}");
    }
}

async fn programs_follow_each_other_on_a_connection_but_never_share_it(reach: Reach) {
    let bench = Bench::new(reach);
    let mut session = bench.session().await;
    let mut first = session.start("read -r _", &[]).await.unwrap();
    assert_eq!(session.start("true", &[]).await.err().unwrap().code, FailureCode::Internal);
    first.end_input().await.unwrap();
    let _ = outcome(&mut first).await;
    drop(first);
    let mut second = session.start("exit 4", &[]).await.unwrap();
    assert_eq!(outcome(&mut second).await.2, Ok(4));
}

async fn much_input_arrives_whole(reach: Reach) {
    let bench = Bench::new(reach);
    let mut running = bench.session().await.start("wc -c", &[]).await.unwrap();
    let piece = Bytes::from(vec![7_u8; 1 << 20]);
    for _ in 0..48 {
        running.write(piece.clone()).await.unwrap();
    }
    running.end_input().await.unwrap();
    let (stdout, _, status) = outcome(&mut running).await;
    assert_eq!(status, Ok(0));
    assert_eq!(String::from_utf8(stdout).unwrap().trim(), (48 << 20).to_string());
}

async fn a_program_that_ends_before_its_input_says_why(reach: Reach) {
    let bench = Bench::new(reach);
    let mut running = bench.session().await.start("echo enough >&2; exit 5", &[]).await.unwrap();
    let piece = Bytes::from(vec![7_u8; 1 << 20]);
    let failure = loop {
        if let Err(failure) = running.write(piece.clone()).await {
            break failure;
        }
    };
    assert_eq!(failure.code, FailureCode::SourceFailed, "{failure}");
    let (_, stderr, status) = outcome(&mut running).await;
    assert!(stderr.ends_with("enough\n") && status == Ok(5), "{stderr} {status:?}");
}

async fn a_forced_command_is_refused_instead_of_mistaken_for_the_program(reach: Reach) {
    let bench = Bench::with(reach, "ForceCommand /bin/false", Login::create().unwrap());
    let mut session = Session::connect_with(&guard(), bench.route(), hasty()).await.unwrap();
    let ended = match session.start("echo hi", &[]).await {
        Ok(mut running) => loop {
            match running.next().await {
                Ok(Event::Stdout(_)) => panic!("the program ran"),
                Ok(Event::Stderr(_)) => {}
                other => break other.is_err() || matches!(other, Ok(Event::Exited(1))),
            }
        },
        Err(_) => true,
    };
    assert!(ended);
}

over_each_way! {
    hostile_values_come_back_unchanged_through_every_login_shell,
    output_errors_and_the_programs_own_status_arrive,
    the_end_comes_after_the_last_output_even_if_the_status_came_before,
    a_killed_program_is_a_failure_and_not_an_end,
    every_status_is_the_programs_own,
    programs_follow_each_other_on_a_connection_but_never_share_it,
    much_input_arrives_whole,
    a_program_that_ends_before_its_input_says_why,
    a_forced_command_is_refused_instead_of_mistaken_for_the_program,
}
