//! Results of every verb: whole or not there, where the user says, and never in the place of something else.

mod writers;

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;
use writers::{FILES, FOLDERS, Writer, command, data, input, said, strays};

struct Place {
    folder: TempDir,
    data: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let data = data(folder.path());
        Self { folder, data }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, writer: &Writer, output: &Path) -> Output {
        command(writer.line, &self.data, output).output().unwrap()
    }

    /// Runs `writer`, which must succeed; what it wrote.
    fn written(&self, writer: &Writer, output: &Path) -> Vec<u8> {
        said(&self.run(writer, output), 0, writer.line);
        fs::read(output).unwrap()
    }

    /// Runs `writer`, which must refuse `output` for `reason` before it works and name the option.
    fn refused(&self, writer: &Writer, output: &Path, reason: &str) {
        let before = listing(self.folder.path());
        let error = said(&self.run(writer, output), 5, writer.line);
        let wanted = format!("error: {} {}", writer.option, output.display());
        assert!(error.contains(&wanted) && error.contains(reason), "{}: {error}", writer.line);
        assert_eq!(listing(self.folder.path()), before, "{}", writer.line);
    }
}

/// Every path below `folder` with mode, inode and length.
fn listing(folder: &Path) -> Vec<(PathBuf, u32, u64, u64)> {
    let mut all = vec![];
    for path in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        let at = path.symlink_metadata().unwrap();
        if at.is_dir() {
            all.extend(listing(&path));
        }
        all.push((path, at.mode(), at.ino(), if at.is_dir() { 0 } else { at.len() }));
    }
    all.sort();
    all
}

#[test]
fn files_keep_their_mode_and_links_their_target() {
    for writer in FILES {
        let place = Place::new();
        let fresh = place.at("fresh");
        let bytes = place.written(writer, &fresh);
        assert!(!bytes.is_empty(), "{}", writer.line);
        let old = place.at("old");
        fs::write(&old, "old").unwrap();
        fs::set_permissions(&old, PermissionsExt::from_mode(0o640)).unwrap();
        let (link, dangling) = (place.at("link"), place.at("dangling"));
        symlink("old", &link).unwrap();
        symlink("new", &dangling).unwrap();
        assert_eq!(place.written(writer, &link), bytes, "{}", writer.line);
        assert_eq!(fs::metadata(&old).unwrap().mode() & 0o7777, 0o640, "{}", writer.line);
        assert_eq!(place.written(writer, &dangling), bytes, "{}", writer.line);
        assert!(link.is_symlink() && dangling.is_symlink(), "{}", writer.line);
        assert_eq!((fs::read(old).unwrap(), fs::read(place.at("new")).unwrap()), (bytes.clone(), bytes));
        assert_eq!(strays(place.folder.path()), [] as [PathBuf; 0]);
    }
}

#[test]
fn new_files_have_the_mode_that_the_umask_leaves() {
    let place = Place::new();
    let program = command(FILES[2].line, &place.data, &place.at("x"));
    for (umask, mode) in [("022", 0o644), ("027", 0o640), ("077", 0o600)] {
        let _ = fs::remove_file(place.at("x"));
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("umask {umask}; exec \"$@\""), "sh"]).arg(program.get_program());
        said(&shell.args(program.get_args()).output().unwrap(), 0, umask);
        assert_eq!(fs::metadata(place.at("x")).unwrap().mode() & 0o7777, mode, "{umask}");
    }
}

#[test]
fn devices_and_pipes_are_written_to() {
    for writer in FILES {
        let place = Place::new();
        let bytes = place.written(writer, &place.at("file"));
        let pipe = place.at("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let reader = {
            let pipe = pipe.clone();
            std::thread::spawn(move || fs::read(pipe).unwrap())
        };
        said(&place.run(writer, &pipe), 0, writer.line);
        assert_eq!(reader.join().unwrap(), bytes, "{}", writer.line);
        said(&place.run(writer, Path::new("/dev/null")), 0, writer.line);
        let error = said(&place.run(writer, Path::new("/dev/full")), 5, writer.line);
        assert!(error.contains("/dev/full: No space left on device"), "{}: {error}", writer.line);
        for device in ["/dev/null", "/dev/full"] {
            assert!(fs::metadata(device).unwrap().file_type().is_char_device(), "{}", writer.line);
        }
        assert!(fs::metadata(pipe).unwrap().file_type().is_fifo(), "{}", writer.line);
        assert!(!Path::new("/dev/null.csv").exists(), "{}", writer.line);
    }
}

#[test]
fn places_that_cannot_be_written_are_refused_before_the_work() {
    for writer in FILES {
        let place = Place::new();
        place.refused(writer, &place.at("nowhere/x"), "nowhere is not there");
        place.refused(writer, &place.data, "is a folder");
        place.refused(writer, &place.at("x/"), "names a folder");
        let read_only = place.at("read-only");
        fs::write(&read_only, "old").unwrap();
        fs::set_permissions(&read_only, PermissionsExt::from_mode(0o444)).unwrap();
        place.refused(writer, &read_only, "is read-only (mode 0444)");
        let link = place.at("link");
        symlink("read-only", &link).unwrap();
        place.refused(writer, &link, "is read-only");
        symlink("loop", place.at("loop")).unwrap();
        place.refused(writer, &place.at("loop"), "links");
        place.refused(writer, &place.at("read-only/x"), "read-only is no folder");
        place.refused(writer, Path::new("/proc/x"), "cannot be written");
    }
    for writer in FOLDERS {
        let place = Place::new();
        let file = place.at("file");
        fs::write(&file, "old").unwrap();
        place.refused(writer, &file, "is no folder");
        place.refused(writer, &place.at("file/x"), "is no folder");
        place.refused(writer, Path::new("/proc/x"), "cannot be written");
    }
}

/// The verb that also writes beside the file that it is told.
fn train() -> &'static Writer {
    FILES.iter().find(|writer| writer.line.starts_with("train")).unwrap()
}

#[test]
fn inputs_are_not_destroyed() {
    for writer in FILES {
        let place = Place::new();
        let sets = [
            ("DATA", place.data.join("test_batch.bin")),
            ("PICTURES", writers::pictures(&place.data).join("1.png")),
        ];
        for (_, file) in sets.iter().filter(|set| writer.line.contains(set.0)) {
            place.refused(writer, file, "would destroy the input");
        }
        if writer.input.is_empty() {
            continue;
        }
        let (copy, same, link) = (place.at("copy.safetensors"), place.at("same"), place.at("link"));
        fs::copy(input(writer.input), &copy).unwrap();
        fs::hard_link(&copy, &same).unwrap();
        symlink(&copy, &link).unwrap();
        let line = writer.line.replace(writer.input, copy.to_str().unwrap());
        let writer = Writer { line: line.leak(), ..*writer };
        for output in [&copy, &same, &link] {
            place.refused(&writer, output, "would destroy the input");
        }
        assert_eq!(fs::read(copy).unwrap(), fs::read(input(writer.input)).unwrap());
    }
    let place = Place::new();
    let bundle = place.at("bundle");
    said(&place.run(&FOLDERS[0], &bundle), 0, "generate");
    let model = bundle.join("model.safetensors");
    fs::copy(input("INT"), &model).unwrap();
    let line = FOLDERS[0].line.replace("INT", model.to_str().unwrap());
    place.refused(&Writer { line: line.leak(), ..FOLDERS[0] }, &bundle, "would destroy the input");
    let one = format!("explore vgg16 --csv {0} --report {0}", place.at("one").display());
    let error = said(&command(&one, &place.data, Path::new("")).output().unwrap(), 5, &one);
    assert!(error.contains("is an output of --report too"), "{error}");
    place.refused_as(train(), &place.at("model.csv"), "is an output of -o too");
}

impl Place {
    /// As [`Place::refused`], where the path in the message is another of the same name.
    fn refused_as(&self, writer: &Writer, output: &Path, reason: &str) {
        let error = said(&self.run(writer, output), 5, writer.line);
        assert!(error.contains(reason), "{}: {error}", writer.line);
        assert!(!output.exists());
    }
}

#[test]
fn what_killed_runs_left_is_removed_and_what_lives_is_not() {
    let machine = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let name = |what: &str| format!(".vgg2rtl-{}-{what}", machine.trim());
    for writer in FILES.iter().chain(FOLDERS) {
        let place = Place::new();
        let folder = place.at("folder");
        fs::create_dir(&folder).unwrap();
        fs::create_dir(folder.join(name("killed-folder"))).unwrap();
        fs::write(folder.join(name("killed")), "half a fi").unwrap();
        fs::write(folder.join(".vgg2rtl-elsewhere-new"), "of another machine").unwrap();
        let living = fs::File::create(folder.join(name("living"))).unwrap();
        living.lock().unwrap();
        let output = if writer.option == "--plots" || writer.option == "--cache" {
            folder.clone()
        } else {
            folder.join("x")
        };
        said(&place.run(writer, &output), 0, writer.line);
        let mut left = strays(&folder);
        left.sort();
        let wanted = [name("living"), ".vgg2rtl-elsewhere-new".into()].map(|name| folder.join(name));
        assert!(
            left.len() == 2 && wanted.iter().all(|path| left.contains(path)),
            "{}: {left:?}",
            writer.line
        );
    }
}

/// Two commands on one output at a time: one of the two results is there, whole.
#[test]
fn the_last_of_two_processes_wins() {
    let place = Place::new();
    let pairs = [
        ["export INT --onnx @", "bench golden INT --runs 1 --save @"],
        ["generate INT --preset tiny -o @", "generate INT --preset tiny --seed 2 -o @"],
    ];
    for pair in pairs {
        let alone = pair.map(|line| {
            let output = place.at("alone");
            said(&command(line, &place.data, &output).output().unwrap(), 0, line);
            let found = contents(&output);
            if output.is_dir() { fs::remove_dir_all(output) } else { fs::remove_file(output) }.unwrap();
            found
        });
        assert_ne!(alone[0], alone[1]);
        for round in 0..8 {
            let output = place.at("both");
            let start = |line: &&str| {
                let mut command = command(line, &place.data, &output);
                command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
            };
            for child in pair.iter().map(start).collect::<Vec<_>>() {
                said(&child.wait_with_output().unwrap(), 0, pair[0]);
            }
            assert!(alone.contains(&contents(&output)), "{pair:?}, round {round}");
            assert_eq!(strays(place.folder.path()), [] as [PathBuf; 0]);
        }
        let output = place.at("both");
        if output.is_dir() { fs::remove_dir_all(output) } else { fs::remove_file(output) }.unwrap();
    }
}

/// A file's bytes, or those of all files of a folder, by name.
fn contents(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    if path.is_file() {
        return vec![(PathBuf::new(), fs::read(path).unwrap())];
    }
    let files = listing(path).into_iter().map(|entry| entry.0).filter(|p| p.is_file());
    files.map(|p| (p.strip_prefix(path).unwrap().into(), fs::read(&p).unwrap())).collect()
}

/// A file system of some pages; nothing where it cannot be mounted.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn new() -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=32k,mode=700", "tmpfs"]).arg(folder.path());
        let mounted = mount.output().is_ok_and(|o| o.status.success());
        if !mounted {
            println!("skipped: a small file system cannot be mounted here");
        }
        mounted.then_some(Self(folder))
    }

    /// Takes all space but that of the files that are there.
    fn fill(&self) {
        let zeros = vec![0; 1 << 16];
        let _ = fs::write(self.0.path().join("filling"), zeros);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_leaves_what_was_there() {
    for writer in FILES.iter().chain(&FOLDERS[..2]) {
        let Some(disk) = SmallDisk::new() else { return };
        let place = Place::new();
        let output = disk.0.path().join("x");
        if FILES.iter().any(|file| file.line == writer.line) {
            fs::write(&output, "old").unwrap();
        }
        disk.fill();
        let before = listing(disk.0.path());
        let error = said(&place.run(writer, &output), 5, writer.line);
        assert!(error.contains("No space left on device"), "{}: {error}", writer.line);
        let after: Vec<_> = listing(disk.0.path()).into_iter().filter(|e| !e.0.is_dir()).collect();
        assert_eq!(after, before, "{}", writer.line);
    }
    let Some(disk) = SmallDisk::new() else { return };
    let place = Place::new();
    disk.fill();
    let output = place.run(&FOLDERS[2], disk.0.path());
    let error = said(&output, 0, "cosim");
    assert!(error.contains("results are not kept"), "{error}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("PASS: every word equals"));
}

#[test]
fn standard_output_and_error_on_a_full_disk() {
    let place = Place::new();
    let lines = [
        "--help",
        "--version",
        "doctor",
        "doctor --json",
        "inspect INT",
        "inspect FLOAT --json",
        "eval INT --data PICTURES --engine golden",
        "classify INT PICTURES",
        "bench golden INT --runs 1",
        "bench golden INT --runs 1 --json",
        "bench accelerator INT --preset tiny",
        "explore vgg16",
        "explore vgg16 --json",
        "cosim INT --preset tiny --simulator in-process",
        "generate INT --preset tiny -o @",
        "import STATE_DICT --input 3x32x32 -o @",
        "quantize FLOAT --calib IMAGES --images 4 -o @",
    ];
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for (i, line) in lines.iter().enumerate() {
        let run = || command(line, &place.data, &place.at(&format!("x{i}")));
        let output = run().stdout(full()).output().unwrap();
        let error = said(&output, 5, line);
        assert!(error.contains("error: cannot print: No space left on device"), "{line}: {error}");
        let silent = run().stderr(full()).output().unwrap();
        assert!([Some(0), Some(5)].contains(&silent.status.code()), "{line}: {:?}", silent.status);
    }
    // Notes on standard error are lost: the work is done, and the exit code tells.
    let output = command(train().line, &place.data, &place.at("model")).stderr(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert!(place.at("model").is_file());
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let place = Place::new();
    for line in ["inspect FLOAT", "explore vgg16 --weights 2..16 --all", "--help"] {
        // Gone before the program starts: afterwards a short text might already be in the pipe.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command(line, &place.data, Path::new("")).stdout(writer).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), error.as_str()), (Some(141), ""), "{line}");
    }
}
