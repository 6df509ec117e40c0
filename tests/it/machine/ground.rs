//! Where is a file system mounted that nobody else sees?
//!
//! In a mount namespace of its own, held open by a process that ends with the
//! test, however that ends: then the file system is unmounted and its loop
//! device freed. Programs are started inside with `nsenter`; the test looks at
//! files through the holder's view in `/proc`.

use std::{
    fs::File,
    io::{BufRead, BufReader, ErrorKind, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// A mounted file system.
pub(super) struct Ground {
    holder: Child,
    place: PathBuf,
    /// Entered together with the mount namespace.
    own_users: bool,
}

/// A namespace of users makes one who may mount a few kinds of file systems.
#[derive(Clone, Copy)]
enum As {
    Root,
    OwnUsers,
}

impl Ground {
    /// What is in the image, at the place.
    pub(super) fn ext4(image: &Path, place: &Path) -> Result<Self, String> {
        let words = ["-t", "ext4", "-o", "loop", &image.display().to_string()];
        Self::mount(As::Root, &words, place)
    }

    /// An empty file system of so many bytes, at the place; or why the machine
    /// gives none. The image is made in the folder.
    pub(super) fn small(folder: &Path, place: &Path, bytes: u64) -> Result<Self, String> {
        let own = make_ext4(folder, bytes).and_then(|image| Self::ext4(&image, place));
        let size = format!("size={bytes}");
        let words = ["-t", "tmpfs", "-o", &size, "none"];
        own.or_else(|first| {
            let second = |error| format!("{first}; {error}");
            Self::mount(As::Root, &words, place).map_err(second)
        })
        .or_else(|first| {
            let third = |error| format!("{first}; {error}");
            Self::mount(As::OwnUsers, &words, place).map_err(third)
        })
    }

    fn mount(who: As, words: &[&str], place: &Path) -> Result<Self, String> {
        let own_users = matches!(who, As::OwnUsers);
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private"]);
        if own_users {
            command.args(["--user", "--map-root-user"]);
        }
        // It lives as long as its input is open.
        command.args(["sh", "-c", "mount \"$@\" && echo mounted && exec cat", "sh"]);
        command.args(words).arg(place);
        let spawned = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut holder = spawned.map_err(|error| format!("unshare: {error}"))?;
        let mut line = String::new();
        if let Some(out) = holder.stdout.take() {
            drop(BufReader::new(out).read_line(&mut line));
        }
        if line.trim() == "mounted" {
            return Ok(Self {
                holder,
                place: place.to_owned(),
                own_users,
            });
        }
        let output = holder
            .wait_with_output()
            .map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&output.stderr)
            .trim()
            .replace('\n', " ");
        Err(format!("mount {}: {said}", words.join(" ")))
    }

    /// The command, started inside.
    pub(super) fn inside(&self, command: &Command) -> Command {
        let namespaces = format!("/proc/{}/ns", self.holder.id());
        let mut inside = Command::new("nsenter");
        inside.arg(format!("--mount={namespaces}/mnt"));
        if self.own_users {
            inside.arg(format!("--user={namespaces}/user"));
            inside.arg("--preserve-credentials");
        }
        inside
            .arg("--")
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside
    }

    /// A file in it, as the test reaches it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        let place = self.place.strip_prefix("/").unwrap_or(&self.place);
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(place).join(name)
    }

    /// Fills it up to the last block; the file that takes the room.
    pub(super) fn fill(&self) -> PathBuf {
        let path = self.file("filler");
        let mut file = File::create(&path).expect("a file that takes the room");
        for piece in [1 << 20, 4096, 1] {
            let zeroes = vec![0x5a; piece];
            loop {
                match file.write_all(&zeroes).and_then(|()| file.sync_data()) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("{} cannot be filled: {error}", path.display()),
                }
                // Single bytes share the last block.
                if piece == 1 {
                    break;
                }
            }
        }
        path
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        drop(self.holder.wait());
    }
}

/// The image of an empty ext4 of so many bytes, nothing of it set aside for
/// root.
pub(super) fn make_ext4(folder: &Path, bytes: u64) -> Result<PathBuf, String> {
    let path = folder.join("disk.img");
    let made = File::create(&path).and_then(|file| file.set_len(bytes));
    made.map_err(|error| format!("{}: {error}", path.display()))?;
    let mut command = Command::new("mkfs.ext4");
    command.args(["-q", "-F", "-m", "0"]).arg(&path);
    let output = command.output();
    let output = output.map_err(|error| format!("mkfs.ext4: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("mkfs.ext4: {}", said.trim()));
    }
    Ok(path)
}
