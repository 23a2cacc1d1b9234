//! The sample configurations in docs/ are read by the programs that they are for.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error} (tests/install brings it)"))
}

fn check(command: &mut Command) {
    let output = run(command);
    assert!(
        output.status.success(),
        "{command:?} failed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn docs(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name))
        .expect("the sample is there")
}

/// nginx opens what it names, so certificates, log and port become local ones;
/// everything else is the sample to the letter.
fn nginx_sample(dir: &Path) -> String {
    let (key, certificate) = (dir.join("privkey.pem"), dir.join("fullchain.pem"));
    check(
        Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "1",
                "-subj",
                "/CN=stats.clinic.example",
            ])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate),
    );
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound").port();
    docs("nginx.conf")
        .replace("/etc/ssl/clinic", &dir.display().to_string())
        .replace("/var/log/nginx", &dir.display().to_string())
        .replace("listen 443 ssl", &format!("listen 127.0.0.1:{port} ssl"))
}

fn nginx(config: &Path, dir: &Path) -> Command {
    let mut command =
        Command::new(if Path::new("/usr/sbin/nginx").exists() { "/usr/sbin/nginx" } else { "nginx" });
    command
        .arg("-t")
        .arg("-p")
        .arg(dir)
        .arg("-g")
        .arg(format!("pid {};", dir.join("pid").display()))
        .arg("-c")
        .arg(config);
    command
}

#[test]
fn nginx_accepts_its_sample_and_the_check_can_fail() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = nginx_sample(dir.path());
    let config = dir.path().join("nginx.conf");
    fs::write(&config, &text).expect("written");
    check(&mut nginx(&config, dir.path()));
    fs::write(&config, text.replace("proxy_pass", "proxy_passs")).expect("written");
    assert!(!run(&mut nginx(&config, dir.path())).status.success(), "a misspelt directive must fail");
}

#[test]
fn caddy_accepts_its_sample_and_the_check_can_fail() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("Caddyfile");
    let adapt = |text: &str| {
        fs::write(&config, text).expect("written");
        let mut command = Command::new("caddy");
        command.args(["adapt", "--adapter", "caddyfile", "--config"]).arg(&config);
        command
    };
    check(&mut adapt(&docs("Caddyfile")));
    let broken = docs("Caddyfile").replace("reverse_proxy", "reverse_proxxy");
    assert!(!run(&mut adapt(&broken)).status.success(), "a misspelt directive must fail");
}

#[test]
fn the_systemd_unit_has_only_known_settings() {
    let dir = tempfile::tempdir().expect("a directory");
    let verify = |text: &str| {
        let unit = dir.path().join("metka.service");
        // The check wants the program to exist.
        fs::write(&unit, text.replace("/usr/local/bin/metka", env!("CARGO_BIN_EXE_metka"))).expect("written");
        let output = run(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit));
        String::from_utf8_lossy(&output.stderr)
            .lines()
            .filter(|line| line.contains("metka.service"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(verify(&docs("metka.service")), "");
    let broken = verify(&docs("metka.service").replace("ProtectSystem", "ProtectSystems"));
    assert!(broken.contains("ProtectSystems"), "a misspelt setting must be named: {broken:?}");
}
