//! What runs now, and who sees to it that nothing of it outlives the node.

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::sweep::{self, Helper};

/// The sweeper has this long to find nothing.
const SWEPT_WITHIN: Duration = Duration::from_secs(3);

/// Namespace, pod, container.
pub(crate) type Key = (String, String, String);

/// Process groups that run now.
#[derive(Debug, Default)]
pub(crate) struct Running(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    groups: HashMap<Key, Pid>,
    /// Pods in the order in which they were created, by namespace and name.
    created: BTreeMap<(String, String), u64>,
    seen: u64,
    /// Nothing starts any more.
    closed: bool,
    mark: Option<String>,
    sweeper: Option<Sweeper>,
}

/// The process that ends what is left when this one is gone.
#[derive(Debug)]
struct Sweeper {
    /// `None`: somebody waits for it.
    child: Option<Child>,
    told: Option<ChildStdin>,
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        // What it hears ends, and with that it does. Until somebody waits for it, it has a number.
        self.told = None;
        if let Some(mut child) = self.child.take() {
            std::thread::spawn(move || child.wait());
        }
    }
}

impl Running {
    /// Notes what all carry, and starts the process that outlives this one for as long as it takes to end them.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn watch_over(&self, helper: Option<&Path>, mark: &str) -> std::io::Result<()> {
        self.0.lock().mark = Some(mark.to_owned());
        let Some(helper) = helper else { return Ok(()) };
        let mut command = Helper::sweep_command(helper, mark);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let told = child.stdin.take();
        self.0.lock().sweeper = Some(Sweeper { child: Some(child), told });
        Ok(())
    }

    /// Notes a container's process group; false if the node has ended meanwhile, and the group was killed.
    pub(super) fn started(&self, key: Key, group: Pid) -> bool {
        let mut state = self.0.lock();
        if state.closed {
            let _ = kill_process_group(group, Signal::KILL);
            return false;
        }
        state.tell('+', group);
        state.groups.insert(key, group);
        true
    }

    pub(super) fn ended(&self, key: &Key) {
        let mut state = self.0.lock();
        if let Some(group) = state.groups.remove(key) {
            state.tell('-', group);
        }
    }

    /// Notes a pod when it is first seen.
    pub(super) fn pod_came(&self, namespace: &str, name: &str) {
        let mut state = self.0.lock();
        let order = state.seen;
        state.created.entry((namespace.to_owned(), name.to_owned())).or_insert(order);
        state.seen = order.saturating_add(1);
    }

    pub(super) fn pod_went(&self, namespace: &str, name: &str) {
        self.0.lock().created.remove(&(namespace.to_owned(), name.to_owned()));
    }

    /// A container's process group; `None` if it does not run.
    pub(crate) fn group(&self, key: &Key) -> Option<Pid> {
        self.0.lock().groups.get(key).copied()
    }

    /// Names of a namespace's pods in which a container of this name runs, those created first first.
    pub(crate) fn pods(&self, namespace: &str, container: &str) -> Vec<String> {
        let state = self.0.lock();
        let running = state.groups.keys().filter(|(ns, _, c)| ns == namespace && c == container);
        let mut pods: Vec<(u64, &String)> = running
            .map(|(ns, pod, _)| {
                (state.created.get(&(ns.clone(), pod.clone())).copied().unwrap_or(u64::MAX), pod)
            })
            .collect();
        pods.sort();
        pods.into_iter().map(|(_, pod)| pod.clone()).collect()
    }

    /// Signals a container's process group; false if it is no longer this one.
    pub(crate) fn signal(&self, key: &Key, group: Pid, signal: Signal) -> bool {
        // Under the lock, as the number is free for others once the entry is gone.
        let running = self.0.lock();
        running.groups.get(key) == Some(&group) && kill_process_group(group, signal).is_ok()
    }

    /// Kills everything, and lets nothing start any more.
    pub(crate) fn close(&self) {
        self.0.lock().close();
    }

    /// Waits until the sweeper has found nothing more to end.
    pub(super) async fn swept(&self) {
        let Some(mut sweeper) = self.0.lock().sweeper.take() else { return };
        sweeper.told = None;
        let Some(mut child) = sweeper.child.take() else { return };
        let waited = tokio::task::spawn_blocking(move || child.wait());
        let _ = tokio::time::timeout(SWEPT_WITHIN, waited).await;
    }
}

impl State {
    fn tell(&mut self, sign: char, group: Pid) {
        let Some(told) = self.sweeper.as_mut().and_then(|s| s.told.as_mut()) else { return };
        if let Err(error) = writeln!(told, "{sign}{}", group.as_raw_nonzero()) {
            tracing::warn!(%error, "the process that ends pods when this one is killed is gone");
            self.sweeper = None;
        }
    }

    fn close(&mut self) {
        self.closed = true;
        for group in self.groups.values() {
            let _ = kill_process_group(*group, Signal::KILL);
        }
        // What left its group is for the sweeper, whose input ends with this; without one, for this thread.
        if self.sweeper.take().is_none()
            && let Some(mark) = self.mark.take()
        {
            sweep::end_marked(&mark, SWEPT_WITHIN);
        }
    }
}

impl Drop for State {
    /// Nothing outlives the node, however it ended.
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(pod: &str) -> Key {
        ("default".into(), pod.into(), "c".into())
    }

    #[test]
    fn pods_are_told_in_the_order_in_which_they_were_created() {
        let running = Running::default();
        // Numbers of groups that cannot be: they are killed in the end.
        let group = |n: i32| Pid::from_raw(i32::MAX - n);
        for pod in ["z", "a", "m", "pending"] {
            running.pod_came("default", pod);
            running.pod_came("default", "z");
        }
        for (i, pod) in ["m", "a", "z"].into_iter().enumerate() {
            assert!(running.started(key(pod), group(i32::try_from(i).unwrap()).unwrap()));
        }
        assert_eq!(running.pods("default", "c"), ["z", "a", "m"]);
        assert!(running.pods("default", "other").is_empty() && running.pods("other", "c").is_empty());
        running.ended(&key("a"));
        running.pod_went("default", "a");
        assert_eq!(running.pods("default", "c"), ["z", "m"]);
    }

    #[test]
    fn nothing_starts_once_it_is_closed() {
        use std::os::unix::process::CommandExt as _;
        let running = Running::default();
        let start = || std::process::Command::new("sleep").arg("1000").process_group(0).spawn().unwrap();
        let group = |child: &Child| Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        let (mut before, mut after) = (start(), start());
        assert!(running.started(key("before"), group(&before)));
        running.close();
        assert!(!running.started(key("after"), group(&after)));
        assert!(!before.wait().unwrap().success() && !after.wait().unwrap().success());
    }
}
