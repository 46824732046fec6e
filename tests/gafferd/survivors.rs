//! What the children of a killed gafferd are to the next one.

use gaffer::process::Signal;

use super::util::{Folder, Gafferd, alive, eventually, ini, signal};

/// Ends what nobody watches any more, whatever becomes of the test.
struct Orphan(i32);

impl Drop for Orphan {
    fn drop(&mut self) {
        let _ = gaffer::sys::signal_process(gaffer::process::OsPid(self.0), Signal::KILL);
    }
}

#[test]
fn they_are_named_until_they_have_ended() {
    let folder = Folder::new();
    let config =
        folder.write("c.ini", &ini("[job:shop:web]\ncmd = sleep 1000\n[job:done]\ncmd = true\nrestart = never\n"));
    let pidfile = folder.text("pid");
    let mut first = Gafferd::start(&config, &["--pidfile", &pidfile]);
    let left = Orphan(first.os_pid("shop.web.1", 0));
    first.line("done.1 (pid");
    eventually("the end of done.1", || folder.read("pid.children").contains("\n- ").then_some(()));
    first.kill();
    assert!(alive(left.0), "nobody ends it");

    let told = format!("shop.web.1 (pid {}) of an earlier gafferd still runs", left.0);
    let mut second = Gafferd::start(&config, &["--pidfile", &pidfile]);
    let line = second.line(&told);
    assert!(line.contains("[WARNING]") && line.ends_with(&format!("To end it: kill -- -{}", left.0)), "{line}");
    assert!(!second.log().iter().any(|line| line.contains("done.1") && line.contains("earlier")));
    // An end in good order forgets its own, and not what it has found.
    second.stop();
    let mut third = Gafferd::start(&config, &["--pidfile", &pidfile]);
    third.line(&told);
    signal(left.0, Signal::KILL);
    eventually("its end", || (!alive(left.0)).then_some(()));
    third.stop();
    assert!(!folder.path("pid.children").exists());
}

#[test]
fn who_is_detached_is_named_as_well() {
    let folder = Folder::new();
    let config = folder.write("c.ini", &ini("[job:web]\ncmd = sleep 1000\ndetach = true\n"));
    let pidfile = folder.text("pid");
    let mut first = Gafferd::start(&config, &["--pidfile", &pidfile]);
    let left = Orphan(first.os_pid("web.1", 0));
    first.stop();
    assert!(alive(left.0), "it outlives the manager");
    let mut second = Gafferd::start(&config, &["--pidfile", &pidfile]);
    second.line(&format!("web.1 (pid {}) of an earlier gafferd still runs", left.0));
    let _again = Orphan(second.os_pid("web.1", 0));
    second.stop();
}

#[test]
fn the_file_does_not_grow_with_those_that_have_ended() {
    let folder = Folder::new();
    let jobs = "[job:web]\ncmd = sleep 1000\n[job:crash]\ncmd = true\nbackoff = 0\nnumprocesses = 8\n";
    let config = folder.write("c.ini", &ini(jobs));
    let mut gafferd = Gafferd::start(&config, &["--pidfile", &folder.text("pid")]);
    // Shorter than it was: it was written anew, and still has who lives.
    let mut longest = 0;
    eventually("a shorter file", || {
        let text = folder.read("pid.children");
        let shorter = text.len() < longest && text.contains(" web.1\n");
        longest = longest.max(text.len());
        shorter.then_some(())
    });
    assert!(longest < 80 << 10, "{longest}");
    gafferd.stop();
}
