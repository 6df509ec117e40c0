//! How does somebody sit at a terminal?
//!
//! A command whose input and output are one pseudo-terminal, as the kernel
//! gives it to a shell: what is typed is echoed, lines end in two characters,
//! and the command can tell that somebody is there.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::DEADLINE;

/// A command at a terminal. Killed when dropped.
pub(crate) struct Terminal {
    child: Child,
    keyboard: File,
    shown: Receiver<Vec<u8>>,
    /// Everything so far.
    text: String,
    /// How much of it was waited for.
    read: usize,
}

impl Terminal {
    #[track_caller]
    pub(crate) fn open(command: &mut Command) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&ours).expect("it is ours");
        unlockpt(&ours).expect("it opens");
        let name = ptsname(&ours, Vec::new()).expect("it has a name");
        let name = name.to_str().expect("text").to_owned();
        let theirs = || {
            let opened = OpenOptions::new().read(true).write(true).open(&name);
            Stdio::from(opened.expect("the other end"))
        };
        let child = command
            .stdin(theirs())
            .stdout(theirs())
            .stderr(theirs())
            .spawn();
        // Theirs are closed here: what is left open would hide its end.
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let ours = File::from(ours);
        let mut screen = ours.try_clone().expect("another handle");
        let (send, shown) = channel();
        std::thread::spawn(move || {
            let mut room = [0; 4096];
            // The kernel says an error, not an end, once nobody has the other end.
            while let Ok(length @ 1..) = screen.read(&mut room) {
                if send.send(room[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            child: child.expect("it starts"),
            keyboard: ours,
            shown,
            text: String::new(),
            read: 0,
        }
    }

    /// Waits until this is shown, behind what was waited for before; what stood
    /// in front of it.
    #[track_caller]
    pub(crate) fn shows(&mut self, what: &str) -> String {
        loop {
            if let Some(at) = self.text[self.read..].find(what) {
                let before = self.text[self.read..self.read + at].to_owned();
                self.read += at + what.len();
                return before;
            }
            match self.shown.recv_timeout(DEADLINE) {
                Ok(bytes) => self.text.push_str(&String::from_utf8_lossy(&bytes)),
                Err(why) => panic!("{why}: it never shows {what:?}, but\n{}", self.text),
            }
        }
    }

    /// Types a line.
    #[track_caller]
    pub(crate) fn types(&mut self, line: &str) {
        let typed = format!("{line}\n");
        let written = self.keyboard.write_all(typed.as_bytes());
        written.expect("it is taken");
    }

    /// Types what ends the input.
    #[track_caller]
    pub(crate) fn hangs_up(&mut self) {
        self.keyboard.write_all(&[4]).expect("it is taken");
    }

    /// Waits for its end: the exit code, and everything that was shown.
    #[track_caller]
    pub(crate) fn ends(mut self) -> (Option<i32>, String) {
        loop {
            match self.shown.recv_timeout(DEADLINE) {
                Ok(bytes) => self.text.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it never ends:\n{}", self.text),
            }
        }
        let status = self.child.wait().expect("its end");
        (status.code(), std::mem::take(&mut self.text))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // One that has ended already is as good as one that was killed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
