//! Is a step that was answered there after the power failed?
//!
//! The edge works on an ext4 whose disk has a write cache ([`super::device`]),
//! under load. The power is cut in the middle of the disk's writes; what is
//! left is mounted (the file system replays its journal) and an edge started
//! on it, with the store dead: every step that was answered before the cut is
//! there. In the end the store gets them from the last disk, once.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use serde_json::json;

use super::{
    device::{Cut, Device, Left},
    drained,
    ground::{Ground, make_ext4},
    identify, is_long, is_started, skip,
};
use crate::{
    harness::{Client, Edge, Program, Site, eventually},
    reference::Dice,
};

/// Room for twice of what the long form writes: an edge takes half of it.
const BYTES: u64 = 160 << 20;

/// Beside each start, so that segments follow each other quickly.
const PROPERTIES: usize = 24_000;

/// Writes in the cache when the power fails: a commit is one or two of them, and
/// more come together only while a segment is prepared.
const CACHED: [usize; 4] = [1, 8, 2, 4];

/// Clients that step at the same time.
const CLIENTS: usize = 4;

/// Users whose start was answered, in the order of answers.
type Answered = Arc<Mutex<Vec<String>>>;

/// Clients that start flows for new users until they are told to stop.
struct Load {
    answered: Answered,
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(edge: &Edge, name: &str) -> Self {
        let (answered, stop) = (Answered::default(), Arc::new(AtomicBool::new(false)));
        let clients = (0..CLIENTS).map(|number| {
            let (client, name) = (edge.client("server"), format!("{name}-c{number}"));
            let (answered, stop) = (Arc::clone(&answered), Arc::clone(&stop));
            std::thread::spawn(move || drive(&client, &name, &answered, &stop))
        });
        Self {
            clients: clients.collect(),
            answered,
            stop,
        }
    }

    /// Waits for so many answers.
    #[track_caller]
    fn reach(&self, wanted: usize) {
        eventually("enough steps are answered", || {
            let answered = self.answered.lock().expect("no client panicked");
            (answered.len() >= wanted).then_some(())
        });
    }

    /// Everything that was answered until now.
    fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().expect("a client");
        }
        std::mem::take(&mut self.answered.lock().expect("no client panicked"))
    }
}

fn drive(client: &Client, name: &str, answered: &Mutex<Vec<String>>, stop: &AtomicBool) {
    for user in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let user = format!("{name}-{user}");
        let answer = identify(client, &user, 1, PROPERTIES).expect("the edge is there");
        assert_eq!(answer.status, 200, "{}", answer.text);
        let body = json!({"subject": {"user": user}, "version": 1});
        let answer = client.post("/v1/flows/announcement/start", &body);
        assert_eq!(answer.status, 200, "{}", answer.text);
        answered.lock().expect("no client panicked").push(user);
    }
}

/// An edge on what a cut left.
struct Survivor {
    program: Program,
    // After the program that uses them.
    _ground: Ground,
    _folder: tempfile::TempDir,
}

impl Survivor {
    #[track_caller]
    fn start(edge: &Edge, image: &[u8]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("left.img");
        write_sparse(&file, image).expect("an image");
        let place = folder.path().join("edge");
        std::fs::create_dir(&place).expect("a place");
        let ground = Ground::ext4(&file, &place).expect("what is left can be mounted");
        let command = ground.inside(&edge.command(folder.path()));
        Self {
            program: Program::start(command, &folder.path().join("edge.log")),
            _ground: ground,
            _folder: folder,
        }
    }

    /// Those of the users whom it does not know to have started.
    fn missing<'u>(&self, edge: &Edge, users: &'u [String]) -> Vec<&'u str> {
        let client = Client::new(&self.program.text("edge_url"), &edge.key("server"));
        let missing = users.iter().filter(|user| !is_started(&client, user));
        missing.map(String::as_str).collect()
    }
}

/// A site whose edge works on a disk of ours, with the store dead; or why the
/// machine cannot have one.
fn on_device() -> Result<(Site, Ground, Device), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let image = make_ext4(folder.path(), BYTES)?;
    let device = Device::holding(std::fs::read(image).map_err(|error| error.to_string())?)?;
    let place = folder.path().join("probe");
    std::fs::create_dir(&place).map_err(|error| error.to_string())?;
    // Asked before a site is started for nothing.
    drop(Ground::ext4(&device.file(), &place)?);
    let mut site = Site::start();
    site.edge.program.kill();
    let place = site.path().join("edge");
    std::fs::remove_dir_all(&place).expect("the folder was used");
    std::fs::create_dir(&place).expect("a place");
    let ground = settled(&device.file(), &place);
    let folder = site.path().to_owned();
    let command = ground.inside(&site.edge.command(&folder));
    site.edge.restart_as(command, &folder);
    site.edge.ready();
    site.store.program.kill();
    Ok((site, ground, device))
}

/// Writes a file and leaves holes where there is nothing.
fn write_sparse(path: &Path, bytes: &[u8]) -> io::Result<()> {
    const PIECE: usize = 64 * 1024;
    let file = File::create(path)?;
    file.set_len(bytes.len() as u64)?;
    for (number, piece) in bytes.chunks(PIECE).enumerate() {
        if piece.iter().any(|&byte| byte != 0) {
            file.write_all_at(piece, (number * PIECE) as u64)?;
        }
    }
    Ok(())
}

/// Mounts what was mounted a moment ago: the kernel lets go of it a little
/// after the process that held it is gone.
#[track_caller]
fn settled(image: &Path, place: &Path) -> Ground {
    eventually("no loop device has it", || {
        let listed = std::process::Command::new("losetup")
            .args(["--associated"])
            .arg(image)
            .output();
        let listed = listed.expect("losetup stands beside mount");
        listed.stdout.is_empty().then_some(())
    });
    Ground::ext4(image, place).expect("it could be mounted before")
}

#[test]
fn every_answered_step_survives_a_cut_of_the_power() {
    const STORY: &str = "cuts of the power";
    let images = if is_long() { 20 } else { Cut::ALL.len() };
    let (mut site, ground, device) = match on_device() {
        Ok(all) => all,
        Err(reason) => return skip(STORY, &reason),
    };
    let mut answered = Vec::new();
    let (mut checked, mut cached) = (0, 0);
    let mut last = Left {
        image: Vec::new(),
        cached: 0,
        sampled: Vec::new(),
    };
    for number in 0..images {
        let load = Load::start(&site.edge, &format!("i{number}"));
        load.reach(5 + number * 7 % 23);
        let known = Arc::clone(&load.answered);
        let sample = move || known.lock().expect("no client panicked").clone();
        let cut = Cut::ALL[number % Cut::ALL.len()];
        // One further than the cuts, so that each meets each.
        let writes = CACHED[(number + number / CACHED.len()) % CACHED.len()];
        last = device.cut_at(writes, cut, Dice::new(number as u64), sample);
        let all = load.end();
        last.sampled.extend(answered.iter().cloned());
        let survivor = Survivor::start(&site.edge, &last.image);
        let missing = survivor.missing(&site.edge, &last.sampled);
        assert!(
            missing.is_empty(),
            "image {number}, {cut:?}: lost {missing:?}"
        );
        checked += last.sampled.len();
        cached += last.cached;
        answered.extend(all);
    }
    // The disk it worked on is gone; the last image is what there is.
    site.edge.program.kill();
    drop(ground);
    let folder = tempfile::tempdir().expect("a folder");
    let (file, place) = (folder.path().join("left.img"), folder.path().join("edge"));
    write_sparse(&file, &last.image).expect("an image");
    std::fs::create_dir(&place).expect("a place");
    let ground = Ground::ext4(&file, &place).expect("what is left can be mounted");
    site.store.restart();
    let command = ground.inside(&site.edge.command(folder.path()));
    site.edge.restart_as(command, folder.path());
    drained(&site);
    for user in &last.sampled {
        let document = site.store.user(user);
        let document = document.unwrap_or_else(|| panic!("{user} was answered and is lost"));
        assert_eq!(document["doc_rev"], 2, "{user}: {document}");
    }
    site.edge.program.kill();
    println!("figures: power cuts {images}");
    println!("figures: power cuts, answered steps looked for and found {checked}");
    println!("figures: power cuts, writes that were not flushed {cached}");
}

#[test]
fn a_disk_that_only_says_it_has_flushed_is_noticed() {
    let (mut site, ground, device) = match on_device() {
        Ok(all) => all,
        Err(reason) => return skip("a disk that lies", &reason),
    };
    device.lie();
    let load = Load::start(&site.edge, "lied-to");
    load.reach(20);
    let known = Arc::clone(&load.answered);
    let sample = move || known.lock().expect("no client panicked").clone();
    let left = device.cut_at(1, Cut::Flushed, Dice::new(1), sample);
    load.end();
    let survivor = Survivor::start(&site.edge, &left.image);
    let missing = survivor.missing(&site.edge, &left.sampled);
    assert!(!missing.is_empty(), "the stories above could not fail");
    drop(survivor);
    site.edge.program.kill();
    drop(ground);
}
