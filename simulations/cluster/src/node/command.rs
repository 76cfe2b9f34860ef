//! From a container's spec to a command line: variables, references, and the mount shim.
//!
//! A process here sees the machine's own file system. Where its arguments or environment name a `mountPath`
//! (at the start of a path: `/etc/ring`, `--file=/etc/ring/x.json`, `a:/etc/ring`), the path of the volume's
//! folder is put instead. A program that has the path built in does not find its volume.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use k8s_openapi::api::core::v1::{Container, EnvVarSource, Pod};
use kube::ResourceExt as _;

use super::settings::{Entries, Kind};
use crate::sweep::{self, Helper};

/// What fields of the pod a container may refer to, beside its metadata.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) pod_ip: String,
    pub(super) host_ip: String,
    pub(super) node: String,
    pub(super) kubeconfig: PathBuf,
}

/// A command that is ready to run.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) mounts: Vec<(String, PathBuf)>,
}

/// Works out a container's command.
///
/// # Errors
/// A sentence naming what is wrong or missing.
pub(super) fn prepare(
    container: &Container,
    pod: &Pod,
    facts: &Facts,
    volumes: &BTreeMap<String, PathBuf>,
    programs: &BTreeMap<String, PathBuf>,
    settings: impl Fn(Kind, &str) -> Option<Entries>,
) -> Result<Prepared, String> {
    let mounts = mounts(container, volumes)?;
    let mut env: Vec<(String, String)> = vec![
        ("POD_IP".into(), facts.pod_ip.clone()),
        ("HOSTNAME".into(), pod.name_any()),
        ("KUBECONFIG".into(), facts.kubeconfig.display().to_string()),
    ];
    let mut known = env.clone();
    let mut set = |name: &str, value: String| {
        env.retain(|(n, _)| n != name);
        env.push((name.to_owned(), value));
        env.clone()
    };
    for from in container.env_from.iter().flatten() {
        let (kind, name, optional) = match (&from.config_map_ref, &from.secret_ref) {
            (Some(r), _) => (Kind::ConfigMap, &r.name, r.optional),
            (None, Some(r)) => (Kind::Secret, &r.name, r.optional),
            (None, None) => continue,
        };
        let Some(entries) = settings(kind, name) else {
            if optional == Some(true) {
                continue;
            }
            return Err(format!("{} {name:?} not found", kind.word()));
        };
        for (key, value) in entries {
            let name = format!("{}{key}", from.prefix.as_deref().unwrap_or_default());
            known = set(&name, String::from_utf8_lossy(&value).into_owned());
        }
    }
    for var in container.env.iter().flatten() {
        let value = match (&var.value, &var.value_from) {
            (_, Some(source)) => match refer(source, pod, facts, &settings)? {
                Some(value) => value,
                None => continue,
            },
            (value, None) => rewrite(&expand(value.as_deref().unwrap_or_default(), &known), &mounts),
        };
        known = set(&var.name, value);
    }
    let words = |list: &Option<Vec<String>>| -> Vec<String> {
        list.iter().flatten().map(|w| rewrite(&expand(w, &known), &mounts)).collect()
    };
    let (command, args) = (words(&container.command), words(&container.args));
    let image = container.image.as_deref().unwrap_or_default();
    let (program, args) = match command.split_first() {
        Some((program, rest)) => {
            let program = programs.get(program).cloned().unwrap_or_else(|| PathBuf::from(program));
            (program, rest.iter().cloned().chain(args).collect())
        }
        None => {
            let program = programs.get(image_name(image)).cloned().ok_or_else(|| {
                format!(
                    "image {image:?} is no program of this node: set `command`, or use one of {:?}",
                    programs.keys()
                )
            })?;
            (program, args)
        }
    };
    Ok(Prepared { program, args, env: known, mounts })
}

/// `registry/path/NAME:tag@digest` → `NAME`.
fn image_name(image: &str) -> &str {
    let last = image.rsplit('/').next().unwrap_or_default();
    last.split([':', '@']).next().unwrap_or_default()
}

/// Mount paths and the folders behind them, longest first.
fn mounts(
    container: &Container,
    volumes: &BTreeMap<String, PathBuf>,
) -> Result<Vec<(String, PathBuf)>, String> {
    let mut out = Vec::new();
    for mount in container.volume_mounts.iter().flatten() {
        let dir = volumes
            .get(&mount.name)
            .ok_or_else(|| format!("volumeMount {:?}: no such volume", mount.name))?;
        let dir = match mount.sub_path.as_deref().unwrap_or_default() {
            "" => dir.clone(),
            sub if super::volumes::is_inside(sub) => dir.join(sub),
            sub => {
                return Err(format!(
                    "volumeMount {:?}: subPath {sub:?} must stay within the volume",
                    mount.name
                ));
            }
        };
        let path = mount.mount_path.trim_end_matches('/');
        if !path.starts_with('/') {
            return Err(format!(
                "volumeMount {:?}: mountPath {:?} must be absolute and not /",
                mount.name, mount.mount_path
            ));
        }
        out.push((path.to_owned(), dir));
    }
    out.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
    Ok(out)
}

fn refer(
    source: &EnvVarSource,
    pod: &Pod,
    facts: &Facts,
    settings: &impl Fn(Kind, &str) -> Option<Entries>,
) -> Result<Option<String>, String> {
    if let Some(field) = &source.field_ref {
        return field_value(&field.field_path, pod, facts)
            .map(Some)
            .ok_or_else(|| format!("fieldRef {:?} is not supported", field.field_path));
    }
    let (kind, name, key, optional) = if let Some(r) = &source.config_map_key_ref {
        (Kind::ConfigMap, &r.name, &r.key, r.optional)
    } else if let Some(r) = &source.secret_key_ref {
        (Kind::Secret, &r.name, &r.key, r.optional)
    } else {
        return Err("valueFrom: only fieldRef, configMapKeyRef and secretKeyRef are provided".into());
    };
    match settings(kind, name).and_then(|entries| entries.get(key).cloned()) {
        Some(value) => Ok(Some(String::from_utf8_lossy(&value).into_owned())),
        None if optional == Some(true) => Ok(None),
        None => Err(format!("{} {name:?} has no key {key:?}, or does not exist", kind.word())),
    }
}

fn field_value(path: &str, pod: &Pod, facts: &Facts) -> Option<String> {
    let keyed = |prefix: &str| path.strip_prefix(prefix)?.strip_prefix("['")?.strip_suffix("']");
    Some(match path {
        "metadata.name" => pod.name_any(),
        "metadata.namespace" => pod.namespace().unwrap_or_default(),
        "metadata.uid" => pod.uid().unwrap_or_default(),
        "spec.nodeName" => facts.node.clone(),
        "spec.serviceAccountName" => {
            pod.spec.as_ref()?.service_account_name.clone().unwrap_or_else(|| "default".into())
        }
        "status.podIP" | "status.podIPs" => facts.pod_ip.clone(),
        "status.hostIP" | "status.hostIPs" => facts.host_ip.clone(),
        _ => {
            if let Some(key) = keyed("metadata.labels") {
                pod.labels().get(key).cloned().unwrap_or_default()
            } else {
                let key = keyed("metadata.annotations")?;
                pod.annotations().get(key).cloned().unwrap_or_default()
            }
        }
    })
}

/// `$(NAME)` becomes the variable's value, `$$` a dollar sign; an unknown name stays as it is.
/// Source: kubernetes `third_party/forked/golang/expansion` (rules).
pub(super) fn expand(text: &str, vars: &[(String, String)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(rest.get(..at).unwrap_or_default());
        let after = rest.get(at + 1..).unwrap_or_default();
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = after.strip_prefix('(').and_then(|r| r.split_once(')')) {
            match vars.iter().find(|(n, _)| n == name) {
                Some((_, value)) => out.push_str(value),
                None => out.push_str(&format!("$({name})")),
            }
            rest = after;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// Puts volume folders where mount paths stand.
pub(super) fn rewrite(text: &str, mounts: &[(String, PathBuf)]) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|r| !r.is_empty()) {
        let before = out_char_before(text, at);
        let begins_path = rest.starts_with('/') && !before.is_some_and(|c| word(c) || c == '/');
        let hit = mounts.iter().filter(|_| begins_path).find(|(path, _)| {
            rest.strip_prefix(path.as_str()).is_some_and(|after| !after.chars().next().is_some_and(word))
        });
        if let Some((path, dir)) = hit {
            out.push_str(&dir.display().to_string());
            at += path.len();
        } else {
            let c = rest.chars().next().unwrap_or_default();
            out.push(c);
            at += c.len_utf8();
        }
    }
    out
}

fn out_char_before(text: &str, at: usize) -> Option<char> {
    text.get(..at)?.chars().next_back()
}

/// How processes of a container are started.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start<'a> {
    /// The program that makes others die with the node; it does so itself. `None`: others outlive a node that is
    /// killed.
    pub(super) helper: Option<&'a Path>,
    /// By which what they leave behind is known.
    pub(super) mark: &'a str,
}

/// The process command: in its own group, with nothing of our environment but what finds programs.
///
/// # Errors
/// There is no such program.
pub(super) fn process(
    prepared: &Prepared,
    program: &Path,
    args: &[String],
    dir: &Path,
    start: Start<'_>,
) -> io::Result<Command> {
    let inherited = |name: &str| std::env::var_os(name);
    let mut command = match start.helper {
        Some(helper) if helper != program => {
            let own = prepared.env.iter().find(|(name, _)| name == "PATH").map(|(_, path)| path.into());
            let path = own.or_else(|| inherited("PATH")).unwrap_or_else(|| "/bin:/usr/bin".into());
            Helper::exec_command(helper, program, &find(program, &path, dir)?, args)
        }
        _ => {
            let mut command = Command::new(program);
            command.args(args);
            command
        }
    };
    command.env_clear().current_dir(dir).process_group(0).stdin(std::process::Stdio::null());
    for name in ["PATH", "HOME", "TMPDIR", "LANG", "GAUNTLET_LOG", "GAUNTLET_LOG_FORMAT", "RUST_BACKTRACE"] {
        if let Some(value) = inherited(name) {
            command.env(name, value);
        }
    }
    command.envs(prepared.env.iter().map(|(k, v)| (k, v)));
    command.env("GAUNTLET_DIE_WITH_PARENT", std::process::id().to_string()).env(sweep::MARK, start.mark);
    Ok(command)
}

/// The file that a name runs, as `execvp` finds it: a path is itself, from `dir` on; a bare name is looked for.
fn find(program: &Path, path: &std::ffi::OsStr, dir: &Path) -> io::Result<PathBuf> {
    let runs = |file: &Path| -> io::Result<()> {
        let meta = std::fs::metadata(file)?;
        let can = meta.is_file() && meta.permissions().mode() & 0o111 != 0;
        if can { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    };
    if program.as_os_str().is_empty() {
        return Err(io::ErrorKind::NotFound.into());
    }
    if program.as_os_str().as_encoded_bytes().contains(&b'/') {
        let file = dir.join(program);
        return runs(&file).map(|()| file);
    }
    let mut denied = None;
    for folder in std::env::split_paths(path) {
        let file = dir.join(folder).join(program);
        match runs(&file) {
            Ok(()) => return Ok(file),
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => denied = denied.or(Some(e)),
            Err(_) => {}
        }
    }
    Err(denied.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such program in PATH")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_expand_as_in_kubernetes() {
        let vars = [("A".to_owned(), "1".to_owned()), ("IP".to_owned(), "127.0.0.1".to_owned())];
        for (text, expected) in [
            ("$(IP):80", "127.0.0.1:80"),
            ("$(A)$(A)", "11"),
            ("$$(A)", "$(A)"),
            ("$(NO)", "$(NO)"),
            ("$A $( $", "$A $( $"),
            ("ü$(A)ü", "ü1ü"),
        ] {
            assert_eq!(expand(text, &vars), expected, "{text}");
        }
    }

    #[test]
    fn mount_paths_are_rewritten_where_a_path_begins() {
        let mounts =
            [("/data/deep".to_owned(), PathBuf::from("/r/2")), ("/data".to_owned(), PathBuf::from("/r/1"))];
        for (text, expected) in [
            ("/data", "/r/1"),
            ("--dir=/data/x", "--dir=/r/1/x"),
            ("/data/deep/x", "/r/2/x"),
            ("/data/deeper", "/r/1/deeper"),
            ("/database", "/database"),
            ("/other/data", "/other/data"),
            ("echo hi >/data/f; cat /data/f", "echo hi >/r/1/f; cat /r/1/f"),
            ("http://data/x", "http://data/x"),
            ("a:/data,b:/data/deep", "a:/r/1,b:/r/2"),
        ] {
            assert_eq!(rewrite(text, &mounts), expected, "{text}");
        }
        assert_eq!(["a", "r/x/a:1", "a@sha256:1"].map(image_name), ["a", "a", "a"]);
    }

    #[test]
    fn programs_are_found_as_the_system_finds_them() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for (name, mode) in [("first/tool", 0o644), ("second/tool", 0o755), ("second/only-text", 0o644)] {
            std::fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            std::fs::write(at(name), "").unwrap();
            std::fs::set_permissions(at(name), std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let path = std::env::join_paths([at("first"), at("second")]).unwrap();
        for (program, expected) in [
            ("tool", Ok("second/tool")),
            ("./second/tool", Ok("./second/tool")),
            ("only-text", Err(io::ErrorKind::PermissionDenied)),
            ("second", Err(io::ErrorKind::NotFound)),
            ("second/", Err(io::ErrorKind::PermissionDenied)),
            ("no-such", Err(io::ErrorKind::NotFound)),
            ("/no/such", Err(io::ErrorKind::NotFound)),
            ("", Err(io::ErrorKind::NotFound)),
        ] {
            let found = find(Path::new(program), &path, dir.path()).map_err(|e| e.kind());
            assert_eq!(found, expected.map(&at), "{program:?}");
        }
    }
}
