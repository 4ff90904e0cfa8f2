//! The product's own safety net: the machine is lost, and a new data folder plus the file of `admin backup` backs up and
//! restores as before, with the same token.

use holdfast_testbed::client::ApiClient;
use holdfast_testbed::compare::{CompareOptions, compare};
use holdfast_testbed::product::{Product, ProductOptions};
use holdfast_testbed::sshd::{Login, Sshd};
use holdfast_testbed::steps;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const POLL: Duration = Duration::from_millis(50);

fn options(folder: &Path, name: &str) -> ProductOptions {
    let settings = [
        ("HOLDFAST__EGRESS__ALLOW", "127.0.0.0/8".to_owned()),
        ("HOLDFAST__HTTP__RATE_LIMIT_PER_MIN", "0".to_owned()),
        ("HOLDFAST__DESTINATIONS__LOCAL_ROOT", folder.join("disk").display().to_string()),
    ];
    ProductOptions {
        binary: env!("CARGO_BIN_EXE_holdfast").into(),
        data_dir: folder.join(name),
        workers: 1,
        settings: settings.map(|(key, value)| (key.to_owned(), value)).to_vec(),
    }
}

/// What an ordinary user has; odd names and attributes are other tests' matter.
fn make_tree(tree: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(tree.join("a/b"))?;
    for number in 0..200_u32 {
        let name = format!("{}/file {number}", if number % 2 == 0 { "a" } else { "a/b" });
        std::fs::write(tree.join(name), format!("{number}\n").repeat(1000))?;
    }
    std::os::unix::fs::symlink("a/file 0", tree.join("link"))
}

#[tokio::test]
async fn a_lost_data_folder_comes_back_from_the_file_of_admin_backup() {
    let folder = tempfile::Builder::new().prefix("holdfast-net-").tempdir_in("/tmp").expect("folder");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).expect("mode");
    std::fs::create_dir(folder.path().join("disk")).expect("the destination's disk");
    let (sshd, login) = (Sshd::start().expect("sshd"), Login::create().expect("login"));
    let tree = login.home().join("tree");
    make_tree(&tree).expect("tree");
    login.give(&tree).expect("owner");

    let product = Product::start(options(folder.path(), "old")).await.expect("start");
    let client = product.set_up().await.expect("user");
    let server = steps::register_server(&client, &sshd, sshd.port(), login.name()).await.expect("server");
    let destination = steps::create_destination(&client).await.expect("destination");
    let task = steps::create_task(&client, server, destination, &tree, json!({})).await.expect("task");
    let run = steps::back_up(&client, task, POLL, |_| {}).await.expect("backup");
    let backup = run["backup_id"].as_i64().expect("its backup");
    let token = ["create-token", "--email", holdfast_testbed::product::USER_EMAIL, "--name", "kept", "--abilities", "*"];
    let token = product.admin(&token).await.expect("token").trim().to_owned();

    let identity = folder.path().join("identity");
    let made = Command::new("age-keygen").arg("-o").arg(&identity).stderr(Stdio::null()).status().expect("age-keygen");
    assert!(made.success());
    let derived = Command::new("age-keygen").arg("-y").arg(&identity).output().expect("age-keygen").stdout;
    let recipient = String::from_utf8(derived).expect("text").trim().to_owned();
    let file = folder.path().join("own.age").display().to_string();
    product.admin(&["backup", "--to", &file, "--recipient", &recipient]).await.expect("admin backup");
    product.stop().await.expect("stop");
    std::fs::remove_dir_all(folder.path().join("old")).expect("the machine is lost");

    let new = options(folder.path(), "new");
    let restored = Command::new(&new.binary)
        .args(["admin", "restore", "--from", &file, "--identity"])
        .arg(&identity)
        .arg("--data-dir")
        .arg(&new.data_dir)
        .output()
        .expect("admin restore");
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    let product = Product::start(new).await.expect("start on the new machine");
    let client = ApiClient::new(product.url(), Some(token)).expect("client");
    let again = steps::back_up(&client, task, POLL, |_| {}).await.expect("a new backup of the old task");
    assert_ne!(again["backup_id"], run["backup_id"]);

    let to = login.home().join("back");
    let request = json!({"target": {"remote_server_id": server, "path": to}, "paths": [], "layout": "keep_path",
                         "existing": "refuse", "restore_owners": false});
    steps::restore(&client, backup, &request, |_| {}).await.expect("restore of the old backup");
    let below = to.join(tree.strip_prefix("/").expect("absolute"));
    let compared = compare(&tree, &below, &CompareOptions { owners: false }).expect("compare");
    assert!(compared.is_equal(), "{compared}");
    product.stop().await.expect("stop");
}
