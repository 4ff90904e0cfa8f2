//! What can be known of `docker/` without an engine: that its files name settings, roles, files and users that exist.
//! That the containers start is not seen here.

use holdfast_config::Config;
use holdfast_vault::Kek;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in the workspace").to_owned()
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join("docker").join(name)).unwrap_or_else(|error| panic!("docker/{name}: {error}"))
}

/// The file without its comments.
fn lines(name: &str) -> Vec<String> {
    read(name).lines().filter(|line| !line.trim_start().starts_with('#')).map(str::to_owned).collect()
}

/// A value as Compose sees it where no variable is set: without quotes, `${NAME:-default}` as its default.
fn value(text: &str) -> String {
    let text = text.trim().trim_end_matches('}').trim().trim_matches('"');
    match text.strip_prefix("${").and_then(|rest| rest.split_once(":-")) {
        Some((_, default)) => default.trim_end_matches('}').to_owned(),
        None => text.to_owned(),
    }
}

/// The words of `key: [ a, b ]` on a line.
fn words(line: &str, key: &str) -> Option<Vec<String>> {
    let (_, list) = line.trim().strip_prefix(key)?.split_once('[')?;
    Some(
        list.trim_end().trim_end_matches(']').split(',').map(|word| word.trim().trim_matches('"').to_owned()).collect(),
    )
}

#[test]
fn the_compose_file_sets_what_the_configuration_knows() {
    let mut set = Vec::new();
    for line in lines("compose.yaml") {
        let Some(start) = line.find("HOLDFAST__") else { continue };
        let (key, text) = line[start..].split_once(':').expect("KEY: value");
        set.push((key.to_owned(), value(text)));
    }
    for section in ["HTTP__LISTEN", "DATA_PLANE__ADVERTISE_URL", "VAULT__KEK_FILE", "DESTINATIONS__LOCAL_ROOT"] {
        assert!(set.iter().any(|(key, _)| key.ends_with(section)), "{section} is not found in the file: {set:?}");
    }
    // Together, since some settings need others; each once as the last, since two services set the same key.
    for (key, text) in &set {
        let mut env: BTreeMap<_, _> = set.iter().cloned().collect();
        env.insert(key.clone(), text.clone());
        let loaded = Config::load(None, env.into_iter());
        assert!(loaded.is_ok(), "{key}={text}: {:?}", loaded.err().map(|errors| errors.to_string()));
    }
}

#[test]
fn the_roles_of_the_compose_file_exist() {
    let lines = lines("compose.yaml");
    let commands = lines.iter().filter_map(|line| words(line, "command"));
    let entries = lines.iter().filter_map(|line| words(line, "entrypoint")).map(|words| words[1..].to_vec());
    let roles: Vec<_> = commands.chain(entries).collect();
    assert_eq!(roles.iter().map(|words| words[0].as_str()).collect::<Vec<_>>(), ["worker", "migrate", "api", "admin"]);
    for words in roles {
        let output = Command::new(env!("CARGO_BIN_EXE_holdfast")).args(&words).arg("--help").output().expect("start");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn what_is_copied_into_the_image_exists() {
    let text = read("Dockerfile");
    let ignored = std::fs::read_to_string(root().join(".dockerignore")).expect(".dockerignore");
    assert!(ignored.lines().any(|line| line == "docker/secrets*"), "the secrets would be sent to the builder");
    let mut copied = 0;
    for line in text.lines().filter_map(|line| line.strip_prefix("COPY ")) {
        let source = line.split_whitespace().next().expect("a source");
        match source.strip_prefix("--from=") {
            Some(stage) => {
                assert!(text.lines().any(|line| line.starts_with("FROM") && line.ends_with(&format!(" AS {stage}"))));
                let made = [" /src/target/release/holdfast ", " /etc/ssl/certs/ca-certificates.crt "];
                assert!(made.iter().any(|path| line.contains(path)), "{line}");
            }
            None => assert!(root().join(source).exists(), "{source}"),
        }
        copied += 1;
    }
    assert_eq!(copied, 4);
    assert!(text.contains("cargo build --release --locked -p holdfast\n"));
    let health = std::fs::metadata(root().join("docker/health")).expect("docker/health");
    assert_eq!(health.permissions().mode() & 0o111, 0o111, "it is copied with its mode");
}

/// The script runs here as this user, who is every user: what it makes is what the compose file mounts, and is taken.
#[test]
fn the_secrets_are_what_is_mounted_and_are_taken() {
    let folder = tempfile::tempdir().expect("folder");
    let secrets = folder.path().join("secrets");
    let me = rustix::process::getuid().as_raw().to_string();
    let make = || {
        let mut command = Command::new("sh");
        command.arg(root().join("docker/make-secrets.sh")).arg(&secrets);
        command.env("HOLDFAST_UID", &me).env("POSTGRES_UID", &me).output().expect("start")
    };
    let output = make();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut mounted = 0;
    for line in lines("compose.yaml") {
        let Some((_, file)) = line.split_once("file: ./secrets/") else { continue };
        let file = secrets.join(file.trim_end_matches('}').trim());
        let mode = std::fs::metadata(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display())).permissions();
        assert_eq!(mode.mode() & 0o777, 0o400, "{}", file.display());
        mounted += 1;
    }
    assert_eq!(mounted, std::fs::read_dir(&secrets).expect("secrets").count());
    let kek = std::fs::read(secrets.join("kek")).expect("kek");
    assert!(Kek::load(&secrets.join("kek")).is_ok(), "the product takes the key");
    assert!(!make().status.success(), "a second time");
    assert_eq!(std::fs::read(secrets.join("kek")).expect("kek"), kek, "the key was replaced");
}

#[test]
fn the_image_runs_as_the_user_the_secrets_belong_to() {
    let image = read("Dockerfile");
    assert!(image.contains("\nUSER 10001:10001\n") && image.contains("useradd --uid 10001 "));
    assert!(read("make-secrets.sh").contains("holdfast_uid=${HOLDFAST_UID:-10001}"));
}
